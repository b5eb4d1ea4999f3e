"""Code that runs today must be able to continue what was started with older code."""

import json

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from darkroom.runtime.temporal import HOUSE_DATA_CONVERTER
from tests.replay.record import HISTORIES, RECORDINGS
from tests.support.workers import STRICT
from workflows.image_job import ImageJobWorkflow
from workflows.provider_gate import ProviderGateWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.schedules import EscalateWorkflow
from workflows.slot_pool import SlotPoolWorkflow

WORKFLOWS = [
    ImageJobWorkflow,
    SlotPoolWorkflow,
    ProviderGateWorkflow,
    ReconcileWorkflow,
    EscalateWorkflow,
]

RECORDED = {path.stem: path.read_text() for path in sorted(HISTORIES.glob("*.json"))}


def test_every_workflow_and_every_end_has_a_recorded_history() -> None:
    """Whatever may be under way somewhere is there."""
    assert {name.rpartition(".")[0] for name in RECORDED} == set(RECORDINGS)


@pytest.mark.parametrize("name", RECORDED)
async def test_a_recorded_history_replays(name: str) -> None:
    """No non-determinism: the same commands in the same order."""
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=HOUSE_DATA_CONVERTER,
        workflow_runner=SandboxedWorkflowRunner(restrictions=STRICT),
    )
    history = WorkflowHistory.from_json(_id_in(RECORDED[name]), RECORDED[name])

    await replayer.replay_workflow(history)


def _id_in(history: str) -> str:
    """Read the workflow's id from its first event: what it tells others carries it."""
    begun = json.loads(history)["events"][0]["workflowExecutionStartedEventAttributes"]
    return str(begun["workflowId"])
