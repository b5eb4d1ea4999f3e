"""The one record of what callers bought: every accepted call, and whether it is billed.

Written at acceptance, before the answer is on its way, so a lost answer is a billed answer. Both
accounts follow from it: what is left is what the options gave minus what stands billed here.
"""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

CURRENCY = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One accepted call. `call` is the caller's own name for it, from X-Darkroom-Call."""

    endpoint: str  # chat | generate | gemini
    model: str
    call: str | None
    task_id: str | None
    request_sha256: str
    amount_micros: int
    credits: int = 0
    units: int  # pictures, or tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A purchase in its place in the ledger."""

    sequence: int
    at: datetime
    purchase: Purchase
    billed: bool = True


@dataclass(slots=True)
class Ledger:
    """Accepted calls in order, running totals, and how many calls are open now and were at most.

    Sequence numbers go on after `clear`, so a bill withdrawn late can never hit a stranger's entry.
    """

    entries: dict[int, Entry] = field(default_factory=dict[int, Entry])
    last_sequence: int = 0
    billed_micros: Counter[str] = field(default_factory=Counter[str])
    billed_credits: int = 0
    in_flight: Counter[str] = field(default_factory=Counter[str])
    most_in_flight: Counter[str] = field(default_factory=Counter[str])

    def accept(self, purchase: Purchase) -> int:
        """Book a call that the provider has taken on.

        Returns:
            Its sequence number, from 1.
        """
        self.last_sequence += 1
        entry = Entry(sequence=self.last_sequence, at=datetime.now(UTC), purchase=purchase)
        self.entries[entry.sequence] = entry
        self._count(purchase, sign=1)
        return entry.sequence

    def withdraw_bill(self, sequence: int) -> None:
        """Give the money of a failed task back; unknown numbers were cleared and are ignored."""
        entry = self.entries.get(sequence)
        if entry is None or not entry.billed:
            return
        self.entries[sequence] = replace(entry, billed=False)
        self._count(entry.purchase, sign=-1)

    def clear(self) -> None:
        """Forget every entry; the accounts are full again and the high-water marks start over."""
        self.entries.clear()
        self.billed_micros.clear()
        self.billed_credits = 0
        self.most_in_flight = Counter(self.in_flight)

    @contextmanager
    def open_call(self, endpoint: str) -> Generator[None]:
        """Count a call as in flight while the block runs."""
        self.in_flight[endpoint] += 1
        self.most_in_flight[endpoint] = max(self.most_in_flight[endpoint], self.in_flight[endpoint])
        try:
            yield
        finally:
            self.in_flight[endpoint] -= 1

    def report(self) -> dict[str, Any]:
        """Answer GET /_control/ledger."""
        return {
            "entries": [_wire(entry) for entry in self.entries.values()],
            "totals": self._totals(),
            "in_flight": dict(self.in_flight),
            "most_in_flight": dict(self.most_in_flight),
        }

    def _count(self, purchase: Purchase, *, sign: int) -> None:
        self.billed_micros[purchase.endpoint] += sign * purchase.amount_micros
        self.billed_credits += sign * purchase.credits

    def _totals(self) -> dict[str, Any]:
        entries = self.entries.values()
        return {
            "accepted": len(entries),
            "billed": sum(entry.billed for entry in entries),
            "amountMicros": sum(self.billed_micros.values()),
            "currency": CURRENCY,
            "credits": self.billed_credits,
            "acceptedByEndpoint": dict(Counter(entry.purchase.endpoint for entry in entries)),
            "amountMicrosByEndpoint": dict(self.billed_micros),
        }


def _wire(entry: Entry) -> dict[str, Any]:
    bought = asdict(entry.purchase)
    return {
        "sequence": entry.sequence,
        "at": entry.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "endpoint": bought["endpoint"],
        "call": bought["call"],
        "model": bought["model"],
        "taskId": bought["task_id"],
        "requestSha256": bought["request_sha256"],
        "billed": entry.billed,
        "amountMicros": bought["amount_micros"],
        "currency": CURRENCY,
        "credits": bought["credits"],
        "units": bought["units"],
    }
