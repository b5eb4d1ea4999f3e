"""The emulators as a process of their own, with their fault plan and their ledger at hand."""

import ssl
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.subprocesses import announced_address, ended, wait_for_answer

Rule = dict[str, Any]
SHARED_TLS = ssl.create_default_context()  # unused, but costly to make for every client


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A call that an emulated provider took on, as its ledger shows it."""

    endpoint: str  # chat | generate | gemini
    call: str | None  # X-Darkroom-Call
    model: str
    task_id: str | None
    request_sha256: str
    billed: bool
    amount_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulated:
    """The control plane of running emulators."""

    address: str

    async def befall(self, *rules: Rule) -> None:
        """Replace the fault plan; rules are written as `emulators/faults/rules.py` reads them."""
        await self._control("PUT", "faults", content=list(rules))

    async def met_counts(self) -> tuple[int, ...]:
        """Count the calls that each rule of the plan has met, in its order."""
        report = await self._control("GET", "faults")
        return tuple(rule["matched"] for rule in report["rules"])

    async def ledger(self) -> tuple[Accepted, ...]:
        """Read the accepted calls in order."""
        report = await self._control("GET", "ledger")
        return tuple(
            Accepted(
                endpoint=entry["endpoint"],
                call=entry["call"],
                model=entry["model"],
                task_id=entry["taskId"],
                request_sha256=entry["requestSha256"],
                billed=entry["billed"],
                amount_micros=entry["amountMicros"],
            )
            for entry in report["entries"]
        )

    async def forget(self) -> None:
        """Clear the ledger and the fault plan."""
        await self.befall()
        await self._control("DELETE", "ledger")

    async def _control(self, method: str, what: str, content: Any = None) -> Any:
        async with httpx.AsyncClient(trust_env=False, verify=SHARED_TLS) as client:
            answer = await client.request(
                method, f"{self.address}/_control/{what}", json=content, timeout=10
            )
        answer.raise_for_status()
        return answer.json() if answer.content else None


@contextmanager
def running_emulators(
    *,
    chat_seconds: float = 0.0,
    picture_seconds: float = 0.05,
    picture_pixels: int = 64,
    result_ttl_seconds: float = 600.0,
    port: int = 0,
) -> Generator[Emulated]:
    """Run the emulators while the block runs.

    Args:
        chat_seconds: from acceptance of a chat to its answer.
        picture_seconds: from acceptance of a task to its end.
        picture_pixels: side of a 1K picture.
        result_ttl_seconds: how long a result can be fetched.
        port: 0 takes a free one.
    """
    flags = {
        "--port": port,
        "--chat-seconds": chat_seconds,
        "--picture-seconds": picture_seconds,
        "--picture-pixels": picture_pixels,
        "--result-ttl-seconds": result_ttl_seconds,
    }
    words = [str(word) for flag in flags.items() for word in flag]
    command = [sys.executable, "-m", "emulators", *words]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:  # noqa: S603  (our own command)
        address = announced_address(process)
        wait_for_answer(f"{address}/_control/health", process)
        yield Emulated(address=address)
