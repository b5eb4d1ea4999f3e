"""The house checks itself: its names, its tree, its pages and what they promise."""
