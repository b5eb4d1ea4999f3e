"""The scheduled chore tells operators of dead letters, as often as the ladder says."""

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.dead_letters import AT_ONCE, EscalationActivities
from darkroom.domain.dead_letters import LetterFilter
from darkroom.domain.errors import OperatorsUnreachable, StoreUnavailable
from darkroom.domain.escalation import Escalated, Escalation, Ladder
from darkroom.domain.ports import Alert
from tests.support.builders import JOB, a_job_id, a_letter
from tests.support.databases import memory_letters
from tests.support.fake_letters import MemoryDeadLetterStore
from tests.support.fakes import MemoryState
from tests.support.workers import STRICT
from workflows.schedules import EscalateWorkflow

LADDER = Ladder(rungs=(timedelta(days=365 * 100),))  # nothing but the first telling


@dataclass(kw_only=True)
class Telephone:
    """A notifier that keeps what it was told, and does not answer at first if asked to."""

    refusals_left: int = 0
    calls: list[list[Alert]] = field(default_factory=list[list[Alert]])

    async def tell(self, alerts: Sequence[Alert]) -> None:
        """Listen, or be away."""
        if self.refusals_left:
            self.refusals_left -= 1
            raise OperatorsUnreachable("nobody is at home; call again")
        self.calls.append(list(alerts))


@dataclass(kw_only=True)
class Office:
    """Letters, the telephone, and a worker that serves both."""

    client: Client
    letters: MemoryDeadLetterStore
    telephone: Telephone
    task_queue: str

    async def park(self, count: int) -> None:
        """Park that many letters, a minute ago."""
        at = datetime.now(UTC) - timedelta(minutes=1)
        for number in range(count):
            letter = a_letter(
                job_id=a_job_id(number), parked_at=at + timedelta(microseconds=number)
            )
            await self.letters.park(letter, by="test")

    async def escalate(self) -> Escalated:
        """Do the chore once, as the schedule does."""
        return await self.client.execute_workflow(
            EscalateWorkflow.run, LADDER, id=str(uuid.uuid4()), task_queue=self.task_queue
        )


class ForgetfulStore(MemoryDeadLetterStore):
    """Loses the first word of what was told, as a database that goes away just then."""

    has_forgotten = False

    async def escalate(self, told: Sequence[Escalation], *, at: datetime, by: str) -> int:
        """Go away once."""
        if not self.has_forgotten:
            self.has_forgotten = True
            raise StoreUnavailable("the store in memory went away after the telling")
        return await super().escalate(told, at=at, by=by)


def a_forgetful_store() -> ForgetfulStore:
    """Open one over a state of its own."""
    state = MemoryState()
    return ForgetfulStore(state.archive, reach=state.reach, is_failed=state.is_failed)


@asynccontextmanager
async def an_office(
    client: Client, telephone: Telephone, letters: MemoryDeadLetterStore | None = None
) -> AsyncGenerator[Office]:
    """Open an office while the block runs."""
    letters = letters or memory_letters(MemoryState())
    office = Office(
        client=client, letters=letters, telephone=telephone, task_queue=f"test-{uuid.uuid4()}"
    )
    async with Worker(
        client,
        task_queue=office.task_queue,
        workflows=[EscalateWorkflow],
        activities=[EscalationActivities(letters, telephone).escalate],
        workflow_runner=SandboxedWorkflowRunner(restrictions=STRICT),
    ):
        yield office


async def test_parked_letter_is_told_once(client: Client) -> None:
    """The alert says enough to act on, and the next run of the chore stays silent."""
    async with an_office(client, Telephone()) as office:
        await office.park(1)

        first, second = await office.escalate(), await office.escalate()

    assert (first.told, second.told) == (1, 0)
    ((alert,),) = office.telephone.calls
    assert alert.key == f"{a_job_id(0)}/1/1"
    assert alert.facts["code"] == "provider_unavailable"
    assert alert.facts["remedy"] == "redrive"
    record = await office.letters.letter(a_job_id(0))
    assert record is not None
    assert record.level == 1


async def test_telling_is_logged_as_a_warning_with_the_job(client: Client) -> None:
    """An operator without a webhook finds it in the log."""
    with capture_logs() as logs:
        async with an_office(client, Telephone()) as office:
            await office.park(1)
            await office.escalate()

    (line,) = [line for line in logs if line["event"] == "dead_letter_escalated"]
    assert (line["log_level"], line["job_id"], line["times_told"]) == ("warning", a_job_id(0), 1)


async def test_telling_that_failed_is_told_again(client: Client) -> None:
    """The level rises only after somebody was told, so an outage of the webhook loses nothing."""
    async with an_office(client, Telephone(refusals_left=2)) as office:
        await office.park(1)

        escalated = await office.escalate()

    assert escalated.told == 1
    assert len(office.telephone.calls) == 1


async def test_telling_that_was_not_written_down_is_repeated_under_the_same_key(
    client: Client,
) -> None:
    """Better twice than never, and a receiver can tell that it is the same."""
    async with an_office(client, Telephone(), a_forgetful_store()) as office:
        await office.park(1)

        await office.escalate()

    first, again = office.telephone.calls
    assert [alert.key for alert in first] == [alert.key for alert in again]
    record = await office.letters.letter(a_job_id(0))
    assert record is not None
    assert record.level == 1


async def test_flood_is_told_in_portions_without_repeats(client: Client) -> None:
    """A thousand letters are a few messages, not a thousand; each letter stands in one."""
    async with an_office(client, Telephone()) as office:
        await office.park(2 * AT_ONCE + 5)

        escalated = await office.escalate()

    keys = [alert.key for call in office.telephone.calls for alert in call]
    assert escalated.told == len(keys) == len(set(keys)) == 2 * AT_ONCE + 5
    assert [len(call) for call in office.telephone.calls] == [AT_ONCE, AT_ONCE, 5]
    untold = await office.letters.due(datetime.now(UTC), LADDER.rungs, limit=1)
    assert untold == ()


async def test_nothing_parked_disturbs_nobody(client: Client) -> None:
    """An empty shelf is not an alert."""
    async with an_office(client, Telephone()) as office:
        assert await office.escalate() == Escalated(told=0, is_done=True)

    assert office.telephone.calls == []
    assert await office.letters.letters(LetterFilter(), limit=1) == ()
    assert await office.letters.letter(JOB) is None
