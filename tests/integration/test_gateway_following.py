"""Whoever follows a job hears every number exactly once, wherever and whenever they listen."""

import asyncio
from dataclasses import dataclass, field
from random import Random

import pytest

from tests.support.builders import a_job_id
from tests.support.databases import sql_stores
from tests.support.gateways import House, Listener, RunningGateway, written_job
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

JOB = a_job_id(1)
LAST = 120


async def test_late_subscriber_gets_the_whole_log_and_then_what_follows(
    gateway: RunningGateway,
) -> None:
    """Who comes late misses nothing: the acknowledgement holds the past."""
    writer = await written_job(gateway.stores, job_id=JOB)
    await writer.append(4)
    async with gateway.listening() as ear:
        answer = await ear.subscribe(JOB)
        await writer.append(3)
        await eventually(lambda: len(ear.seqs(JOB)) == 8, what="eight numbers")

    assert [message["seq"] for message in answer["events"]] == [1, 2, 3, 4, 5]
    assert ear.seqs(JOB) == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_subscriber_who_names_a_number_gets_only_what_came_after(
    gateway: RunningGateway,
) -> None:
    """After a reconnect nothing is repeated."""
    writer = await written_job(gateway.stores, job_id=JOB)
    await writer.append(6)
    async with gateway.listening() as ear:
        answer = await ear.subscribe(JOB, afterSeq=5)
        await writer.append()
        await eventually(lambda: 8 in ear.seqs(JOB), what="number 8")

    assert [message["seq"] for message in answer["events"]] == [6, 7]
    assert ear.seqs(JOB) == [6, 7, 8]


async def test_events_written_while_a_client_subscribes_come_once_and_behind_the_acknowledgement(
    gateway: RunningGateway,
) -> None:
    """Between snapshot and deltas there is no gap and no overlap."""
    writer = await written_job(gateway.stores, job_id=JOB)

    async def write() -> None:
        for _ in range(60):
            await writer.append()

    async with gateway.listening() as ear:
        writing = asyncio.create_task(write())
        for _ in range(10):
            ear.heard.clear()
            answer = await ear.subscribe(JOB)
            told = len(answer["events"])
            await eventually(lambda told=told: len(ear.seqs(JOB)) > told or writing.done())
            await ear.ask("unsubscribe", {"jobId": JOB})

            assert ear.seqs(JOB) == list(range(1, len(ear.seqs(JOB)) + 1))
        await writing


async def test_every_connection_of_a_job_hears_the_same_numbers(house: House) -> None:
    """A job may be watched from many windows, on any gateway."""
    gateways = [await house.gateway(), await house.gateway()]
    writer = await written_job(gateways[0].stores, job_id=JOB)
    ears = [Listener() for _ in range(6)]
    for place, ear in enumerate(ears):
        await ear.connect(gateways[place % 2].url, "ada-key")
        await ear.subscribe(JOB)
    await writer.append(5)
    await writer.append(5)

    for ear in ears:
        await eventually(lambda ear=ear: len(ear.seqs(JOB)) == 11, what="eleven numbers")
        assert ear.seqs(JOB) == list(range(1, 12))
        await ear.client.disconnect()


async def test_long_past_is_cut_at_a_thousand_events_and_the_rest_follows_as_messages(
    gateway: RunningGateway,
) -> None:
    """An acknowledgement stays small, and still nothing is left out."""
    writer = await written_job(gateway.stores, job_id=JOB)
    await writer.append(1499)
    async with gateway.listening() as ear:
        answer = await ear.subscribe(JOB)
        await eventually(lambda: len(ear.seqs(JOB)) == 1500, what="1,500 numbers")

    assert answer["truncated"] is True
    assert len(answer["events"]) == 1000
    assert ear.seqs(JOB) == list(range(1, 1501))


@pytest.mark.parametrize("seed", [11, 23, 47])
async def test_wanderers_between_two_gateways_hear_every_number_exactly_once(
    house: House, seed: int
) -> None:
    """Random disconnects and gateway changes neither lose nor repeat a number."""
    chance = Random(seed)
    gateways = [await house.gateway(), await house.gateway()]
    async with sql_stores(house.database_url) as elsewhere:
        writer = await written_job(elsewhere, job_id=JOB)
        wanderers = [Wanderer(gateways=gateways, chance=Random(seed + n)) for n in range(4)]
        walks = [asyncio.create_task(wanderer.walk()) for wanderer in wanderers]
        while writer.head < LAST:
            await writer.append(min(chance.randint(1, 7), LAST - writer.head))
            behind = writer.head - chance.randint(0, 15)
            await eventually(lambda behind=behind: max(w.count for w in wanderers) >= behind)
        await asyncio.gather(*walks)

    for wanderer in wanderers:
        assert wanderer.numbers == list(range(1, LAST + 1))


@dataclass(kw_only=True)
class Wanderer:
    """Follows a job to its end, leaving after a few numbers and coming back elsewhere."""

    gateways: list[RunningGateway]
    chance: Random
    numbers: list[int] = field(default_factory=list[int])
    ear: Listener = field(default_factory=Listener)

    @property
    def count(self) -> int:
        """How many numbers were heard, over all connections."""
        return len(self.numbers) + len(self.ear.seqs(JOB))

    async def walk(self) -> None:
        """Listen until the last number has come."""
        while len(self.numbers) < LAST:
            await self.ear.connect(self.chance.choice(self.gateways).url, "ada-key")
            await self.ear.subscribe(JOB, afterSeq=len(self.numbers))
            enough = min(LAST, len(self.numbers) + self.chance.randint(1, 25))
            await eventually(lambda enough=enough: self.count >= enough)
            await self.ear.client.eio.disconnect(abort=self.chance.choice([True, False]))
            self.numbers, self.ear = self.numbers + self.ear.seqs(JOB), Listener()


async def test_log_of_one_job_does_not_reach_who_follows_another(gateway: RunningGateway) -> None:
    """A socket hears the jobs it asked for, and no other of the same owner."""
    mine = await written_job(gateway.stores, job_id=JOB)
    other = await written_job(gateway.stores, job_id=a_job_id(2))
    async with gateway.listening() as ear:
        await ear.subscribe(JOB)
        await other.append(3)
        await mine.append()
        await eventually(lambda: 2 in ear.seqs(JOB), what="number 2")

    assert ear.seqs(a_job_id(2)) == []


async def test_unsubscribed_socket_hears_nothing_more(gateway: RunningGateway) -> None:
    """Unsubscribing is acknowledged, ends the flow, and may be repeated."""
    writer = await written_job(gateway.stores, job_id=JOB)
    async with gateway.listening() as ear, gateway.listening() as witness:
        await ear.subscribe(JOB)
        await witness.subscribe(JOB)
        first = await ear.ask("unsubscribe", {"jobId": JOB})
        again = await ear.ask("unsubscribe", {"jobId": JOB})
        await writer.append()
        await eventually(lambda: 2 in witness.seqs(JOB), what="the witness hearing number 2")

    assert first == again == {"ok": True}
    assert ear.seqs(JOB) == [1]
