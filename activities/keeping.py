"""Make a bought picture ours: verified, without metadata, under its own hash."""

import asyncio

from activities.patience import until_answered
from darkroom.domain.items import StoredPicture
from darkroom.domain.ports import FileStore, PictureCheck


class PictureKeeper:
    """Verifies off the event loop, then stores the picture and its thumbnail."""

    def __init__(self, *, files: FileStore, pictures: PictureCheck, max_bytes: int) -> None:
        self._files = files
        self._pictures = pictures
        self._max_bytes = max_bytes

    async def keep(self, content: bytes) -> StoredPicture:
        """Keep one picture. Idempotent by content.

        Raises:
            PictureUnusable: the bytes are not a picture we keep.
        """
        prepared = await asyncio.to_thread(
            self._pictures.prepare, content, max_bytes=self._max_bytes
        )
        sha256 = await until_answered(lambda: self._files.put(prepared.content))
        thumbnail_sha256 = await until_answered(lambda: self._files.put(prepared.thumbnail))
        return StoredPicture(
            sha256=sha256,
            thumbnail_sha256=thumbnail_sha256,
            media_type=prepared.verified.media_type,
            width=prepared.verified.width,
            height=prepared.verified.height,
            size_bytes=len(prepared.content),
        )
