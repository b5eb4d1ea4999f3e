"""Make bytes that claim to be a picture fit to keep."""

from darkroom.domain.errors import PictureFault, PictureUnusable
from darkroom.domain.items import VerifiedPicture
from darkroom.domain.ports import PreparedPicture
from darkroom.pictures.cleaning import clean
from darkroom.pictures.reading import MAX_PIXELS, Picture, read_picture
from darkroom.pictures.thumbnails import encode_thumbnail

SIDEWAYS = range(5, 9)  # orientations that swap width and height


class PillowPictureCheck:
    """Verifies, cleans and shrinks with Pillow; safe to use from several threads.

    Args:
        max_pixels: more are refused before they are decoded; a decoder takes up to four
            bytes a pixel.
    """

    def __init__(self, *, max_pixels: int = MAX_PIXELS) -> None:
        self._max_pixels = max_pixels

    def verify(self, content: bytes, *, max_bytes: int) -> VerifiedPicture:
        """Decode the whole picture and say what it is; sizes are those of the upright one.

        Raises:
            PictureUnusable: with its reason.
        """
        return _describe(self._read(content, max_bytes))

    def prepare(self, content: bytes, *, max_bytes: int) -> PreparedPicture:
        """Verify, then remove metadata and make a thumbnail.

        Raises:
            PictureUnusable: with its reason.
        """
        picture = self._read(content, max_bytes)
        return PreparedPicture(
            verified=_describe(picture),
            content=clean(content, picture),
            thumbnail=encode_thumbnail(picture),
        )

    def _read(self, content: bytes, max_bytes: int) -> Picture:
        if len(content) > max_bytes:
            raise PictureUnusable(
                f"{len(content)} bytes are more than the {max_bytes} allowed; "
                "send a smaller picture",
                reason=PictureFault.TOO_LARGE,
            )
        return read_picture(content, max_pixels=self._max_pixels)


def _describe(picture: Picture) -> VerifiedPicture:
    width, height = picture.image.size
    if picture.orientation in SIDEWAYS:
        width, height = height, width
    return VerifiedPicture(
        format=picture.format.value,
        media_type=picture.format.media_type,
        width=width,
        height=height,
    )
