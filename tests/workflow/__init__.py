"""The stories on a time-skipping server, with fakes, under the strict default sandbox."""
