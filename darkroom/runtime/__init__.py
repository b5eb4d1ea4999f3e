"""The platforms under the house: Temporal, the log, and the end of a process."""
