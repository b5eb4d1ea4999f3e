"""Folders say what must be running: nothing for unit, real servers for integration and up."""
