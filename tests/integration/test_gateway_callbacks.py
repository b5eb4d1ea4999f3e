"""What a provider may tell us, and what we make of it."""

from typing import Any

import pytest

from darkroom.domain.attempts import CalledBack
from darkroom.domain.job import JobId
from darkroom.domain.ledger import CallKey, LedgerChanges, LedgerState
from darkroom.domain.tokens import callback_token
from tests.support.builders import NOW, a_call, an_opening
from tests.support.databases import memory_stores
from tests.support.fakes import MemoryState
from tests.support.gateways import SECRET, House, RunningGateway, a_body

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

CALL = a_call()
TOKEN = callback_token(SECRET, CALL)
ADDRESS = f"/v1/callbacks/nanobanana/{CALL}"

FIRST_SHAPE = {
    "code": 501,
    "msg": "generation failed",
    "data": {"taskId": "task-1", "info": {"resultImageUrl": "https://elsewhere.example/x.png"}},
}
SECOND_SHAPE = {
    "code": 200,
    "msg": "success",
    "data": {
        "taskId": "task-1",
        "paramJson": "{}",
        "successFlag": 1,
        "response": {"originImageUrl": None, "resultImageUrl": "https://elsewhere.example/x.png"},
    },
}


async def send_purchase(gateway: RunningGateway) -> None:
    """Buy a picture and lose the reply."""
    ledger = gateway.stores.ledger
    row = await ledger.open(an_opening())
    await ledger.move(row, LedgerState.CALLING, LedgerChanges(called_at=NOW))


async def call_back(gateway: RunningGateway, body: Any, *, token: str = TOKEN) -> Any:
    """Do what the provider does: without any key of ours."""
    async with gateway.calling(None) as http:
        return await http.post(ADDRESS, params={"t": token}, json=body)


@pytest.mark.parametrize("body", [FIRST_SHAPE, SECOND_SHAPE])
async def test_either_shape_names_the_task_of_a_lost_reply(
    gateway: RunningGateway, body: dict[str, Any]
) -> None:
    """The purchase is adopted, so that it is not bought again."""
    await send_purchase(gateway)

    answer = await call_back(gateway, body)

    (row,) = await gateway.stores.ledger.rows([CALL])
    assert answer.status_code == 200
    assert row.state is LedgerState.ACCEPTED
    assert row.task_id == "task-1"
    assert row.hinted


async def test_nothing_but_the_task_is_taken_from_a_callback(gateway: RunningGateway) -> None:
    """Neither an address nor a verdict of an unsigned body is believed."""
    await send_purchase(gateway)

    await call_back(gateway, FIRST_SHAPE)
    await call_back(gateway, SECOND_SHAPE)

    (row,) = await gateway.stores.ledger.rows([CALL])
    assert row.state is LedgerState.ACCEPTED
    assert row.result_url is None
    assert row.failure is None


async def test_repeated_callback_changes_nothing(gateway: RunningGateway) -> None:
    """Providers repeat themselves; a later task of the same take is not believed."""
    await send_purchase(gateway)
    await call_back(gateway, SECOND_SHAPE)

    again = await call_back(gateway, {"data": {"taskId": "task-2"}})

    (row,) = await gateway.stores.ledger.rows([CALL])
    assert again.status_code == 200
    assert row.task_id == "task-1"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], callback_token("other", CALL)])
async def test_forged_address_is_not_found(gateway: RunningGateway, token: str) -> None:
    """Only our provider knows the address."""
    await send_purchase(gateway)

    answer = await call_back(gateway, SECOND_SHAPE, token=token)

    (row,) = await gateway.stores.ledger.rows([CALL])
    assert answer.status_code == 404
    assert row.state is LedgerState.CALLING


async def test_token_of_one_purchase_does_not_open_another(gateway: RunningGateway) -> None:
    """A provider that knows one address cannot guess the next."""
    await send_purchase(gateway)
    async with gateway.calling(None) as http:
        answer = await http.post(
            f"/v1/callbacks/nanobanana/{a_call(take=2)}", params={"t": TOKEN}, json=SECOND_SHAPE
        )

    assert answer.status_code == 404


async def test_purchase_we_never_made_is_not_found(gateway: RunningGateway) -> None:
    """A right token alone makes no purchase."""
    answer = await call_back(gateway, SECOND_SHAPE)

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"data": {}},
        {"data": {"taskId": ""}},
        {"data": {"taskId": 7}},
        {"data": {"taskId": "a b"}},
    ],
)
async def test_body_without_a_task_is_refused(gateway: RunningGateway, body: Any) -> None:
    """Nothing is booked on a guess."""
    await send_purchase(gateway)

    answer = await call_back(gateway, body)

    (row,) = await gateway.stores.ledger.rows([CALL])
    assert answer.status_code == 422
    assert row.state is LedgerState.CALLING


async def test_store_that_is_down_makes_the_provider_call_again(house: House) -> None:
    """503 with Retry-After; once the store is back the same callback is booked."""
    state = MemoryState()
    gateway = await house.gateway(stores=memory_stores(state))
    await send_purchase(gateway)
    state.is_away = True
    refused = await call_back(gateway, SECOND_SHAPE)
    state.is_away = False
    booked = await call_back(gateway, SECOND_SHAPE)

    assert refused.status_code == 503
    assert refused.json()["code"] == "unavailable"
    assert int(refused.headers["retry-after"]) > 0
    assert booked.status_code == 200
    (row,) = await gateway.stores.ledger.rows([CALL])
    assert row.task_id == "task-1"


async def test_callback_that_comes_before_the_reply_is_kept_for_it(
    gateway: RunningGateway,
) -> None:
    """A callback of a purchase that was already accepted is a hint to look."""
    ledger = gateway.stores.ledger
    row = await ledger.open(an_opening())
    row = await ledger.move(row, LedgerState.CALLING, LedgerChanges(called_at=NOW))
    await ledger.move(row, LedgerState.ACCEPTED, LedgerChanges(task_id="task-0"))

    answer = await call_back(gateway, SECOND_SHAPE)

    (row,) = await ledger.rows([CALL])
    assert answer.status_code == 200
    assert row.hinted
    assert row.task_id == "task-0"


async def test_job_hears_of_a_purchase_that_it_had_given_up(gateway: RunningGateway) -> None:
    """One signal when the outcome was unknown, one more if the provider repeats itself."""
    async with gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body(count=2))
    job_id = JobId(taken.json()["id"])
    call = CallKey(job=job_id, item="0001", take=1)
    ledger = gateway.stores.ledger
    row = await ledger.open(an_opening(key=call))
    row = await ledger.move(row, LedgerState.CALLING, LedgerChanges(called_at=NOW))
    await ledger.move(row, LedgerState.UNKNOWN, LedgerChanges())
    address = f"/v1/callbacks/nanobanana/{call}?t={callback_token(SECRET, call)}"
    async with gateway.calling(None) as http:
        answers = [await http.post(address, json=SECOND_SHAPE) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    history = await gateway.temporal.get_workflow_handle(job_id).fetch_history()
    signals = [
        event.workflow_execution_signaled_event_attributes
        for event in history.events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    assert [signal.signal_name for signal in signals] == ["called_back", "called_back"]
    told = await gateway.temporal.data_converter.decode(signals[0].input.payloads, [CalledBack])
    assert told == [CalledBack(item="0001", take=1)]


async def test_job_that_knows_its_task_is_not_disturbed(gateway: RunningGateway) -> None:
    """The reply came before the callback, as it mostly does."""
    async with gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body(count=2))
    job_id = JobId(taken.json()["id"])
    call = CallKey(job=job_id, item="0001", take=1)
    ledger = gateway.stores.ledger
    row = await ledger.open(an_opening(key=call))
    row = await ledger.move(row, LedgerState.CALLING, LedgerChanges(called_at=NOW))
    await ledger.move(row, LedgerState.ACCEPTED, LedgerChanges(task_id="task-1"))
    address = f"/v1/callbacks/nanobanana/{call}?t={callback_token(SECRET, call)}"
    async with gateway.calling(None) as http:
        answer = await http.post(address, json=SECOND_SHAPE)

    history = await gateway.temporal.get_workflow_handle(job_id).fetch_history()
    assert answer.status_code == 200
    assert not any(
        event.HasField("workflow_execution_signaled_event_attributes") for event in history.events
    )
