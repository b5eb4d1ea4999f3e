"""What the emulated providers saw: every accepted call, and how long it was under way."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx

from emulators.pace import jittered
from tests.support.stacks import Running

CHAT = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidCall:
    """One accepted call; `call` is X-Darkroom-Call, which begins with the job's id."""

    endpoint: str
    call: str
    billed: bool
    amount_micros: int
    begins_at: datetime
    ends_at: datetime

    @property
    def is_picture(self) -> bool:
        """Say whether a picture was bought, and not words."""
        return self.endpoint != CHAT

    @property
    def job(self) -> str:
        """Id of the job that paid."""
        return self.call.partition("/")[0]


async def paid_calls(running: Running) -> tuple[PaidCall, ...]:
    """Read the emulators' ledger, with the shortest time each call can have taken."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        answer = await client.get(f"{running.layout.emulators_url}/_control/ledger")
    return tuple(
        PaidCall(
            endpoint=entry["endpoint"],
            call=entry["call"] or "",
            billed=entry["billed"],
            amount_micros=entry["amountMicros"],
            begins_at=(begins := datetime.fromisoformat(entry["at"])),
            ends_at=begins + _shortest(running, entry["endpoint"], entry["sequence"]),
        )
        for entry in answer.json()["entries"]
    )


def bought_twice(calls: Iterable[PaidCall]) -> int:
    """Count the pictures that were paid for more than once under the same name, or namelessly."""
    pictures = Counter(call.call for call in calls if call.is_picture and call.billed)
    nameless = pictures.pop("", 0)
    return nameless + sum(count - 1 for count in pictures.values())


def most_jobs_at_once(calls: Iterable[PaidCall]) -> int:
    """Count the different jobs with a paid call under way at the busiest moment."""
    moves = [
        move
        for call in calls
        for move in ((call.begins_at, 1, call.job), (call.ends_at, -1, call.job))
    ]
    under_way: Counter[str] = Counter()
    most = 0
    for _, change, job in sorted(moves):  # at the same moment an end comes before a begin
        under_way[job] += change
        most = max(most, sum(count > 0 for count in under_way.values()))
    return most


def _shortest(running: Running, endpoint: str, sequence: int) -> timedelta:
    settings = running.settings
    if endpoint == CHAT:
        return timedelta(seconds=settings.emulators_chat_seconds)
    pace = settings.emulators_picture_seconds
    return timedelta(seconds=jittered(pace, seed=settings.emulators_seed, sequence=sequence))
