"""How Darkroom is put to work."""
