"""Code that runs today must be able to continue what was started with older code."""

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from darkroom.runtime.temporal import HOUSE_DATA_CONVERTER
from tests.replay.record import ENDS, HISTORIES
from tests.support.workers import STRICT
from workflows.image_job import ImageJobWorkflow

RECORDED = {path.stem: path.read_text() for path in sorted(HISTORIES.glob("*.json"))}


def test_every_end_has_a_recorded_history() -> None:
    """Completed, failed and cancelled jobs are all there."""
    assert {name.split(".")[1] for name in RECORDED} == set(ENDS)


@pytest.mark.parametrize("name", RECORDED)
async def test_a_recorded_history_replays(name: str) -> None:
    """No non-determinism: the same commands in the same order."""
    replayer = Replayer(
        workflows=[ImageJobWorkflow],
        data_converter=HOUSE_DATA_CONVERTER,
        workflow_runner=SandboxedWorkflowRunner(restrictions=STRICT),
    )
    history = WorkflowHistory.from_json("job_recorded", RECORDED[name])

    await replayer.replay_workflow(history)
