"""The gates of providers in an operator's hand, over HTTP and with their real workflow."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.gates import GateActivities
from darkroom.domain.names import TASK_QUEUE
from darkroom.runtime.gate_signals import TemporalGateSignals
from tests.support.gateways import OPERATOR_KEY, RunningGateway
from workflows.provider_gate import ProviderGateWorkflow

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

GATE = "/v1/admin/providers/nanobanana/nano-banana-2"


@pytest.fixture
async def guarded(gateway: RunningGateway) -> AsyncGenerator[RunningGateway]:
    """A gateway with a worker that runs gates over the same store."""
    signals = TemporalGateSignals(gateway.temporal, task_timeout=timedelta(seconds=2))
    activities = GateActivities(board=gateway.stores.gates, signals=signals)
    async with Worker(
        gateway.temporal,
        task_queue=TASK_QUEUE,
        workflows=[ProviderGateWorkflow],
        activities=[activities.read_gate, activities.move_gate, activities.park],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield gateway


async def test_every_model_has_a_gate_and_most_are_closed(gateway: RunningGateway) -> None:
    """Also those that nobody ever called."""
    async with gateway.calling(OPERATOR_KEY) as http:
        listed = (await http.get("/v1/admin/providers")).json()["providers"]

    named = {(gate["provider"], gate["model"]): gate for gate in listed}
    assert named.keys() >= {
        ("deepseek", "deepseek-flash"),
        ("nanobanana", "nano-banana-2"),
        ("nanobanana", "nano-banana-pro"),
    }
    assert {gate["state"] for gate in listed} == {"closed"}


async def test_operator_opens_a_gate_and_closes_it_again(guarded: RunningGateway) -> None:
    """Open holds calls back and says by whom and why; close asks for one real call first."""
    async with guarded.calling(OPERATOR_KEY) as http:
        opened = await http.post(f"{GATE}/open", json={"reason": "their invoices are wrong"})
        (listed,) = [
            gate
            for gate in (await http.get("/v1/admin/providers")).json()["providers"]
            if gate["model"] == "nano-banana-2"
        ]
        closed = await http.post(f"{GATE}/close")

    gate = opened.json()
    assert opened.status_code == 200
    assert (gate["state"], gate["by"], gate["until"]) == ("open", "operator", None)
    assert "their invoices are wrong" in gate["error"]["message"]
    assert listed["state"] == "open"
    assert (gate["parkedCount"], gate["parked"]) == (0, [])
    assert closed.json()["state"] == "half_open"


async def test_gate_that_is_closed_cannot_be_closed(guarded: RunningGateway) -> None:
    """409 in the gate's own words."""
    async with guarded.calling(OPERATOR_KEY) as http:
        refused = await http.post("/v1/admin/providers/deepseek/deepseek-flash/close")

    assert refused.status_code == 409
    assert refused.json()["code"] == "wrong_state"
    assert "closed already" in refused.json()["detail"]


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": " "}, {"why": "x"}])
async def test_gate_is_not_opened_without_a_reason(
    gateway: RunningGateway, body: dict[str, str]
) -> None:
    """Everybody who waits for the provider reads it."""
    async with gateway.calling(OPERATOR_KEY) as http:
        refused = await http.post(f"{GATE}/open", json=body)

    assert refused.status_code == 422
    assert refused.json()["remedy"]


async def test_model_that_nobody_calls_has_no_gate(gateway: RunningGateway) -> None:
    """404 names those there are."""
    async with gateway.calling(OPERATOR_KEY) as http:
        refused = await http.post("/v1/admin/providers/nanobanana/typo/close")

    assert refused.status_code == 404
    assert "nanobanana/nano-banana-2" in refused.json()["remedy"]
