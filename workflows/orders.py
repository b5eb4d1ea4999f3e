"""What people tell an open job: checked first, so that a refused order changes nothing.

The same orders come as updates, whose sender hears the refusal, and as signals, whose refusal
is an event of the job.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.control import ControlActivities
from darkroom.domain.attempts import StopOrder
from darkroom.domain.control import (
    CancelMode,
    CancelOrder,
    Controlled,
    DecideOrder,
    PauseOrder,
    PriorityOrder,
    ResumeOrder,
)
from darkroom.domain.errors import IllegalTransition
from darkroom.domain.events import EventKind
from darkroom.domain.journal import Facts, JobJournal
from darkroom.domain.lifecycle import JobState
from workflows.durably import steadily
from workflows.floor import Floor
from workflows.unknowns import Unknowns


class Orders:
    """Checks an order against the job's state, and carries it out."""

    def __init__(
        self,
        journal: JobJournal,
        floor: Floor,
        unknowns: Unknowns,
        *,
        show: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._show = show
        self._floor = floor
        self._unknowns = unknowns
        self.is_closing = False  # the story is over; only the books are left

    def check_open(self, what: str) -> None:
        """Refuse an order to a job that is ending.

        Raises:
            IllegalTransition: with the reason.
        """
        state = self._journal.snapshot.state
        if state.is_terminal or self.is_closing:
            raise IllegalTransition(f"this job is ending; it cannot {what} any more")

    def check_halt(self, what: str) -> None:
        """Refuse to pause or resume a job that is being cancelled.

        Raises:
            IllegalTransition: with the reason.
        """
        self.check_open(what)
        if self._floor.clearance.is_stopping:
            raise IllegalTransition(
                f"this job is being cancelled; it cannot {what}, only end when what is in "
                "flight is collected"
            )

    def check_decision(self, order: DecideOrder) -> None:
        """Refuse a decision that nobody waits for.

        Raises:
            IllegalTransition: with the items that do wait.
        """
        self.check_open("be decided about")
        asking = sorted(self._unknowns.asking)
        if not asking:
            raise IllegalTransition("no picture of this job waits for a decision")
        if order.item is not None and order.item not in asking:
            raise IllegalTransition(
                f"picture {order.item} does not wait for a decision; these do: {', '.join(asking)}"
            )

    def pause(self, order: PauseOrder) -> Controlled:
        """Buy nothing more until resumed."""
        self.check_halt("be paused")
        if self._floor.clearance.is_paused:
            return self._controlled(changed=False)
        self._floor.clearance.pause()
        self._journal.advance(JobState.PAUSED, at=workflow.now())
        self._note(EventKind.JOB_PAUSED, by=order.by, note=order.reason or None)
        self._show()
        return self._controlled()

    def resume(self, order: ResumeOrder) -> Controlled:
        """Go on where the job was."""
        self.check_halt("be resumed")
        if not self._floor.clearance.is_paused:
            return self._controlled(changed=False)
        has_begun = self._journal.snapshot.started_at is not None
        to = JobState.PROCESSING if has_begun else JobState.PENDING
        self._journal.advance(to, at=workflow.now())
        self._floor.clearance.resume()
        self._note(EventKind.JOB_RESUMED, by=order.by)
        self._show()
        return self._controlled()

    async def cancel(self, order: CancelOrder) -> Controlled:
        """Stop: at once as `temporal workflow cancel` does, or when what is in flight is in."""
        self.check_open("be cancelled")
        clearance = self._floor.clearance
        is_repeated = clearance.is_stopping and order.mode is CancelMode.AFTER_CURRENT
        if is_repeated:
            return self._controlled(changed=False)
        self._note(EventKind.JOB_STOPPING, by=order.by, note=order.mode)
        clearance.stop()
        if order.mode is CancelMode.NOW:
            await stop_now()
        return self._controlled()

    def rank(self, order: PriorityOrder) -> Controlled:
        """Move the job up or down in the queue."""
        self.check_open("change its priority")
        if order.priority == self._journal.priority:
            return self._controlled(changed=False)
        self._journal.rank(order.priority)
        self._note(EventKind.PRIORITY_CHANGED, by=order.by, note=order.priority)
        self._floor.lease.change_priority(order.priority)
        return self._controlled()

    def decide(self, order: DecideOrder) -> Controlled:
        """Settle purchases of unknown outcome."""
        self.check_decision(order)
        self._unknowns.decide(order)
        return self._controlled()

    def refuse(self, what: str, reason: Exception) -> None:
        """Write down that a signal could not be followed."""
        if self._journal.snapshot.state.is_terminal:
            workflow.logger.warning("order %s came too late: %s", what, reason)
            return
        self._note(EventKind.ORDER_REFUSED, note=f"{what}: {reason}")

    def _controlled(self, *, changed: bool = True) -> Controlled:
        return Controlled(state=self._journal.snapshot.state, changed=changed)

    def _note(self, kind: EventKind, *, by: str | None = None, note: str | None = None) -> None:
        self._journal.note(kind, at=workflow.now(), facts=Facts(by=by, note=note))


@contextmanager
def refusing() -> Generator[None]:
    """Answer an order that cannot be followed with its reason, and leave the run alone."""
    try:
        yield
    except IllegalTransition as refused:
        raise ApplicationError(str(refused), type=refused.code, non_retryable=True) from refused


async def stop_now() -> None:
    """Have Temporal cancel this run, so that its own status says how the job ended."""
    info = workflow.info()
    order = StopOrder(workflow_id=info.workflow_id, run_id=info.run_id)
    await steadily(ControlActivities.stop, order)
