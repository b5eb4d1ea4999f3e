"""Compare what the house's memories say of the same things, and mend what differs."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from temporalio import activity

from activities.heartbeats import beating
from activities.rounds import Round, Tally
from darkroom.domain.audit import DETAIL_BYTES, AuditEntry
from darkroom.domain.drift import (
    MOST_EXAMPLES,
    RECONCILE,
    DriftKind,
    DriftReport,
    ReconcileReport,
    RoundOrder,
)
from darkroom.domain.events import canonical_json
from darkroom.domain.ports import AuditLog


class ReconcileActivities:
    """Idempotent: what was mended is not found again, and what is not drift is not touched."""

    def __init__(self, rounds: Mapping[DriftKind, Round], audit: AuditLog) -> None:
        self._rounds = rounds
        self._audit = audit

    @activity.defn
    async def look_for(self, order: RoundOrder) -> DriftReport:
        """Go one round.

        Raises:
            StoreUnavailable: Temporal tries again.
        """
        tally = Tally(order=order, audit=self._audit)
        async with beating():
            await self._rounds[order.kind].go(tally)
        return tally.report()

    @activity.defn
    async def file_report(self, report: ReconcileReport) -> None:
        """Keep a report where operators find it; a repeated one stands there twice."""
        await self._audit.add(
            AuditEntry(
                at=datetime.now(UTC),
                actor=report.by,
                action=RECONCILE,
                target=RECONCILE,
                reason="dry run" if report.dry_run else "",
                detail=_fitting(report),
            )
        )


def _fitting(report: ReconcileReport) -> str:
    """Write a report as JSON with as many examples as the audit log has room for."""
    for most in range(MOST_EXAMPLES, 0, -1):
        shorter = replace(report, rounds=tuple(_with_examples(r, most) for r in report.rounds))
        text = canonical_json(shorter)
        if len(text.encode()) <= DETAIL_BYTES:
            return text
    bare = replace(report, rounds=tuple(_with_examples(r, 0) for r in report.rounds))
    return canonical_json(replace(bare, unfinished=()))


def _with_examples(report: DriftReport, most: int) -> DriftReport:
    return replace(report, examples=report.examples[:most])
