"""Compare all memories of the house, one round for each way in which they may differ.

Started by its schedule, by the gateway, or by hand with `temporal workflow start`; any number
may run at once, for every repair is a compare-and-set.
"""

from dataclasses import replace
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.reconcile import ReconcileActivities
from darkroom.domain.drift import (
    RECONCILE,
    DriftExample,
    DriftKind,
    DriftReport,
    ReconcileOrder,
    ReconcileReport,
    RoundOrder,
)
from workflows.durably import steadily
from workflows.options import ROUND

_BY_HAND = ReconcileOrder()


@workflow.defn(name=RECONCILE)
class ReconcileWorkflow:
    """One reconciliation; its result is the report, which the audit log keeps too."""

    @workflow.run
    async def run(self, order: ReconcileOrder = _BY_HAND) -> ReconcileReport:
        """Go every round; one that cannot be gone does not keep the others from it."""
        started_at = workflow.now()
        rounds: list[DriftReport] = []
        unfinished: list[DriftExample] = []
        for kind in order.kinds:
            try:
                rounds.append(await self._look_for(kind, order))
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                unfinished.append(DriftExample(target=kind, why=str(error.cause or error)))
        report = _report(order, started_at, rounds, unfinished)
        await steadily(ReconcileActivities.file_report, report)
        return report

    async def _look_for(self, kind: DriftKind, order: ReconcileOrder) -> DriftReport:
        """Go one round, in as many portions as it takes, or in portions only the next one."""
        asked = RoundOrder(
            kind=kind,
            by=order.by,
            dry_run=order.dry_run,
            resume_at=_left_at(kind) if order.in_portions else "",
            in_portions=order.in_portions,
        )
        report = await _portion(asked)
        while report.resume_at and not order.in_portions:
            asked = replace(asked, resume_at=report.resume_at)
            report = report.joined(await _portion(asked))
        return report


async def _portion(asked: RoundOrder) -> DriftReport:
    return await workflow.execute_activity_method(
        ReconcileActivities.look_for, asked, summary=asked.kind.value, **ROUND
    )


def _left_at(kind: DriftKind) -> str:
    """Say where the last scheduled reconciliation stopped looking."""
    if not workflow.has_last_completion_result():
        return ""
    last = workflow.get_last_completion_result(ReconcileReport)
    known = {one.kind: one.resume_at for one in last.rounds} if last else {}
    return known.get(kind, "")


def _report(
    order: ReconcileOrder,
    started_at: datetime,
    rounds: list[DriftReport],
    unfinished: list[DriftExample],
) -> ReconcileReport:
    return ReconcileReport(
        by=order.by,
        dry_run=order.dry_run,
        started_at=started_at,
        ended_at=workflow.now(),
        rounds=tuple(rounds),
        unfinished=tuple(unfinished),
    )
