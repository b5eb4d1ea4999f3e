"""The paid APIs: one call sends one request, and each way it can end is an error leaf."""
