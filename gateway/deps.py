"""What a request is served with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol, cast

from fastapi import Depends, Header, Request

from darkroom.domain.ports import (
    CallLedger,
    Differentiator,
    Doorbell,
    FileCatalog,
    FileStore,
    JobStore,
    Outbox,
    PictureCheck,
)
from darkroom.settings import Settings
from gateway.auth import Caller, Keys, token_of
from gateway.commands import JobCommands
from gateway.errors import UNAUTHENTICATED, Problem
from gateway.reading import JobReader


class StreamedFiles(FileStore, Protocol):
    """A file store that can also be read in parts."""

    async def size(self, sha256: str) -> int:
        """Count the bytes kept under a hash.

        Raises:
            FileMissing: nothing is kept under that hash.
        """
        ...

    def stream(self, sha256: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Read from byte `start` up to, but without, byte `end`."""
        ...


Check = Callable[[], Awaitable[None]]

# Threads that may decode or choose at once; more would starve the event loop of the processor.
MOST_THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Everything the routes and sockets may ask. Made once, in app.py."""

    settings: Settings
    signing_secret: str
    keys: Keys
    store: JobStore
    outbox: Outbox
    doorbell: Doorbell
    ledger: CallLedger
    catalog: FileCatalog
    files: StreamedFiles
    pictures: PictureCheck
    differentiator: Differentiator
    commands: JobCommands
    reader: JobReader
    checks: Mapping[str, Check]
    hard_work: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_THREADS))


def gateway_of(request: Request) -> Gateway:
    """Find the gateway that serves this request."""
    return cast("Gateway", request.app.state.gateway)


Served = Annotated[Gateway, Depends(gateway_of)]


def known_caller(
    gateway: Served,
    authorization: Annotated[str | None, Header()] = None,
    x_api_key: Annotated[str | None, Header()] = None,
) -> Caller | None:
    """Say who is calling, if they say so."""
    return gateway.keys.caller(token_of(authorization=authorization, api_key=x_api_key))


def required_caller(caller: Annotated[Caller | None, Depends(known_caller)]) -> Caller:
    """Refuse whoever does not hold a key.

    Raises:
        Problem: unauthenticated.
    """
    if caller is None:
        raise Problem(
            UNAUTHENTICATED,
            "no API key was sent, or one that is not valid",
            remedy="send Authorization: Bearer KEY, or X-API-Key: KEY",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return caller


MaybeCalling = Annotated[Caller | None, Depends(known_caller)]
Calling = Annotated[Caller, Depends(required_caller)]
