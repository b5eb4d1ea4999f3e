"""What still works while the database, or every worker, is away."""

import asyncio

from tests.support.builders import a_job_id
from tests.support.databases import memory_stores
from tests.support.fakes import MemoryState
from tests.support.gateways import House, RunningGateway, a_body, written_job
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

JOB = a_job_id(1)


async def test_submit_succeeds_without_the_database(house: House) -> None:
    """A submit succeeds when Temporal has the workflow; a key still names one job."""
    gateway = await house.gateway(stores=memory_stores(MemoryState(is_away=True)))
    key = {"Idempotency-Key": "without a database"}
    async with gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body(), headers=key)
        again = await http.post("/v1/jobs", json=a_body(), headers=key)
        other = await http.post("/v1/jobs", json=a_body(count=7), headers=key)

    assert taken.status_code == 202
    assert again.json() == taken.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert other.json()["code"] == "idempotency_mismatch"


async def test_submit_with_photos_waits_for_the_database(house: House) -> None:
    """Whose photo it is cannot be known, so nothing is started."""
    gateway = await house.gateway(stores=memory_stores(MemoryState(is_away=True)))
    async with gateway.calling() as http:
        answer = await http.post("/v1/jobs", json=a_body(product=["file_a"]))

    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"
    assert answer.headers["retry-after"]


async def test_what_only_the_database_knows_is_unavailable_for_a_while(house: House) -> None:
    """503 with Retry-After, never 404 or 500."""
    gateway = await house.gateway(stores=memory_stores(MemoryState(is_away=True)))
    async with gateway.calling() as http:
        answers = [
            await http.get(address)
            for address in (
                "/v1/jobs",
                f"/v1/jobs/{JOB}",
                f"/v1/images/{'a' * 64}",
                "/v1/files/file_01jd0000000000000000000001",
            )
        ]

    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["code"] == "unavailable"
        assert answer.json()["remedy"]
        assert answer.headers["retry-after"]


async def test_subscriber_is_told_that_the_database_is_away(house: House) -> None:
    """An acknowledgement with a code, not silence."""
    gateway = await house.gateway(stores=memory_stores(MemoryState(is_away=True)))
    async with gateway.listening() as ear:
        answer = await ear.subscribe(JOB)

    assert answer["ok"] is False
    assert answer["error"]["code"] == "unavailable"


async def test_readiness_names_what_is_away(house: House) -> None:
    """`?verbose` lists every check; alive and ready are two questions."""
    state = MemoryState()
    gateway = await house.gateway(stores=memory_stores(state))
    async with gateway.calling(None) as http:
        ready = await eventually(lambda: _ready(gateway), what="readiness")
        state.is_away = True
        away = await http.get("/readyz?verbose")
        brief = await http.get("/readyz")
        alive = await http.get("/livez")

    assert ready
    assert away.status_code == brief.status_code == 503
    assert away.json()["checks"].keys() == {"database", "temporal", "doorbell"}
    assert "store_unavailable" in away.json()["checks"]["database"]
    assert away.json()["checks"]["temporal"] == "ok"
    assert "checks" not in brief.json()
    assert alive.status_code == 200


async def _ready(gateway: RunningGateway) -> bool:
    async with gateway.calling(None) as http:
        return (await http.get("/readyz")).status_code == 200


async def test_workflow_that_does_not_answer_leaves_the_row_marked_stale(
    gateway: RunningGateway,
) -> None:
    """Without any worker a subscriber gets what the store knows, soon, and is told so."""
    async with gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body())
    job_id = taken.json()["id"]
    await written_job(gateway.stores, job_id=job_id)
    async with gateway.listening() as ear, asyncio.timeout(2):
        answer = await ear.subscribe(job_id)

    assert answer["snapshot"]["stale"] is True
    assert answer["snapshot"]["status"] == "processing"
    assert [message["seq"] for message in answer["events"]] == [1]


async def test_job_that_no_worker_has_seen_can_be_followed(gateway: RunningGateway) -> None:
    """Subscribing works from the moment of the 202, and hears the first event."""
    async with gateway.calling() as http:
        taken = await http.post("/v1/jobs", json=a_body())
    job_id = taken.json()["id"]
    async with gateway.listening() as ear:
        answer = await ear.subscribe(job_id)
        await written_job(gateway.stores, job_id=job_id)
        await eventually(lambda: ear.seqs(job_id) == [1], what="the first event")

    assert answer["ok"] is True
    assert answer["events"] == []
    assert answer["snapshot"]["status"] == "pending"


async def test_job_that_nobody_knows_is_not_found(gateway: RunningGateway) -> None:
    """Neither the store nor Temporal has it."""
    async with gateway.calling() as http:
        answer = await http.get(f"/v1/jobs/{a_job_id(9)}")

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
