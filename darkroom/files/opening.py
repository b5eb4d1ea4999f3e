"""Which store an address means: file:///dir, s3://bucket/prefix, gs://..., az://..."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from darkroom.files.store import ObstoreFileStore

if TYPE_CHECKING:  # these names exist for type checkers only
    from obstore.store import ClientConfig, RetryConfig

# Callers retry by their own plans; here only a dropped connection is bridged.
RETRIES: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
CONNECT_TIMEOUT = timedelta(seconds=5)
REQUEST_TIMEOUT = timedelta(seconds=30)  # 32 MiB at 10 Mbit/s


def open_files(url: str, **options: str) -> ObstoreFileStore:
    """Open the store that an address names; a directory is created if it is missing.

    Args:
        url: `file:///absolute/dir`, or `s3://bucket/prefix` and its like, whose query may hold
            options as well: `s3://pictures/darkroom?endpoint=http://minio:9000&region=us-east-1`.
        options: of the object store, named as obstore names them (`access_key_id`,
            `secret_access_key`, `endpoint`, `region`, ...); they win over the query. Keys belong
            here, because addresses end up in logs.

    Raises:
        ValueError: the address is not one of a store, or an option not one of this store.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _open_disk(Path(unquote(parts.path)), url)
    if not parts.netloc or parts.scheme in {"", "memory", "http", "https"}:
        raise ValueError(
            f"files cannot be kept at {url!r}: use file:///absolute/dir, s3://bucket/prefix, "
            "gs://bucket/prefix or az://account/container/prefix"
        )
    config = dict(parse_qsl(parts.query)) | options
    address = parts._replace(query="").geturl()
    try:
        store = from_url(
            address,
            config=cast("Any", config),
            client_options=_client_options(config),
            retry_config=RETRIES,
        )
    except BaseError as wrong:
        first_line = str(wrong).partition("\n")[0]
        raise ValueError(f"files cannot be kept at {address!r}: {first_line}") from wrong
    return ObstoreFileStore(store, name=address)


def _open_disk(directory: Path, url: str) -> ObstoreFileStore:
    if not directory.is_absolute() or urlsplit(url).netloc:
        raise ValueError(f"{url!r} names no absolute directory: write file:///absolute/dir")
    store = LocalStore(directory, mkdir=True)
    return ObstoreFileStore(store, name=url, settle=_to_platter(directory))


def _client_options(config: dict[str, str]) -> ClientConfig:
    is_plain = any(value.startswith("http://") for value in config.values())
    return {
        "allow_http": is_plain,
        "connect_timeout": CONNECT_TIMEOUT,
        "timeout": REQUEST_TIMEOUT,
    }


def _to_platter(directory: Path) -> Callable[[str], Awaitable[None]]:
    async def settle(key: str) -> None:
        await asyncio.to_thread(_flush, directory / key)

    return settle


def _flush(path: Path) -> None:
    for each in (path, path.parent, path.parent.parent):  # the content, its name, its directory
        opened = os.open(each, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
