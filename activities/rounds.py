"""What every round of reconcile shares: count what is found, mend it, and say so once.

A round looks at each thing twice before it calls it drift, because most of what looks wrong
for a moment is only on its way. It mends through the same compare-and-sets as everybody else,
so a thing that moved in between is left alone, and two rounds at once mend it once.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import structlog

from darkroom.domain.audit import AuditEntry, detail_text
from darkroom.domain.drift import MOST_EXAMPLES, DriftExample, DriftReport, RoundOrder
from darkroom.domain.errors import StoreUnavailable
from darkroom.domain.ports import AuditLog

PAGE = 100  # rows at a time

log = structlog.get_logger()

Mend = Callable[[], Awaitable[str]]


@dataclass(slots=True, kw_only=True)
class Tally:
    """One round's books. A mend answers what it did, or nothing if there was nothing left."""

    order: RoundOrder
    audit: AuditLog
    looked_at: int = 0
    found: int = 0
    repaired: int = 0
    failed: int = 0
    examples: list[DriftExample] = field(default_factory=list[DriftExample])
    resume_at: str = ""

    def look(self) -> datetime:
        """Count one thing that is looked at; answers the time."""
        self.looked_at += 1
        return datetime.now(UTC)

    async def note(self, target: str, why: str, mend: Mend | None = None) -> None:
        """Count a drift, and mend it unless this is a dry run."""
        self.found += 1
        done = ""
        if mend and not self.order.dry_run:
            done = await self._mended(target, why, mend)
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(DriftExample(target=target, why=why, repaired=done))
        # What is only reported is found again every time.
        say = log.warning if done else log.info
        say("drift_found", kind=self.order.kind, target=target, why=why, repaired=done)

    async def mark(self, target: str, why: str) -> None:
        """Write down, once, what cannot be mended."""
        action = f"report {self.order.kind}"
        known = await self.audit.entries(target, limit=1)
        if not known or known[0].entry.action != action:
            await self._audit(action, target, why)

    async def _mended(self, target: str, why: str, mend: Mend) -> str:
        try:
            done = await mend()
        except StoreUnavailable:
            raise
        except Exception:
            # One thing that cannot be mended must not keep the round from the others.
            self.failed += 1
            log.exception("drift_not_repaired", kind=self.order.kind, target=target)
            return ""
        if done:
            self.repaired += 1
            await self._audit(f"repair {self.order.kind}", target, why, repaired=done)
        return done

    async def _audit(self, action: str, target: str, why: str, **changes: str) -> None:
        await self.audit.add(
            AuditEntry(
                at=datetime.now(UTC),
                actor=self.order.by,
                action=action,
                target=target,
                reason=why,
                detail=detail_text(changes) if changes else "",
            )
        )

    def report(self) -> DriftReport:
        """Close the books."""
        return DriftReport(
            kind=self.order.kind,
            looked_at=self.looked_at,
            found=self.found,
            repaired=self.repaired,
            failed=self.failed,
            examples=tuple(self.examples),
            resume_at=self.resume_at,
        )


class Round(Protocol):
    """Looks for one kind of drift."""

    async def go(self, tally: Tally) -> None:
        """Look at everything there is, once."""
        ...
