"""The queue's terms in memory; they pass the same suite as the databases."""

from collections.abc import Callable
from dataclasses import dataclass

from darkroom.domain.admission import QueueTerms
from darkroom.domain.audit import AuditEntry


@dataclass(slots=True, kw_only=True)
class Decisions:
    """What an operator decided last, as all fakes of one test share it."""

    terms: QueueTerms | None = None


class MemoryQueueStore:
    """The port `QueueStore` in memory."""

    def __init__(
        self, decisions: Decisions, *, deeds: list[AuditEntry], reach: Callable[[], None]
    ) -> None:
        """Share decisions and deeds; `reach` stands for the way to the database."""
        self._decisions = decisions
        self._deeds = deeds
        self._reach = reach

    async def terms(self) -> QueueTerms | None:
        """Read what an operator decided last; None: the settings hold."""
        self._reach()
        return self._decisions.terms

    async def change(self, terms: QueueTerms, deed: AuditEntry) -> None:
        """Keep terms and the deed that made them, both or neither."""
        self._reach()
        kept = self._decisions.terms
        if kept and kept.changed_at and terms.changed_at and kept.changed_at >= terms.changed_at:
            return
        self._decisions.terms = terms
        self._deeds.append(deed)
