"""What an owner or an operator tells a job, and how each refusal reads."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from darkroom.domain.items import ItemState
from darkroom.domain.ledger import LedgerChanges, LedgerState
from darkroom.domain.lifecycle import JobState
from tests.support.builders import (
    JOB,
    NOW,
    PENNY_MICROS,
    PLANS,
    a_call,
    a_kept_prompt,
    a_picture,
    a_request,
    an_item,
    an_opening,
)
from tests.support.gateways import (
    BOB_KEY,
    OPERATOR_KEY,
    House,
    RunningGateway,
    a_body,
    written_job,
)
from tests.support.obedient_jobs import obedient_worker

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

ORDERS: list[tuple[str, str, Any]] = [
    ("POST", "/pause", None),
    ("POST", "/resume", None),
    ("POST", "/cancel", {"mode": "after_current"}),
    ("PATCH", "", {"priority": "high"}),
    ("POST", "/decide", {"decision": "rebuy"}),
]


async def submitted(http: httpx.AsyncClient) -> str:
    """Start a job; gives its address."""
    answer = await http.post("/v1/jobs", json=a_body(count=2))
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


async def updates(temporal: Client, address: str) -> list[tuple[str, dict[str, Any]]]:
    """Read which updates a job accepted, with their input."""
    history = await temporal.get_workflow_handle(address.rpartition("/")[2]).fetch_history()
    accepted = [
        event.workflow_execution_update_accepted_event_attributes.accepted_request.input
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    ]
    return [
        (one.name, (await temporal.data_converter.decode(one.args.payloads))[0]) for one in accepted
    ]


async def test_paused_job_answers_its_record_and_goes_on_when_resumed(
    gateway: RunningGateway,
) -> None:
    """Pause and resume answer the job as it is then, and say who asked."""
    async with obedient_worker(gateway.temporal), gateway.calling() as http:
        address = await submitted(http)
        paused = await http.post(f"{address}/pause", json={"reason": "the photo is wrong"})
        again = await http.post(f"{address}/pause")
        resumed = await http.post(f"{address}/resume")

    assert [one.status_code for one in (paused, again, resumed)] == [200, 200, 200]
    statuses = [one.json()["status"] for one in (paused, again, resumed)]
    assert statuses == ["paused", "paused", "processing"]
    told = await updates(gateway.temporal, address)
    assert told[0] == ("pause", {"by": "ada", "reason": "the photo is wrong"})
    assert [name for name, _ in told] == ["pause", "pause", "resume"]


async def test_order_that_the_job_refuses_is_a_conflict_with_its_reason(
    gateway: RunningGateway,
) -> None:
    """409 wrong_state repeats what the job said and how to go on; nothing was accepted."""
    async with obedient_worker(gateway.temporal), gateway.calling() as http:
        address = await submitted(http)
        await http.post(f"{address}/cancel", json={"mode": "after_current"})
        refused = await http.post(f"{address}/pause")

    problem = refused.json()
    assert refused.status_code == 409
    assert problem["code"] == "wrong_state"
    assert "it is being cancelled" in problem["detail"]
    assert "nothing was changed" in problem["remedy"]
    assert [name for name, _ in await updates(gateway.temporal, address)] == ["cancel"]


async def test_priority_of_an_open_job_changes(gateway: RunningGateway) -> None:
    """PATCH answers the record with the priority it has now."""
    async with obedient_worker(gateway.temporal), gateway.calling() as http:
        address = await submitted(http)
        changed = await http.patch(address, json={"priority": "high"})
        read = await http.get(address)

    assert changed.status_code == 200
    assert changed.json()["priority"] == read.json()["priority"] == "high"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "priority"),
        ({"priority": "urgent"}, "priority"),
        ({"priority": "low", "labels": {"campaign": "autumn"}}, "labels"),
        ({"priority": "low", "count": 3}, "count"),
    ],
)
async def test_change_of_anything_else_is_refused_field_by_field(
    gateway: RunningGateway, body: dict[str, Any], field: str
) -> None:
    """An open job's request is what it is; only its priority may move."""
    async with gateway.calling() as http:
        refused = await http.patch(f"/v1/jobs/{JOB}", json=body)

    assert refused.status_code == 422
    assert refused.json()["field"] == field
    assert refused.json()["remedy"]


async def test_decision_reaches_the_job_with_who_took_it(gateway: RunningGateway) -> None:
    """An item the job does not have is refused at the door."""
    async with obedient_worker(gateway.temporal), gateway.calling() as http:
        address = await submitted(http)
        taken = await http.post(f"{address}/decide", json={"item": "0002", "decision": "give_up"})
        unknown = await http.post(f"{address}/decide", json={"item": "0003", "decision": "rebuy"})

    assert taken.status_code == 200
    told = {"decision": "give_up", "item": "0002", "by": "ada"}
    assert await updates(gateway.temporal, address) == [("decide", told)]
    assert unknown.status_code == 422
    assert unknown.json()["field"] == "item"
    assert "0001 to 0002" in unknown.json()["remedy"]


@pytest.mark.parametrize(("method", "path", "body"), ORDERS)
@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED])
async def test_finished_job_takes_no_orders(
    gateway: RunningGateway, method: str, path: str, body: Any, state: JobState
) -> None:
    """409 job_finished names the state, and what is left to do."""
    writer = await written_job(gateway.stores, job_id=JOB)
    await writer.append(state=state)
    async with gateway.calling() as http:
        refused = await http.request(method, f"/v1/jobs/{JOB}{path}", json=body)

    problem = refused.json()
    assert refused.status_code == 409
    assert problem["code"] == "job_finished"
    assert state in problem["detail"]
    assert ("retry" in problem["remedy"]) == (state is JobState.FAILED)


@pytest.mark.parametrize(("method", "path", "body"), ORDERS)
async def test_order_that_no_worker_hears_is_unavailable(
    house: House, method: str, path: str, body: Any
) -> None:
    """503 within seconds, and the truth: the order may still be heard later."""
    house.heard_within = timedelta(milliseconds=200)
    gateway = await house.gateway()
    async with gateway.calling() as http:
        address = await submitted(http)
        refused = await http.request(method, f"{address}{path}", json=body)

    problem = refused.json()
    assert refused.status_code == 503
    assert problem["code"] == "unavailable"
    assert "no worker" in problem["detail"]
    assert "may still reach it" in problem["remedy"]
    assert refused.headers["retry-after"]


@pytest.mark.parametrize(("method", "path", "body"), [*ORDERS, ("POST", "/retry", None)])
async def test_only_the_owner_and_operators_steer_a_job(
    gateway: RunningGateway, method: str, path: str, body: Any
) -> None:
    """To another owner it is not there; an operator is heard by name."""
    async with (
        obedient_worker(gateway.temporal),
        gateway.calling() as ada,
        gateway.calling(BOB_KEY) as bob,
        gateway.calling(OPERATOR_KEY) as operator,
    ):
        address = await submitted(ada)
        bobs = await bob.request(method, f"{address}{path}", json=body)
        operators = await operator.request(method, f"{address}{path}", json=body)

    assert bobs.status_code == 404
    if path == "/retry":
        assert operators.json()["code"] == "wrong_state"
        return
    assert operators.status_code == 200
    ((_, told),) = await updates(gateway.temporal, address)
    assert told["by"] == "operator"


async def test_dry_run_of_a_cancel_bills_nothing_and_changes_nothing(
    gateway: RunningGateway,
) -> None:
    """One picture is stored, one is being drawn, one may have been bought, one is saved."""
    plans = replace(PLANS, estimated_micros=20 * PENNY_MICROS)
    writer = await written_job(gateway.stores, request=a_request(count=4), plans=plans)
    keys = ("0001", "0002", "0003")
    stored = an_item(state=ItemState.STORED, picture=a_picture())
    others = tuple(an_item(key=key, state=ItemState.PROMPTED) for key in keys[1:])
    await writer.append(items=(stored, *others), state=JobState.PROCESSING)
    ledger = gateway.stores.ledger
    for key, state in zip(keys, (LedgerState.SETTLED, LedgerState.ACCEPTED, None), strict=True):
        await buy(ledger, key, state)
    await gateway.stores.prompts.keep(a_kept_prompt(job_id=JOB))
    async with gateway.calling() as http:
        before = (await http.get(f"/v1/jobs/{JOB}")).json()
        at_once = await http.post(f"/v1/jobs/{JOB}/cancel", params={"dry_run": "true"})
        later = await http.post(
            f"/v1/jobs/{JOB}/cancel?dry_run=true", json={"mode": "after_current"}
        )
        after = (await http.get(f"/v1/jobs/{JOB}")).json()

    assert before == after
    assert at_once.json() == {
        "jobId": JOB,
        "mode": "now",
        "wouldBill": usd(9 * PENNY_MICROS),
        "wouldSave": usd(7 * PENNY_MICROS),
        "unknown": usd(4 * PENNY_MICROS),
        "abandoned": usd(4 * PENNY_MICROS),
        "images": {"kept": 1, "inFlight": 1, "unknown": 1, "notMade": 3},
    }
    assert later.json()["abandoned"] == usd(0)
    assert later.json()["images"] == {"kept": 2, "inFlight": 1, "unknown": 1, "notMade": 2}


async def buy(ledger: Any, key: str, state: LedgerState | None) -> None:
    """Buy a picture as far as a state; without one, lose the reply."""
    row = await ledger.open(an_opening(key=a_call(item=key)))
    row = await ledger.move(row, LedgerState.CALLING, LedgerChanges(called_at=NOW))
    way = (LedgerState.ACCEPTED, LedgerState.READY, LedgerState.STORED, LedgerState.SETTLED)
    for step in way[: way.index(state) + 1] if state else ():
        changes = LedgerChanges(task_id="task", result_url="https://x.example", picture=a_picture())
        row = await ledger.move(row, step, changes)


def usd(micros: int) -> dict[str, Any]:
    """Write money as the wire does."""
    return {"amountMicros": micros, "currency": "USD"}


async def test_dry_run_of_a_finished_job_has_nothing_to_quote(gateway: RunningGateway) -> None:
    """Also of a cancelled one: there is nothing left to stop."""
    writer = await written_job(gateway.stores, job_id=JOB)
    await writer.append(state=JobState.CANCELLED)
    async with gateway.calling() as http:
        quoted = await http.post(f"/v1/jobs/{JOB}/cancel?dry_run=true")
        cancelled = await http.post(f"/v1/jobs/{JOB}/cancel")

    assert quoted.json()["code"] == "job_finished"
    assert cancelled.status_code == 200
