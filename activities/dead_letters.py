"""Tell operators of dead letters that wait for them, again with every rung of the ladder."""

import structlog
from temporalio import activity

from darkroom.domain.escalation import Escalated, EscalateOrder, Escalation
from darkroom.domain.names import ESCALATE_DEAD_LETTERS
from darkroom.domain.ports import Alert, DeadLetterStore, Notifier

log = structlog.get_logger()

AT_ONCE = 100  # letters in one alert; more are told in the next one


class EscalationActivities:
    """Idempotent by (job, run, level): a level is raised only after it was told.

    A worker that dies in between tells again, under the same key; no telling is lost.
    """

    def __init__(self, letters: DeadLetterStore, notifier: Notifier) -> None:
        self._letters = letters
        self._notifier = notifier

    @activity.defn
    async def escalate(self, order: EscalateOrder) -> Escalated:
        """Tell of the letters that are due, oldest first, as many as fit one alert.

        Raises:
            OperatorsUnreachable: Temporal tries again.
            StoreUnavailable: Temporal tries again.
        """
        due = await self._letters.due(order.at, order.ladder, limit=AT_ONCE)
        if due:
            await self._notifier.tell([_alert(one, order) for one in due])
            for one in due:
                _log(one)
            await self._letters.escalate(due, at=order.at, by=ESCALATE_DEAD_LETTERS)
        return Escalated(told=len(due), is_done=len(due) < AT_ONCE)


def _log(one: Escalation) -> None:
    letter = one.record.letter
    log.warning(
        "dead_letter_escalated",
        job_id=letter.job_id,
        run=letter.run,
        times_told=one.level,
        code=letter.failure.code,
        stage=letter.stage,
        parked_at=letter.parked_at.isoformat(),
        remedy=letter.remedy,
    )


def _alert(one: Escalation, order: EscalateOrder) -> Alert:
    letter = one.record.letter
    return Alert(
        key=one.key,
        kind="dead_letter_escalated",
        at=order.at,
        facts={
            "jobId": letter.job_id,
            "run": letter.run,
            "level": one.level,
            "owner": letter.owner,
            "code": letter.failure.code,
            "message": letter.failure.message,
            "stage": letter.stage,
            "item": letter.item,
            "provider": letter.failure.provider,
            "attempts": letter.attempts,
            "parkedAt": letter.parked_at,
            "remedy": letter.remedy,
        },
    )
