"""Bytes under the hash of their content, in whatever keeps objects: a disk, S3, GCS or Azure.

A name is the hash, so a write can only ever repeat what is there, and a read can be checked.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError, GenericError

from darkroom.domain.errors import FileMissing, FilesUnavailable

if TYPE_CHECKING:  # these names exist for type checkers only
    from obstore import GetOptions
    from obstore.store import ObjectStore

SHA256 = re.compile(r"[0-9a-f]{64}")
CHUNK_BYTES = 256 * 1024
RANGE_IGNORED = "non-partial response"  # what obstore says of endpoints that answer 200 to a range


async def _already_safe(_: str) -> None:
    """Wait for nothing: the store answers a write when it is safe."""


class ObstoreFileStore:
    """Keeps whole files of some megabytes; see `open_files`.

    Args:
        store: where objects go.
        name: of the store, for people.
        settle: called with the key of each object written; returns when a power cut can no
            longer take it back.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        name: str,
        settle: Callable[[str], Awaitable[None]] = _already_safe,
    ) -> None:
        self._store = store
        self._name = name
        self._settle = settle

    async def put(self, content: bytes) -> str:
        """Keep bytes, atomically; answers their sha256 in hex.

        Writes even when the name exists: one request instead of two for new content, and rotten
        content is healed.

        Raises:
            FilesUnavailable: nothing was kept, or nobody knows; put again.
        """
        sha256 = await asyncio.to_thread(_hash, content)
        try:
            with self._translated(sha256):
                await self._store.put_async(key_of(sha256), content, use_multipart=False)
                await self._settle(key_of(sha256))
        except FileMissing as nowhere:  # "not found" to a write: there is no such bucket
            raise FilesUnavailable(
                f"{self._name} does not exist, so file {sha256} cannot be kept; create it"
            ) from nowhere
        return sha256

    async def get(self, sha256: str) -> bytes:
        """Read bytes and check them against their name.

        Raises:
            FileMissing: nothing is kept under that hash, or what is kept has rotted.
            FilesUnavailable: the store did not answer.
        """
        with self._translated(sha256):
            found = await self._store.get_async(key_of(sha256))
            content = bytes(await found.bytes_async())
        if await asyncio.to_thread(_hash, content) != sha256:
            raise FileMissing(
                f"file {sha256} in {self._name} has rotted: its {len(content)} bytes have "
                "another hash; put the content again or restore it from a backup"
            )
        return content

    async def has(self, sha256: str) -> bool:
        """Say whether something is kept under that hash.

        Raises:
            FilesUnavailable: the store did not answer.
        """
        try:
            await self.size(sha256)
        except FileMissing:
            return False
        return True

    async def size(self, sha256: str) -> int:
        """Count the bytes kept under a hash.

        Raises:
            FileMissing: nothing is kept under that hash.
            FilesUnavailable: the store did not answer.
        """
        with self._translated(sha256):
            return (await self._store.head_async(key_of(sha256)))["size"]

    async def stream(
        self, sha256: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """Read a part, piece by piece and unchecked: a hash speaks for the whole only.

        Args:
            sha256: of the whole.
            start: first byte, inside the file.
            end: byte after the last one; None reads to the end.

        Raises:
            FileMissing: nothing is kept under that hash.
            FilesUnavailable: the store did not answer, or not to the end.
        """
        with self._translated(sha256):
            try:
                found = await self._store.get_async(key_of(sha256), options=_part(start, end))
            except GenericError as failed:
                if RANGE_IGNORED not in str(failed):
                    raise
                yield (await self.get(sha256))[start:end]
                return
            async for piece in found.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(piece)

    @contextmanager
    def _translated(self, sha256: str) -> Generator[None]:
        try:
            yield
        except FileNotFoundError as missing:
            raise FileMissing(f"no file {sha256} in {self._name}") from missing
        except (BaseError, OSError) as failed:
            first_line = str(failed).partition("\n")[0]
            raise FilesUnavailable(
                f"{self._name} failed for file {sha256}: {first_line}; "
                "check that it is reachable, writable and not full"
            ) from failed


def key_of(sha256: str) -> str:
    """Name the object of a hash; the first two digits spread files over directories.

    Raises:
        FileMissing: it is not a sha256 in lower-case hex, so nothing can be kept under it.
    """
    if not SHA256.fullmatch(sha256):
        raise FileMissing(f"{sha256[:80]!r} is not a sha256 in lower-case hex")
    return f"{sha256[:2]}/{sha256}"


def _part(start: int, end: int | None) -> GetOptions | None:
    if end is not None:
        return {"range": (start, end)}
    return {"range": {"offset": start}} if start else None


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
