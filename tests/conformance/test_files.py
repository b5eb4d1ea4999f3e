"""One promise, three stores: the fake, a directory, and a real S3 endpoint."""

import asyncio
import contextlib
import hashlib
import os
import random
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from darkroom.domain.errors import FileMissing, FilesUnavailable
from darkroom.domain.ports import FileStore
from darkroom.files.opening import open_files
from darkroom.files.store import key_of
from tests.support.fake_providers import FakeFileStore
from tests.support.s3_endpoints import S3Endpoint, running_s3
from tests.support.subprocesses import ended, free_port
from tests.support.waiting import eventually

CONTENT = b"\x89PNG a picture"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LARGE = random.Random(7).randbytes(12 * 1024 * 1024)
LARGE_SHA256 = hashlib.sha256(LARGE).hexdigest()
PUT_FOR_EVER = """
import asyncio, sys
from darkroom.files.opening import open_files

async def main():
    files = open_files(sys.argv[1])
    while True:
        await files.put(b"x" * 50_000_000)

asyncio.run(main())
"""


class RangedFileStore(FileStore, Protocol):
    """The port, and what the gateway needs besides."""

    async def size(self, sha256: str) -> int: ...

    def stream(
        self, sha256: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A store, and a way to reach behind its back."""

    files: RangedFileStore
    overwrite: Callable[[str, bytes], object]  # sha256, other content


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Generator[S3Endpoint]:
    with running_s3(tmp_path_factory.mktemp("s3")) as endpoint:
        yield endpoint


@pytest.fixture(params=["fake", "disk", "s3"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Endpoint) -> Kept:
    """Open one store; what is on S3 stays for the next test, and no test minds."""
    match request.param:
        case "fake":
            fake = FakeFileStore()
            return Kept(files=fake, overwrite=fake.files.__setitem__)
        case "disk":
            return Kept(
                files=open_files(tmp_path.as_uri()),
                overwrite=lambda sha256, other: (tmp_path / key_of(sha256)).write_bytes(other),
            )
        case _:
            return Kept(
                files=s3.open(),
                overwrite=lambda sha256, other: s3.overwrite(key_of(sha256), other),
            )


def writing_for_ever(directory: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", PUT_FOR_EVER, directory.as_uri()]
    return ended(subprocess.Popen(command))  # noqa: S603  (our own command)


def files_in(directory: Path) -> list[str]:
    return [str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()]


async def read_part(kept: Kept, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in kept.files.stream(LARGE_SHA256, start, end)])


async def test_what_is_put_can_be_got(kept: Kept) -> None:
    """Bytes come back under their hash."""
    assert await kept.files.put(CONTENT) == SHA256

    assert await kept.files.get(SHA256) == CONTENT
    assert await kept.files.has(SHA256)
    assert await kept.files.size(SHA256) == len(CONTENT)


async def test_putting_twice_is_harmless(kept: Kept) -> None:
    """The second put answers like the first."""
    assert await kept.files.put(CONTENT) == await kept.files.put(CONTENT)

    assert await kept.files.get(SHA256) == CONTENT


async def test_nothing_is_a_content_too(kept: Kept) -> None:
    """No bytes have a hash like any others."""
    sha256 = await kept.files.put(b"")

    assert await kept.files.get(sha256) == b""
    assert await kept.files.size(sha256) == 0


async def test_many_puts_of_one_content_at_once_are_fine(kept: Kept) -> None:
    """They race for the same name, and nobody can tell who won."""
    content = random.Random(8).randbytes(400_000)

    names = await asyncio.gather(*(kept.files.put(content) for _ in range(16)))

    assert set(names) == {hashlib.sha256(content).hexdigest()}
    assert await kept.files.get(names[0]) == content


@pytest.mark.parametrize(
    "sha256",
    ["f" * 64, "", "F" * 64, "../" * 8 + "etc/passwd", "0" * 63, "0" * 65, "0" * 64 + "\n"],
)
async def test_what_was_never_put_is_missing(kept: Kept, sha256: str) -> None:
    """So is every name that cannot be a hash; none of them leads out of the store."""
    with pytest.raises(FileMissing):
        await kept.files.get(sha256)
    with pytest.raises(FileMissing):
        await kept.files.size(sha256)
    with pytest.raises(FileMissing):
        await anext(kept.files.stream(sha256))
    assert not await kept.files.has(sha256)


@pytest.mark.parametrize("rotten", [CONTENT[:-1], b"\x00" + CONTENT[1:], b""])
async def test_rotten_content_is_missing_until_it_is_put_again(kept: Kept, rotten: bytes) -> None:
    """Bytes with another hash are not what was asked for, and a put heals them."""
    await kept.files.put(CONTENT)
    kept.overwrite(SHA256, rotten)

    with pytest.raises(FileMissing, match="rotted"):
        await kept.files.get(SHA256)

    await kept.files.put(CONTENT)
    assert await kept.files.get(SHA256) == CONTENT


async def test_parts_of_a_large_file_are_streamed(kept: Kept) -> None:
    """From the first byte to the one before the end, or to the end of the file."""
    await kept.files.put(LARGE)

    assert await read_part(kept) == LARGE
    assert await read_part(kept, 5_000_000) == LARGE[5_000_000:]
    assert await read_part(kept, 10, 11) == LARGE[10:11]
    assert await read_part(kept, 3, 3_000_000) == LARGE[3:3_000_000]
    assert await read_part(kept, len(LARGE) - 1, 2 * len(LARGE)) == LARGE[-1:]


@pytest.mark.parametrize("milliseconds", [0, 1, 3, 10, 30, 100])
async def test_a_cancelled_put_is_all_or_nothing(kept: Kept, milliseconds: int) -> None:
    """At no moment can half of a file be read."""
    content = os.urandom(8_000_000)
    sha256 = hashlib.sha256(content).hexdigest()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(milliseconds / 1000):
            await kept.files.put(content)

    if await kept.files.has(sha256):
        assert await kept.files.get(sha256) == content


async def test_a_killed_put_is_all_or_nothing(tmp_path: Path) -> None:
    """A worker killed while it writes leaves no name that half a file stands under."""
    sha256 = hashlib.sha256(b"x" * 50_000_000).hexdigest()
    with writing_for_ever(tmp_path) as process:
        await eventually(lambda: list(tmp_path.glob("*/*#*")), what="a write under way")
        process.kill()

    files = open_files(tmp_path.as_uri())
    if await files.has(sha256):
        assert len(await files.get(sha256)) == 50_000_000


async def test_a_disk_that_takes_no_more_is_unavailable(tmp_path: Path) -> None:
    """What did not fit is not there, not even in part; what is there stays."""
    files = open_files(tmp_path.as_uri())
    await files.put(CONTENT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(FilesUnavailable, match="not full"):
            await files.put(LARGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert files_in(tmp_path) == [key_of(SHA256)]
    assert await files.put(LARGE) == LARGE_SHA256


async def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    """The first start needs no preparation, and a space in the name is no matter."""
    files = open_files((tmp_path / "a b" / "c").as_uri())
    await files.put(CONTENT)

    assert (tmp_path / "a b" / "c" / key_of(SHA256)).read_bytes() == CONTENT


async def test_a_store_that_does_not_answer_is_unavailable() -> None:
    """It says nothing about the file, and says it soon."""
    nowhere = S3Endpoint(address=f"http://127.0.0.1:{free_port()}")
    files = nowhere.open()

    for ask in (files.put(CONTENT), files.get(SHA256), files.has(SHA256)):
        with pytest.raises(FilesUnavailable, match="s3://pictures/kept"):
            await asyncio.wait_for(ask, timeout=15)


async def test_a_refused_key_is_unavailable(s3: S3Endpoint) -> None:
    """A wrong key proves nothing about a file."""
    files = s3.open(secret="another")

    for ask in (files.put(CONTENT), files.get(SHA256), files.has(SHA256)):
        with pytest.raises(FilesUnavailable):
            await ask


async def test_a_missing_bucket_keeps_nothing(s3: S3Endpoint) -> None:
    """A put that went nowhere must not look like one that worked."""
    with pytest.raises(FilesUnavailable, match="does not exist"):
        await s3.open(bucket="nowhere").put(CONTENT)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pictures",
        "file://relative/dir",
        "/var/files",
        "http://a.test/b",
        "memory:///",
        "s3:///",
    ],
)
def test_an_address_of_no_store_is_refused(url: str) -> None:
    """The message shows what an address looks like."""
    with pytest.raises(ValueError, match="file:///absolute/dir"):
        open_files(url)


def test_an_option_of_no_store_is_refused() -> None:
    """A misspelt option is found at the start, and its value is not repeated."""
    with pytest.raises(ValueError, match="s3://pictures/kept") as refused:
        open_files("s3://pictures/kept", secret_acess_key="hush")

    assert "hush" not in str(refused.value)


async def test_a_fake_can_be_out_of_order() -> None:
    """Workflow tests need outages."""
    files = FakeFileStore(outages=1)

    with pytest.raises(FilesUnavailable):
        await files.put(CONTENT)
    assert await files.put(CONTENT) == SHA256
