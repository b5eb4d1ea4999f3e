"""The whole of Darkroom on one machine: real Temporal, SQLite, local files, emulators.

Starts every process by its command line and imports no composition root.
"""
