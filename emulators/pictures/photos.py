"""Fetch the product photos that an order names. Equal photos are kept once."""

import asyncio
import hashlib
import io
from collections import OrderedDict
from collections.abc import Sequence

import httpx
from PIL import Image

PHOTO_MAX_BYTES = 30 * 1024 * 1024  # the provider's own limit for one input image
KEPT_PHOTOS = 16


class PhotoMissing(Exception):
    """A photo cannot be had."""


class PhotoShelf:
    """Photos by address.

    Args:
        client: follows the addresses; its timeouts apply.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    async def fetch_all(self, addresses: Sequence[str]) -> tuple[bytes, ...]:
        """Fetch photos side by side, in order.

        Raises:
            PhotoMissing: one of them cannot be fetched, or is too large.
        """
        if not addresses:
            return ()
        return tuple(await asyncio.gather(*(self._fetch(address) for address in addresses)))

    async def _fetch(self, address: str) -> bytes:
        try:
            async with self._client.stream("GET", address) as answer:
                if not answer.is_success:
                    raise PhotoMissing(f"image {address} answered {answer.status_code}")
                photo = await _read_capped(answer, address)
        except (httpx.HTTPError, httpx.InvalidURL) as failed:
            raise PhotoMissing(f"image {address} cannot be fetched: {failed!r}") from failed
        return await self._shared(photo, address)

    async def _shared(self, photo: bytes, address: str) -> bytes:
        key = hashlib.sha256(photo).digest()
        if key not in self._kept:
            await asyncio.to_thread(_check_decodes, photo, address)
        shared = self._kept.setdefault(key, photo)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_PHOTOS:
            self._kept.popitem(last=False)
        return shared


def _check_decodes(photo: bytes, address: str) -> None:
    try:
        with Image.open(io.BytesIO(photo)) as opened:
            opened.load()
    except (OSError, ValueError, Image.DecompressionBombError) as broken:
        raise PhotoMissing(f"image {address} is not a picture: {broken}") from broken


async def _read_capped(answer: httpx.Response, address: str) -> bytes:
    photo = bytearray()
    async for piece in answer.aiter_bytes():
        photo += piece
        if len(photo) > PHOTO_MAX_BYTES:
            raise PhotoMissing(f"image {address} is larger than {PHOTO_MAX_BYTES} bytes")
    return bytes(photo)
