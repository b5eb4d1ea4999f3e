"""The rules of the promise. Pure values and functions, safe inside the workflow sandbox."""
