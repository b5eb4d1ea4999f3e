"""The real job's workflow in the hands of its owner, over HTTP."""

import asyncio
from typing import Any

import httpx

from darkroom.domain.errors import ReplyLost, RequestRefused
from darkroom.domain.events import EventKind
from darkroom.domain.job import JobId
from darkroom.domain.names import TASK_QUEUE
from darkroom.domain.ports import Ready
from tests.support.databases import memory_stores
from tests.support.fake_providers import FakeImageProvider
from tests.support.fakes import MemoryState
from tests.support.gateways import OPERATOR_KEY, House, RunningGateway, a_body
from tests.support.waiting import eventually
from tests.support.workers import Fakes, started_worker

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]


class HeldProvider(FakeImageProvider):
    """Draws nothing until it is told to."""

    def __init__(self, **script: Any) -> None:
        super().__init__(**script)
        self.may_draw = asyncio.Event()

    async def collect(self, task_id: str) -> Ready | None:
        await self.may_draw.wait()
        return await super().collect(task_id)


async def a_house_of(house: House, provider: FakeImageProvider) -> tuple[RunningGateway, Fakes]:
    """Let a gateway and a worker share one store; pictures are bought one after the other."""
    state = MemoryState()
    gateway = await house.gateway(stores=memory_stores(state), changes={"image_concurrency": 1})
    return gateway, Fakes(state=state, provider=provider, task_queue=TASK_QUEUE)


async def submitted(http: httpx.AsyncClient, **changes: Any) -> str:
    """Start a job of three pictures; gives its address."""
    answer = await http.post("/v1/jobs", json=a_body(count=3, **changes))
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


async def becomes(http: httpx.AsyncClient, address: str, status: str) -> dict[str, Any]:
    """Wait until a job has a status; gives its record."""

    async def record() -> dict[str, Any] | None:
        job = (await http.get(address)).json()
        return job if job["status"] == status else None

    found = await eventually(record, within_seconds=30, what=f"status {status}")
    assert found
    return found


async def buys(provider: FakeImageProvider) -> None:
    """Wait until the first picture is in flight."""
    await eventually(lambda: bool(provider.orders), what="a purchase")


async def told(fakes: Fakes, address: str) -> list[tuple[EventKind, str | None]]:
    """List what happened to a job, and who wanted it."""
    events = await fakes.events(JobId(address.rpartition("/")[2]))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [(event.kind, event.by) for event in events]


async def test_paused_job_is_raised_and_resumed_and_ends_complete(house: House) -> None:
    """Each answer shows the job as it is after the order, and the log says who gave it."""
    gateway, fakes = await a_house_of(house, provider := HeldProvider())
    async with (
        started_worker(house.temporal, fakes),
        gateway.calling() as http,
        gateway.calling(OPERATOR_KEY) as operator,
    ):
        address = await submitted(http)
        await buys(provider)
        paused = (await http.post(f"{address}/pause", json={"reason": "wrong photo"})).json()
        raised = (await operator.patch(address, json={"priority": "high"})).json()
        resumed = (await http.post(f"{address}/resume")).json()
        provider.may_draw.set()
        closed = await becomes(http, address, "completed")

    assert (paused["status"], raised["status"], resumed["status"]) == (
        "paused",
        "paused",
        "processing",
    )
    assert paused["seq"] < raised["seq"] < resumed["seq"] < closed["seq"]
    assert raised["priority"] == closed["priority"] == "high"
    log = await told(fakes, address)
    assert (EventKind.JOB_PAUSED, "ada") in log
    assert (EventKind.PRIORITY_CHANGED, "operator") in log


async def test_job_cancelled_after_current_keeps_what_was_in_flight(house: House) -> None:
    """The quote before says what happens then; a pause afterwards is refused in the job's words."""
    gateway, fakes = await a_house_of(house, provider := HeldProvider())
    wish = {"mode": "after_current"}
    async with started_worker(house.temporal, fakes), gateway.calling() as http:
        address = await submitted(http)
        await buys(provider)
        await eventually(lambda: accepted(http, address), what="an accepted purchase")
        quote = (await http.post(f"{address}/cancel?dry_run=true", json=wish)).json()
        stopping = await http.post(f"{address}/cancel", json=wish)
        repeated = await http.post(f"{address}/cancel", json=wish)
        refused = await http.post(f"{address}/pause")
        provider.may_draw.set()
        closed = await becomes(http, address, "cancelled")
        late = await http.post(f"{address}/cancel")

    assert [one.status_code for one in (stopping, repeated, late)] == [200, 200, 200]
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert "being cancelled" in refused.json()["detail"]
    assert quote["images"] == {"kept": 1, "inFlight": 1, "unknown": 0, "notMade": 2}
    assert len(closed["result"]["images"]) == 1
    assert closed["cost"]["spent"] == quote["wouldBill"]


async def accepted(http: httpx.AsyncClient, address: str) -> bool:
    """Say whether a purchase of a job is on its way."""
    quote = await http.post(f"{address}/cancel?dry_run=true")
    return quote.json()["images"]["inFlight"] == 1


async def test_cancelled_job_is_retried_with_edits_and_keeps_its_pictures(house: House) -> None:
    """What was stored is not bought again; what is missing is drawn as the edit says."""
    gateway, fakes = await a_house_of(house, provider := HeldProvider())
    async with started_worker(house.temporal, fakes), gateway.calling() as http:
        address = await submitted(http)
        await buys(provider)
        await http.post(f"{address}/cancel", json={"mode": "after_current"})
        provider.may_draw.set()
        await becomes(http, address, "cancelled")
        retried = await http.post(f"{address}/retry", json={"edits": {"image": {"seed": 7}}})
        closed = await becomes(http, address, "completed")

    assert retried.status_code == 202
    assert (retried.json()["run"], retried.json()["retryCount"]) == (2, 1)
    assert len(closed["result"]["images"]) == 3
    assert [order.image.seed for order in provider.orders] == [0, 7, 7]
    assert (EventKind.JOB_RETRIED, "ada") in await told(fakes, address)


async def test_failed_job_is_retried_by_an_operator(house: House) -> None:
    """The failure is forgotten in the record, and stays in the log."""
    broken = [RequestRefused("the request is malformed", provider="nanobanana") for _ in range(3)]
    gateway, fakes = await a_house_of(house, FakeImageProvider(submits=broken))
    async with (
        started_worker(house.temporal, fakes),
        gateway.calling() as http,
        gateway.calling(OPERATOR_KEY) as operator,
    ):
        address = await submitted(http)
        failed = await becomes(http, address, "failed")
        retried = await operator.post(f"{address}/retry")
        closed = await becomes(http, address, "completed")

    assert failed["error"]["code"] == "request_refused"
    assert retried.status_code == 202
    assert closed["error"] is None
    assert closed["result"]["errors"] == []
    assert (EventKind.JOB_RETRIED, "operator") in await told(fakes, address)


async def test_purchase_of_unknown_outcome_waits_for_a_decision(house: House) -> None:
    """Only the picture that waits can be decided about; giving it up leaves the others."""
    lost = ReplyLost("the line was cut", provider="nanobanana")
    gateway, fakes = await a_house_of(house, provider := QuicklyLostProvider(submits=[lost]))
    async with started_worker(house.temporal, fakes), gateway.calling() as http:
        address = await submitted(http)
        await eventually(lambda: waits_for_operator(http, address), what="a question")
        other = await http.post(f"{address}/decide", json={"item": "0002", "decision": "rebuy"})
        decided = await http.post(f"{address}/decide", json={"item": "0001", "decision": "give_up"})
        closed = await becomes(http, address, "completed")
        late = await http.post(f"{address}/decide", json={"decision": "rebuy"})

    assert (other.status_code, other.json()["code"]) == (409, "wrong_state")
    assert "0001" in other.json()["detail"]
    assert decided.status_code == 200
    assert closed["outcome"] == "partial"
    assert closed["cost"]["unknown"]["amountMicros"] > 0
    assert late.json()["code"] == "job_finished"
    assert len(provider.orders) == 3


class QuicklyLostProvider(FakeImageProvider):
    """Never calls back, so that a lost reply is given up at once."""

    @property
    def calls_back(self) -> bool:
        """Say that a lost reply stays lost."""
        return False


async def waits_for_operator(http: httpx.AsyncClient, address: str) -> bool:
    """Say whether a job waits for a decision."""
    waiting = (await http.get(address)).json()["waiting"]
    return waiting is not None and waiting["on"] == "operator"
