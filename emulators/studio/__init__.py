"""Draws scene pictures from the words of a prompt, around a product photo."""

from emulators.studio.studio import PictureOrder, Studio

__all__ = ["PictureOrder", "Studio"]
