"""What a socket may say, and how much of it."""

from typing import Any

import pytest

from darkroom.domain.events import EventKind
from darkroom.domain.lifecycle import JobState
from gateway.live.subscribing import MOST_SUBSCRIPTIONS
from tests.support.builders import a_failure, a_job_id
from tests.support.gateways import RunningGateway, written_job
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

JOB = a_job_id(1)


async def test_acknowledgement_holds_the_record_as_a_get_would(gateway: RunningGateway) -> None:
    """A client needs no second request to draw a job."""
    await written_job(gateway.stores, job_id=JOB)
    async with gateway.listening() as ear, gateway.calling() as http:
        answer = await ear.subscribe(JOB)
        record = (await http.get(f"/v1/jobs/{JOB}")).json()

    assert answer["ok"] is True
    assert answer["snapshot"].pop("stale") is True  # no workflow stands behind this log
    assert answer["snapshot"] == record


async def test_snapshot_of_a_finished_job_is_not_stale(gateway: RunningGateway) -> None:
    """A closed job is what the store says it is."""
    writer = await written_job(gateway.stores, job_id=JOB)
    await writer.append(state=JobState.FAILED, kind=EventKind.JOB_FAILED)
    async with gateway.listening() as ear:
        answer = await ear.subscribe(JOB)

    assert answer["snapshot"]["stale"] is False
    assert answer["snapshot"]["status"] == "failed"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (EventKind.JOB_STARTED, "job_update"),
        (EventKind.ATTEMPT_FAILED, "job_update"),
        (EventKind.JOB_CANCELLED, "job_update"),
        (EventKind.IMAGE_STORED, "job_progress"),
        (EventKind.JOB_COMPLETED, "job_completed"),
        (EventKind.IMAGE_FAILED, "job_error"),
        (EventKind.JOB_FAILED, "job_error"),
    ],
)
async def test_event_arrives_under_its_server_event(
    gateway: RunningGateway, kind: EventKind, name: str
) -> None:
    """The four server events of the brief, each with its upper-case type."""
    writer = await written_job(gateway.stores, job_id=JOB)
    async with gateway.listening() as ear:
        await ear.subscribe(JOB)
        await writer.append(kind=kind, failure=a_failure())
        await eventually(lambda: ear.messages, what="the message")

    (message,) = ear.messages
    assert message["event"] == name
    assert message["type"] == name.upper()
    assert message["jobId"] == JOB
    assert message["seq"] == 2


@pytest.mark.parametrize("word", ["SUBSCRIBE", "subscribe"])
async def test_raw_message_of_the_brief_subscribes(gateway: RunningGateway, word: str) -> None:
    """`{type: "SUBSCRIBE", jobId}`, also without asking for an acknowledgement."""
    writer = await written_job(gateway.stores, job_id=JOB)
    await writer.append(2)
    async with gateway.listening() as ear:
        await ear.client.send({"type": word, "jobId": JOB}, namespace="/jobs")
        await eventually(lambda: len(ear.messages) == 3, what="the past")
        await writer.append()
        await eventually(lambda: len(ear.messages) == 4, what="the present")

    assert ear.seqs(JOB) == [1, 2, 3, 4]


async def test_raw_message_of_the_brief_unsubscribes(gateway: RunningGateway) -> None:
    """`{type: "UNSUBSCRIBE", jobId}`."""
    await written_job(gateway.stores, job_id=JOB)
    async with gateway.listening() as ear:
        await ear.subscribe(JOB)
        answer = await ear.ask("message", {"type": "UNSUBSCRIBE", "jobId": JOB})

    assert answer == {"ok": True}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("subscribe", {}),
        ("subscribe", None),
        ("subscribe", "job_1"),
        ("subscribe", []),
        ("subscribe", {"jobId": 7}),
        ("subscribe", {"jobId": JOB, "afterSeq": -1}),
        ("subscribe", {"jobId": JOB, "afterSeq": "5"}),
        ("subscribe", {"jobId": JOB, "afterSeq": 10**30}),
        ("subscribe", {"jobId": JOB, "afterSeq": True}),
        ("subscribe", {"jobId": JOB, "after": 5}),
        ("unsubscribe", {"jobId": None}),
        ("message", {"jobId": JOB}),
        ("message", {"type": "PAUSE", "jobId": JOB}),
        ("message", {"type": {"a": 1}}),
        ("message", "hello"),
        ("message", {"type": "SUBSCRIBE"}),
    ],
)
async def test_wrong_word_is_answered_with_what_is_wrong(
    gateway: RunningGateway, event: str, said: Any
) -> None:
    """An acknowledgement with a code, and the socket goes on."""
    await written_job(gateway.stores, job_id=JOB)
    async with gateway.listening() as ear:
        answer = await ear.ask(event, said)
        after = await ear.subscribe(JOB)

    assert answer["ok"] is False
    assert answer["error"]["code"] == "validation_failed"
    assert answer["error"]["message"]
    assert after["ok"] is True


async def test_message_beyond_the_cap_ends_the_connection(gateway: RunningGateway) -> None:
    """A client names jobs; whoever sends more than that is not one."""
    async with gateway.listening() as ear:
        await ear.client.emit("subscribe", {"jobId": "x" * 100_000}, namespace="/jobs")
        await eventually(lambda: not ear.client.connected, what="the end of the connection")


async def test_socket_listens_to_a_hundred_jobs_and_no_more(gateway: RunningGateway) -> None:
    """The cap is named, and leaving one job makes room."""
    jobs = [a_job_id(number) for number in range(MOST_SUBSCRIPTIONS + 1)]
    for job_id in jobs:
        await written_job(gateway.stores, job_id=job_id)
        # A finished job needs no answer from a workflow.
    async with gateway.listening() as ear:
        for job_id in jobs[:-1]:
            assert (await ear.subscribe(job_id))["ok"] is True
        refused = await ear.subscribe(jobs[-1])
        repeated = await ear.subscribe(jobs[0])
        await ear.ask("unsubscribe", {"jobId": jobs[0]})
        accepted = await ear.subscribe(jobs[-1])

    assert refused["ok"] is False
    assert str(MOST_SUBSCRIPTIONS) in refused["error"]["message"]
    assert repeated["ok"] is True
    assert accepted["ok"] is True
