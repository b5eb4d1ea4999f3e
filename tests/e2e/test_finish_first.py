"""Where a provider takes few calls at a time, the pictures of older jobs go before younger ones."""

from datetime import datetime, timedelta
from pathlib import Path

from darkroom.domain.admission import SlotGrant
from darkroom.domain.events import EventKind
from darkroom.domain.job import JobId
from darkroom.domain.names import SLOT_GRANTED_SIGNAL
from darkroom.domain.stages import Stage
from tests.support.stacks import Running, started_stack

JOBS, PICTURES = 20, 3
A_MOMENT = timedelta(milliseconds=250)  # between a job's event and its call's place in line


async def admitted_at(running: Running, job_id: JobId) -> datetime:
    """Read from a job's history when the pool gave it its slot."""
    async for event in running.temporal.get_workflow_handle(job_id).fetch_history_events():
        told = event.workflow_execution_signaled_event_attributes
        if told.signal_name == SLOT_GRANTED_SIGNAL:
            converter = running.temporal.data_converter
            (grant,) = await converter.decode(told.input.payloads, [SlotGrant])
            return grant.granted_at
    raise LookupError(f"{job_id} never had a slot")


async def in_line_at(running: Running, job_id: JobId) -> datetime:
    """Read from a job's log when its pictures stood in line for the provider."""
    return next(
        event.at
        for event in await running.events(job_id)
        if event.kind is EventKind.STAGE_STARTED and event.stage is Stage.GENERATE
    )


async def test_no_younger_picture_is_bought_before_an_older_job_has_bought_all(
    tmp_path: Path,
) -> None:
    """Twenty jobs, five at work, three calls at a time: the provider's bill is in their order.

    A job that has not lined up yet, because its prompts are not there, holds nobody back.
    """
    async with started_stack(tmp_path / "var", tuning={"NANOBANANA_CONCURRENCY": "3"}) as running:
        job_ids = [
            await running.submit(
                count=PICTURES,
                prompt={"template": f"Lamp {number}, {{timeOfDay}}, {{weather}}, {{location}}"},
            )
            for number in range(JOBS)
        ]
        for job_id in job_ids:
            await running.closed(job_id, within_seconds=120)
        admitted = {job_id: await admitted_at(running, job_id) for job_id in job_ids}
        lined_up = {job_id: await in_line_at(running, job_id) for job_id in job_ids}
        bought = [JobId((entry.call or "").split("/")[0]) for entry in await running.bought()]

    unbought = dict.fromkeys(job_ids, PICTURES)
    for job_id in bought:
        older = [
            one
            for one in job_ids
            if unbought[one]
            and admitted[one] < admitted[job_id]
            and lined_up[one] + A_MOMENT < lined_up[job_id]
        ]
        assert not older, f"{job_id} bought before {older}"
        unbought[job_id] -= 1
    assert len(bought) == JOBS * PICTURES
