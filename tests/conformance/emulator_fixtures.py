"""Emulators on this event loop's own sockets, and a server to be called back at."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from emulators.options import EmulatorOptions
from emulators.serving import running_emulators
from tests.support.waiting import eventually

SYSTEM = 'Enrich the prompt. Answer in json like {"prompt": "..."}.'
QUICK = EmulatorOptions(
    port=0, chat_seconds=0, picture_seconds=0, picture_pixels=64, result_ttl_seconds=60
)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulators:
    """Running emulators, and a client that carries a key."""

    address: str
    client: httpx.AsyncClient

    async def befall(self, *rules: Json) -> None:
        """Put a fault plan."""
        answer = await self.client.put("/_control/faults", json=list(rules))
        answer.raise_for_status()

    async def ledger(self) -> Json:
        """Read the ledger."""
        return (await self.client.get("/_control/ledger")).json()

    async def entries(self) -> list[Json]:
        """Read the ledger's entries."""
        return (await self.ledger())["entries"]

    async def chat(self, **changes: Any) -> httpx.Response:
        """Send a chat that is in order, but for the changes."""
        return await self.client.post("/chat/completions", json=a_chat(**changes))

    async def submit(self, path: str = "generate-2", **changes: Any) -> str:
        """Submit a picture task and take its id."""
        answer = await self.call_submit(path, **changes)
        return answer.json()["data"]["taskId"]

    async def call_submit(self, path: str = "generate-2", **changes: Any) -> httpx.Response:
        """Submit a picture task that is in order, but for the changes."""
        body = {"prompt": "a lamp at noon", "outputFormat": "png", **changes}
        return await self.client.post(f"/api/v1/nanobanana/{path}", json=body)

    async def record(self, task_id: str) -> Json:
        """Look a task up."""
        query = {"taskId": task_id}
        answer = await self.client.get("/api/v1/nanobanana/record-info", params=query)
        return answer.json()["data"]

    async def ended(self, task_id: str) -> Json:
        """Wait for a task to end and give its record."""

        async def ended() -> Json | None:
            record = await self.record(task_id)
            return record if record["successFlag"] else None

        record = await eventually(ended, what=f"the end of task {task_id}")
        assert record is not None
        return record

    async def download(self, task_id: str) -> httpx.Response:
        """Download the picture of a task when it has ended."""
        record = await self.ended(task_id)
        return await self.client.get(record["response"]["resultImageUrl"])


@asynccontextmanager
async def emulators_with(options: EmulatorOptions = QUICK) -> AsyncGenerator[Emulators]:
    """Run emulators while the block runs."""
    async with (
        running_emulators(options) as address,
        httpx.AsyncClient(
            base_url=address, headers={"Authorization": "Bearer key"}, trust_env=False
        ) as client,
    ):
        yield Emulators(address=address, client=client)


def a_chat(**changes: Any) -> Json:
    """Build a chat request in JSON mode, without thinking."""
    return {
        "model": "deepseek-flash",
        "thinking": {"type": "disabled"},
        "response_format": {"type": "json_object"},
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": "A solar lamp on a quay"},
        ],
        **changes,
    }


@dataclass(slots=True)
class Neighbour:
    """A server of ours: it takes callbacks, and serves files by path."""

    address: str
    answers: list[int] = field(default_factory=list[int])  # statuses of the next answers, then 200
    calls: asyncio.Queue[Json] = field(default_factory=asyncio.Queue[Json])
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def callback_url(self) -> str:
        """Where callbacks are taken."""
        return f"{self.address}/callbacks/1?t=token"

    async def next_call(self) -> Json:
        """Wait for the next callback."""
        async with asyncio.timeout(10):
            return await self.calls.get()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the calls of one connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                lengths = [line for line in head.splitlines() if line.startswith("content-length")]
                length = int(lengths[0].split(":")[1]) if lengths else 0
                body = await reader.readexactly(length)
                writer.write(self._answer(head.split()[1], body))
                await writer.drain()
        writer.close()

    def _answer(self, path: str, body: bytes) -> bytes:
        if body:
            self.calls.put_nowait(json.loads(body))
            status, content = self.answers.pop(0) if self.answers else 200, b""
        else:
            content = self.files.get(path, b"")
            status = 200 if path in self.files else 404
        return f"HTTP/1.1 {status} X\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content


@asynccontextmanager
async def a_neighbour(files: Mapping[str, bytes] | None = None) -> AsyncGenerator[Neighbour]:
    """Run a neighbour while the block runs."""
    neighbour = Neighbour(address="", files=files or {})
    server = await asyncio.start_server(neighbour.serve, "127.0.0.1", 0)
    neighbour.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield neighbour
