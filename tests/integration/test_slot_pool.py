"""Who works and who waits, on the real server: the pool, and jobs that need a slot."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from darkroom.domain.admission import (
    NO_OWNER_LIMIT,
    Holder,
    QueueTerms,
    QueueView,
    SlotGrant,
    SlotRelease,
    SlotRequest,
)
from darkroom.domain.job import JobId, OwnerId, Priority
from darkroom.domain.names import (
    RELEASE_SLOT_SIGNAL,
    REQUEST_SLOT_SIGNAL,
    SET_PRIORITY,
    SLOT_GRANTED_SIGNAL,
)
from tests.support.builders import ADA, BOB
from tests.support.slot_pools import House, all_over
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.slot_pools"]


@pytest.fixture
def house(server: Client) -> House:
    """A queue with two slots, in which work ends when the test says so."""
    made = House(client=server)
    made.floor.seconds = -1
    return made


async def test_never_more_work_than_there_are_slots(server: Client) -> None:
    """And everybody works once; what happened is what a replay finds, too."""
    house = House(client=server, seeds=QueueTerms(concurrency=3))
    house.floor.seconds = 0.02
    async with house.open():
        jobs = [
            await house.submit(f"job_{number:02d}", owner=OwnerId(f"owner_{number % 4}"))
            for number in range(24)
        ]

        await all_over(jobs)
        await house.replayed(*jobs)

    assert house.floor.most == 3
    assert set(house.floor.times_begun().values()) == {1}
    assert len(house.floor.began) == 24


async def test_turns_follow_the_rule(house: House) -> None:
    """Priority first, then submit time, whatever order the requests came in."""
    house.seeds = QueueTerms(concurrency=1)
    house.floor.seconds = 0.0
    now = datetime.now(UTC)
    async with house.open():
        await house.change(is_paused=True)
        jobs = [
            await house.submit(name, priority=priority, submitted_at=now + later)
            for name, priority, later in (
                ("low", Priority.LOW, timedelta(0)),
                ("late", Priority.NORMAL, timedelta(seconds=2)),
                ("early", Priority.NORMAL, timedelta(seconds=1)),
                ("high", Priority.HIGH, timedelta(seconds=3)),
                ("aged", Priority.LOW, -2 * house.plan.aging),
            )
        ]
        await house.waiting(5)
        await house.change(is_paused=False)

        await all_over(jobs)

    assert house.floor.began == ["aged", "high", "early", "late", "low"]


async def test_the_second_owner_gets_the_next_slot(house: House) -> None:
    """Though the first owner has a long line."""
    async with house.open():
        flood = [await house.submit(f"ada_{number}") for number in range(6)]
        await house.waiting(4)
        bobs = await house.submit("bob", owner=BOB)
        view = await house.waiting(5)
        assert view.waiting[0].job_id == "bob"

        house.floor.send_home(view.working[0].job_id)
        await house.at_work(view.working[1].job_id, "bob")

        house.floor.send_home("bob", *(job.id for job in flood))
        await all_over([*flood, bobs])


async def test_a_paused_queue_gives_nothing_away_until_it_is_resumed(house: House) -> None:
    """Those at work go on; those that wait are told why."""
    async with house.open():
        at_work = [await house.submit(name) for name in ("one", "two")]
        await house.at_work("one", "two")
        await house.change(is_paused=True, reason="the provider is away")
        waits = await house.submit("three")
        await house.waiting(1)

        house.floor.send_home("one")
        await all_over(at_work[:1])
        place = await house.place("three")

        assert place
        assert "paused" in place.why
        assert house.floor.at_work == ["two"]

        await house.change(is_paused=False)
        await house.at_work("two", "three")
        house.floor.send_home("two", "three")
        await all_over([waits, at_work[1]])


async def test_a_lower_limit_takes_effect_as_jobs_end(house: House) -> None:
    """Nobody is stopped; a higher one takes effect at once."""
    async with house.open():
        jobs = [await house.submit(name) for name in ("one", "two", "three", "four")]
        await house.waiting(2)
        first = [job.job_id for job in (await house.view()).working]
        await house.change(concurrency=1)

        house.floor.send_home(first[0])
        await eventually(lambda: len(house.floor.at_work) == 1, what="one at work")

        async def has_one_left() -> bool:
            return [job.job_id for job in (await house.view()).working] == first[1:]

        await eventually(has_one_left, what="one slot taken")
        await house.waiting(2)

        await house.change(concurrency=3)
        await eventually(lambda: len(house.floor.at_work) == 3, what="three at work")
        house.floor.send_home(*(job.id for job in jobs))
        await all_over(jobs)


async def test_an_owner_at_the_cap_waits_beside_a_free_slot(house: House) -> None:
    """Until the cap is lifted."""
    house.seeds = QueueTerms(concurrency=3, owner_limit=1)
    async with house.open():
        jobs = [await house.submit(name) for name in ("one", "two")]
        await house.waiting(1)
        place = await house.place((await house.view()).waiting[0].job_id)
        assert place
        assert "one owner" in place.why

        terms = await house.change(owner_limit=NO_OWNER_LIMIT)

        assert terms.owner_limit is None
        await house.at_work("one", "two")
        house.floor.send_home("one", "two")
        await all_over(jobs)


async def test_a_change_is_audited_and_outlives_the_pool(house: House) -> None:
    """The settings only seed; what an operator decided holds in a pool without a memory too."""
    async with house.open():
        await house.change(concurrency=7, is_draining=True, reason="closing time")
        await house.pool.terminate()
        terms = (await house.counted()).terms

    assert (terms.concurrency, terms.is_draining, terms.changed_by) == (7, True, "operator")
    (deed,) = house.state.archive.deeds
    assert (deed.actor, deed.target, deed.reason) == ("operator", "slot-pool", "closing time")
    assert deed.detail == '{"concurrency":[2,7],"is_draining":[false,true]}'


@pytest.mark.parametrize(
    "nonsense", [{}, {"concurrency": 0}, {"concurrency": 501}, {"owner_limit": -1}]
)
async def test_a_change_that_makes_no_sense_is_refused(
    house: House, nonsense: dict[str, int]
) -> None:
    """With a reason; nothing is changed and nothing audited."""
    async with house.open():
        before = (await house.view()).terms

        with pytest.raises(WorkflowUpdateFailedError):
            await house.change(**nonsense)

        assert (await house.view()).terms == before
    assert not house.state.archive.deeds


async def test_a_change_that_changes_nothing_is_not_audited(house: House) -> None:
    """It is answered with how things are."""
    async with house.open():
        await house.change(concurrency=4)
        terms = await house.change(concurrency=4)

    assert terms.concurrency == 4
    assert len(house.state.archive.deeds) == 1


async def test_a_waiting_job_moves_with_its_priority(house: House) -> None:
    """In place; it is in line once."""
    house.seeds = QueueTerms(concurrency=1)
    async with house.open():
        jobs = [await house.submit("one")]
        await house.at_work("one")
        jobs += [await house.submit(name) for name in ("two", "three")]
        await house.waiting(2)
        await jobs[2].signal(SET_PRIORITY, Priority.HIGH)

        async def moved() -> bool:
            place = await house.place("three")
            return place is not None and place.position == 1

        await eventually(moved, what="a move to the front")
        house.floor.send_home("one", "two", "three")
        await all_over(jobs)

    assert house.floor.began == ["one", "three", "two"]


async def test_words_said_twice_are_one(house: House) -> None:
    """A request in line, a request of a holder, and a slot given back."""
    async with house.open():
        jobs = [await house.submit(name) for name in ("one", "two", "three")]
        view = await house.waiting(1)
        for name in ("one", "two", "three"):
            await house.pool.signal(REQUEST_SLOT_SIGNAL, await _request_of(house, name))
        again = await house.waiting(1)
        assert _names(again) == _names(view)

        done = view.working[0].job_id
        house.floor.send_home(done)
        await house.waiting(0)
        await house.pool.signal(
            RELEASE_SLOT_SIGNAL, SlotRelease(holder=await _holder_of(house, done), token="old")
        )

        assert len((await house.view()).working) == 2
        house.floor.send_home("one", "two", "three")
        await all_over(jobs)
    assert house.floor.most == 2


async def test_a_grant_that_nobody_awaits_is_given_back(house: House) -> None:
    """A job that paused while its slot was on the way; the next in line gets it."""
    house.seeds = QueueTerms(concurrency=1)
    async with house.open():
        await house.change(is_paused=True)
        paused = await house.submit("paused")
        await house.waiting(1)
        await paused.signal("pause")
        await house.waiting(0)
        await house.pool.signal(REQUEST_SLOT_SIGNAL, await _request_of(house, "paused"))
        other = await house.submit("other")
        await house.waiting(2)

        await house.change(is_paused=False)

        await house.at_work("other")
        house.floor.send_home("other", "paused")
        await paused.signal("resume")
        await all_over([paused, other])
    assert house.floor.most == 1


async def test_a_grant_of_nobody_s_making_is_given_back(house: House) -> None:
    """One typed by hand gives no job a second slot, and takes none away."""
    async with house.open():
        job = await house.submit("one")
        await house.at_work("one")
        stranger = Holder(workflow_id="one", first_run_id="an earlier run")
        forged = SlotGrant(holder=stranger, token="forged", granted_at=datetime.now(UTC))
        await job.signal(SLOT_GRANTED_SIGNAL, forged)
        house.floor.send_home("one")

        await all_over([job])
        await eventually(lambda: _nobody_works(house), what="an empty floor")


async def test_a_job_that_is_gone_leaves_its_slot_to_the_next(house: House) -> None:
    """Its grant cannot be delivered, so it was never used."""
    house.seeds = QueueTerms(concurrency=1)
    async with house.open():
        ghost = SlotRequest(
            holder=Holder(workflow_id="ghost", first_run_id="ghost"),
            owner=BOB,
            priority=Priority.HIGH,
            submitted_at=datetime.now(UTC),
        )
        await house.signals.request(ghost)
        job = await house.submit("one")

        await house.at_work("one")
        house.floor.send_home("one")
        await all_over([job])


async def test_a_cancelled_job_leaves_the_line(house: House) -> None:
    """Nobody waits for a job that does not come."""
    house.seeds = QueueTerms(concurrency=1)
    async with house.open():
        works = await house.submit("one")
        await house.at_work("one")
        waits = await house.submit("two")
        await house.waiting(1)

        await waits.cancel()

        await house.waiting(0)
        house.floor.send_home("one")
        await all_over([works])


async def test_a_place_tells_position_time_and_reason(house: House) -> None:
    """Once it is known how long jobs take; a job at work has no place."""
    house.seeds = QueueTerms(concurrency=1)
    async with house.open():
        first = await house.submit("first")
        await house.at_work("first")
        house.floor.send_home("first")
        await all_over([first])
        jobs = [await house.submit(name) for name in ("one", "two", "three")]
        await house.waiting(2)

        places = [await house.place(name) for name in ("one", "two", "three")]
        house.floor.send_home("one", "two", "three")
        await all_over(jobs)

    assert places[0] is None
    assert places[1]
    assert places[2]
    assert (places[1].position, places[2].position) == (1, 2)
    assert places[1].why == "1 of 1 slot taken; this job is next"
    assert places[2].why == "1 of 1 slot taken; 1 job in line before this one"
    assert places[2].eta_p50_seconds is not None
    assert places[2].eta_p90_seconds is not None
    assert places[2].eta_p50_seconds <= places[2].eta_p90_seconds


async def test_the_view_counts_who_waits(house: House) -> None:
    """By priority and by owner, and lists no more than was asked for."""
    async with house.open():
        await house.change(is_paused=True)
        jobs = [
            await house.submit("one", priority=Priority.HIGH),
            await house.submit("two", owner=BOB),
            await house.submit("three", owner=BOB),
        ]
        view = await house.waiting(3)
        await house.change(is_paused=False)
        house.floor.send_home("one", "two", "three")
        await all_over(jobs)

    assert view.waiting_by_priority == {Priority.HIGH: 1, Priority.NORMAL: 2}
    assert view.waiting_by_owner == {ADA: 1, BOB: 2}
    assert view.oldest_submitted_at == min(job.submitted_at for job in view.waiting)


@pytest.mark.parametrize("typed", [[], ["x"], [{"holder": "x"}], [None]])
async def test_words_typed_wrongly_change_nothing(house: House, typed: list[object]) -> None:
    """The pool goes on as if nothing had been said."""
    async with house.open():
        await house.pool.signal(REQUEST_SLOT_SIGNAL, args=typed)
        await house.pool.signal(RELEASE_SLOT_SIGNAL, args=typed)
        job = await house.submit("one")
        await house.at_work("one")
        house.floor.send_home("one")

        await all_over([job])


def _names(view: QueueView) -> tuple[list[JobId], list[JobId]]:
    return [job.job_id for job in view.working], [job.job_id for job in view.waiting]


async def _holder_of(house: House, name: str) -> Holder:
    described = await house.client.get_workflow_handle(name).describe()
    return Holder(workflow_id=name, first_run_id=described.run_id)


async def _request_of(house: House, name: str) -> SlotRequest:
    described = await house.client.get_workflow_handle(name).describe()
    return SlotRequest(
        holder=await _holder_of(house, name),
        owner=ADA,
        priority=Priority.NORMAL,
        submitted_at=described.start_time,
    )


async def _nobody_works(house: House) -> bool:
    return not (await house.view()).working
