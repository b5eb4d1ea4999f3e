"""What Temporal's schedules start: one small workflow a chore, which does it and ends.

A chore is tried until it is done; while it tries, its schedule skips. A chore that is missed
is made good by the next one.
"""

from temporalio import workflow

from activities.dead_letters import EscalationActivities
from darkroom.domain.escalation import Escalated, EscalateOrder, Ladder
from darkroom.domain.names import ESCALATE_DEAD_LETTERS
from workflows.options import CHORE


@workflow.defn(name=ESCALATE_DEAD_LETTERS)
class EscalateWorkflow:
    """Tell operators of every dead letter whose next telling is due."""

    @workflow.run
    async def run(self, ladder: Ladder) -> Escalated:
        """Tell in portions until nothing is due; counts the letters that were told."""
        told = 0
        while True:
            order = EscalateOrder(at=workflow.now(), ladder=ladder.rungs)
            escalated = await workflow.execute_activity_method(
                EscalationActivities.escalate, order, summary="tell operators", **CHORE
            )
            told += escalated.told
            if escalated.is_done:
                return Escalated(told=told, is_done=True)
