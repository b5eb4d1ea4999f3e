"""Look at bytes that claim to be a picture, and make them fit to keep.

Pure: bytes in, bytes out. Decoding takes a while and memory, so callers use a thread. Names
and content types are never asked; only the bytes themselves count.

    prepare         the story: verify, clean, shrink
    reading         magic bytes, limits from the header, full decode
    containers      what a complete file of each format is made of
    cleaning        the same pixels without metadata, the right way up
    thumbnails      small WebP pictures
    contact_sheet   many pictures on one sheet, with captions
"""

from darkroom.pictures.cleaning import without_metadata
from darkroom.pictures.contact_sheet import contact_sheet
from darkroom.pictures.prepare import PillowPictureCheck
from darkroom.pictures.thumbnails import thumbnail

__all__ = ["PillowPictureCheck", "contact_sheet", "thumbnail", "without_metadata"]
