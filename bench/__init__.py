"""What Darkroom does on this machine, measured beside bare Temporal in the same run."""
