"""Each fault that a provider is known for, met by a job of its own."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import httpx
import pytest

from darkroom.domain.job import JobId
from emulators.faults.rules import AnyRule
from tests.chaos.aftermath import Blow, aftermath, all_over
from tests.chaos.conftest import Conclude
from tests.chaos.faults import FAULTS, OPERATOR_FAULTS, Fault
from tests.chaos.stage import an_order, breakable_stack
from tests.support.stacks import Running
from tests.support.waiting import eventually

SLOTS = 5
PATIENCE = {
    "QUEUE_CONCURRENCY": str(SLOTS),
    "DEEPSEEK_DEADLINE": "2000",
    "NANOBANANA_POST_DEADLINE": "2000",
    "NANOBANANA_GRACE": "6000",
    "NANOBANANA_COLLECT_DEADLINE": "8000",
    "GEMINI_POST_DEADLINE": "3000",
    "BREAKER_FAILURES": "1000",  # each fault is to be met by its job, not by a gate
}


@asynccontextmanager
async def impatient_stack(tmp_path: Path) -> AsyncGenerator[Running]:
    """Run a stack whose deadlines are short."""
    async with breakable_stack(tmp_path / "var", tuning=PATIENCE) as running:
        yield running


def word_of(number: int) -> str:
    """Name the job of a fault; no name is part of another."""
    return f"fault{number:03d}"


def rule_of(number: int, fault: Fault) -> dict[str, object]:
    """Aim a fault at the first picture of its job."""
    return {**fault.rule, "match": f"{word_of(number)} 1"}


async def submit(running: Running, number: int, fault: Fault) -> JobId:
    """Start the job that meets a fault."""
    order = an_order(word_of(number), image=fault.image, **fault.order)
    return await running.submit(**order)


def test_every_action_of_the_emulators_is_met() -> None:
    """A fault that the emulators learn must be met here too."""
    kinds = get_args(get_args(AnyRule)[0])
    actions = {get_args(kind.model_fields["action"].annotation)[0] for kind in kinds}

    assert {fault.rule["action"] for fault in (*FAULTS, *OPERATOR_FAULTS)} == actions


@pytest.mark.timeout(300)
async def test_every_fault_of_a_provider_is_borne(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    """All at once, in five slots: each job ends as its fault allows, and nothing is paid twice."""
    async with impatient_stack(tmp_path) as running:
        numbered = dict(enumerate(FAULTS))
        await running.emulated.befall(*(rule_of(*one) for one in numbered.items()))
        jobs = [await submit(running, number, fault) for number, fault in numbered.items()]

        await all_over(running, jobs, within_seconds=150)
        after = [
            await aftermath(running, met_by(fault, job_id))
            for fault, job_id in zip(FAULTS, jobs, strict=True)
        ]
        met = await running.emulated.met_counts()

    say("\n".join(str(one) for one in after))
    unmet = [str(fault) for fault, count in zip(FAULTS, met, strict=True) if not count]
    assert not unmet, unmet
    broken = [told for one in after for told in one.broken_promises()]
    assert not broken, "\n".join(broken)


def met_by(fault: Fault, job_id: JobId) -> Blow:
    """Say what a fault may do to its job."""
    return Blow(
        scenario=f"fault {fault}",
        jobs=[job_id],
        seconds=None,
        limit=SLOTS,
        outcomes={job_id: fault.outcome},
        within_seconds=0.5,
    )


async def open_gates(running: Running) -> list[str]:
    """List the models that nobody may call until an operator acts, as provider/model."""
    answer = await running.operator.get("/v1/admin/providers")
    assert answer.status_code == httpx.codes.OK, answer.text
    gates = answer.json()["providers"]
    return [f"{gate['provider']}/{gate['model']}" for gate in gates if gate["state"] == "open"]


@pytest.mark.timeout(240)
async def test_a_refused_key_or_an_empty_account_waits_for_an_operator(
    tmp_path: Path, conclude: Conclude
) -> None:
    """The gate stays open, though the fault is long gone, until somebody closes it."""
    async with impatient_stack(tmp_path) as running:
        for number, fault in enumerate(OPERATOR_FAULTS):
            await running.emulated.befall(rule_of(number, fault))
            job_id = await submit(running, number, fault)
            gates = await eventually(
                lambda: open_gates(running), within_seconds=30, what=f"a gate: {fault}"
            )
            for gate in gates:
                answer = await running.operator.post(f"/v1/admin/providers/{gate}/close", json={})
                assert answer.status_code == httpx.codes.OK, answer.text

            await conclude(running, f"fault {fault}", jobs=[job_id], limit=SLOTS)
