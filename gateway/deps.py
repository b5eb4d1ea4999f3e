"""What a request is served with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from darkroom.domain.ports import (
    AuditLog,
    CallLedger,
    DeadLetterStore,
    Differentiator,
    Doorbell,
    FileCatalog,
    FileStore,
    GateBoard,
    JobStore,
    Outbox,
    PictureCheck,
    PromptCache,
)
from darkroom.settings import Settings
from gateway.auth import Caller, Keys
from gateway.commands import (
    GateCommands,
    JobCommands,
    JobOrders,
    QueueCommands,
    ReconcileCommands,
)
from gateway.errors import SCOPE_MISSING, UNAUTHENTICATED, Problem
from gateway.queue_watch import QueueWatch
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


# Both only describe where a key may stand; neither refuses by itself.
BEARER = HTTPBearer(auto_error=False)
API_KEY = APIKeyHeader(name="X-API-Key", auto_error=False)

Check = Callable[[], Awaitable[None]]

# A large photo takes a quarter of a gigabyte while it is decoded.
MOST_DECODING = 1
# More threads would starve the event loop of the processor.
MOST_CHOOSING = 2
CHOOSING_PATIENCE_SECONDS = 5.0  # most questions take less than one


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
    prompts: PromptCache
    letters: DeadLetterStore
    audit: AuditLog
    catalog: FileCatalog
    files: StreamedFiles
    pictures: PictureCheck
    differentiator: Differentiator
    commands: JobCommands
    orders: JobOrders
    pool: QueueCommands
    queue: QueueWatch
    gates: GateCommands
    reconciling: ReconcileCommands
    board: GateBoard
    reader: JobReader
    checks: Mapping[str, Check]
    decoding: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_DECODING))
    choosing_patience_seconds: float = CHOOSING_PATIENCE_SECONDS
    choosing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_CHOOSING))


def gateway_of(request: Request) -> Gateway:
    """Find the gateway that serves this request."""
    return cast("Gateway", request.app.state.gateway)


Served = Annotated[Gateway, Depends(gateway_of)]


def known_caller(
    gateway: Served,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
    api_key: Annotated[str | None, Security(API_KEY)],
) -> Caller | None:
    """Say who is calling, if they say so."""
    token = bearer.credentials if bearer else api_key
    return gateway.keys.caller(token.strip()) if token else None


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


def required_operator(caller: Annotated[Caller, Depends(required_caller)]) -> Caller:
    """Refuse whoever does not run the house.

    Raises:
        Problem: unauthenticated or scope_missing.
    """
    if not caller.may_operate:
        raise Problem(
            SCOPE_MISSING,
            f"the key of {caller.owner} is not an operator's",
            remedy="send the operator's key (DARKROOM_OPERATOR_KEY), or ask whoever holds it",
        )
    return caller


MaybeCalling = Annotated[Caller | None, Depends(known_caller)]
Calling = Annotated[Caller, Depends(required_caller)]
Operating = Annotated[Caller, Depends(required_operator)]
