"""Who may enter, and that everybody sees their own things only."""

from typing import Any

import pytest
from socketio.exceptions import ConnectionError as Refused

from darkroom.domain.items import ItemState
from darkroom.domain.job import FileId
from gateway.live.doors import ROOM_TO_REFUSE
from tests.support.builders import BOB, a_job_id, a_picture, a_product_file, an_item
from tests.support.gateways import (
    ADA_KEY,
    BOB_KEY,
    House,
    Listener,
    RunningGateway,
    a_body,
    written_job,
)
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

ADAS_JOB = a_job_id(1)
ADAS_FILE = FileId("file_01jd0000000000000000000001")
ADAS_PICTURE = a_picture("a")

ADDRESSES = [
    ("GET", "/v1/jobs"),
    ("POST", "/v1/jobs"),
    ("GET", f"/v1/jobs/{ADAS_JOB}"),
    ("GET", f"/v1/jobs/{ADAS_JOB}/events"),
    ("GET", f"/v1/jobs/{ADAS_JOB}/images"),
    ("POST", f"/v1/jobs/{ADAS_JOB}/pause"),
    ("POST", f"/v1/jobs/{ADAS_JOB}/resume"),
    ("POST", f"/v1/jobs/{ADAS_JOB}/cancel"),
    ("POST", f"/v1/jobs/{ADAS_JOB}/cancel?dry_run=true"),
    ("POST", f"/v1/jobs/{ADAS_JOB}/retry"),
    ("GET", f"/v1/images/{ADAS_PICTURE.sha256}"),
    ("POST", "/v1/files"),
    ("GET", f"/v1/files/{ADAS_FILE}"),
    ("GET", f"/v1/files/{ADAS_FILE}/content"),
]


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YWRhOmFkYQ=="},
        {"Authorization": ADA_KEY},
        {"X-API-Key": "wrong"},
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_address_is_closed_without_a_valid_key(
    shared_gateway: RunningGateway, method: str, address: str, headers: dict[str, str]
) -> None:
    """401 with a remedy, whatever was asked."""
    async with shared_gateway.calling(None) as http:
        answer = await http.request(method, address, headers=headers)

    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"
    assert answer.json()["remedy"]
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {ADA_KEY}"},
        {"authorization": f"bearer {ADA_KEY}"},
        {"X-API-Key": ADA_KEY},
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_key_opens_in_either_header(
    shared_gateway: RunningGateway, headers: dict[str, str]
) -> None:
    """Bearer or X-API-Key."""
    async with shared_gateway.calling(None) as http:
        assert (await http.get("/v1/jobs", headers=headers)).status_code == 200


async def give_ada_things(gateway: RunningGateway) -> None:
    """A job with a stored picture, and an uploaded photo."""
    writer = await written_job(gateway.stores, job_id=ADAS_JOB)
    await writer.append(items=(an_item(state=ItemState.STORED, picture=ADAS_PICTURE),))
    await gateway.stores.files.add(a_product_file(file_id=ADAS_FILE))


@pytest.mark.parametrize(
    ("method", "address"),
    [one for one in ADDRESSES if one[1] not in {"/v1/jobs", "/v1/files"}],
)
async def test_what_belongs_to_another_is_not_there(
    gateway: RunningGateway, method: str, address: str
) -> None:
    """404 in the same words as for what nobody owns."""
    await give_ada_things(gateway)
    unknown = (
        address.replace(ADAS_JOB, a_job_id(9))
        .replace(ADAS_FILE, "file_01jd0000000000000000000009")
        .replace(ADAS_PICTURE.sha256, "9" * 64)
    )
    async with gateway.calling(BOB_KEY) as bob:
        theirs = await bob.request(method, address)
        nobodys = await bob.request(method, unknown)

    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.json()["code"] == nobodys.json()["code"] == "not_found"
    assert theirs.json().keys() == nobodys.json().keys()


async def test_job_of_another_is_not_there_before_its_first_row_either(
    gateway: RunningGateway,
) -> None:
    """Isolation does not depend on the store."""
    async with gateway.calling() as ada, gateway.calling(BOB_KEY) as bob:
        taken = await ada.post("/v1/jobs", json=a_body())
        location = taken.headers["location"]
        read = await bob.get(location)
        cancelled = await bob.post(f"{location}/cancel")
        still = await ada.get(location)

    assert read.status_code == cancelled.status_code == 404
    assert still.status_code == 200
    history = await gateway.temporal.get_workflow_handle(taken.json()["id"]).fetch_history()
    assert not any(
        event.HasField("workflow_execution_cancel_requested_event_attributes")
        for event in history.events
    )


async def test_lists_show_ones_own_jobs_only(gateway: RunningGateway) -> None:
    """Also when everything else matches."""
    await give_ada_things(gateway)
    await written_job(gateway.stores, job_id=a_job_id(2), owner=BOB)
    async with gateway.calling(BOB_KEY) as bob:
        listed = (await bob.get("/v1/jobs?label=campaign:spring")).json()["jobs"]

    assert [job["id"] for job in listed] == [a_job_id(2)]


@pytest.mark.parametrize("key", [None, "wrong", ""])
async def test_socket_without_a_valid_key_is_refused_with_a_code(
    gateway: RunningGateway, key: str | None
) -> None:
    """A client can tell a wrong key from a full house."""
    ear = Listener()
    with pytest.raises(Refused):
        await ear.connect(gateway.url, key)

    (refusal,) = ear.refusals
    assert refusal["data"] == {"code": "unauthenticated"}
    assert refusal["message"]


async def test_socket_cannot_follow_the_job_of_another(gateway: RunningGateway) -> None:
    """Not found, by either form of the wish, and nothing is sent later either."""
    await give_ada_things(gateway)
    writer = await written_job(gateway.stores, job_id=a_job_id(2), owner=BOB)
    raw: dict[str, Any] = {"type": "SUBSCRIBE", "jobId": ADAS_JOB}
    async with gateway.listening(BOB_KEY) as bob:
        answers = [await bob.subscribe(ADAS_JOB), await bob.ask("message", raw)]
        await bob.subscribe(a_job_id(2))
        await writer.append()
        await eventually(lambda: 2 in bob.seqs(a_job_id(2)), what="Bob's own job")

    assert [answer["ok"] for answer in answers] == [False, False]
    assert {answer["error"]["code"] for answer in answers} == {"not_found"}
    assert bob.seqs(ADAS_JOB) == []


@pytest.mark.parametrize("job_id", ["job_9", "darkroom", "../jobs", "", "job_" + "x" * 100])
async def test_id_that_is_no_job_is_not_found(gateway: RunningGateway, job_id: str) -> None:
    """Other workflows of the namespace cannot be reached through the gateway."""
    async with gateway.listening() as ear:
        answer = await ear.subscribe(job_id)

    assert answer["ok"] is False
    assert answer["error"]["code"] in {"not_found", "validation_failed"}


async def test_connections_beyond_the_limit_are_refused_with_the_reason(house: House) -> None:
    """WS_MAX_CONNECTIONS holds, and a place that becomes free is given again."""
    gateway = await house.gateway(changes={"ws_max_connections": 2})
    async with gateway.listening() as first, gateway.listening():
        late = Listener()
        with pytest.raises(Refused):
            await late.connect(gateway.url, ADA_KEY)
        await first.client.disconnect()

        async def enters() -> bool:
            try:
                async with gateway.listening():
                    return True
            except Refused:
                return False

        await eventually(enters, what="a free place")

    assert late.refusals[0]["data"] == {"code": "too_many_connections"}
    assert "2" in late.refusals[0]["message"]


async def test_crowd_that_joins_nothing_is_turned_away(house: House) -> None:
    """Connections that never name a namespace cannot pile up without bound."""
    gateway = await house.gateway(changes={"ws_max_connections": 1})
    async with gateway.calling(None) as http:
        answers = [
            await http.get("/socket.io/?EIO=4&transport=polling") for _ in range(ROOM_TO_REFUSE + 2)
        ]

    assert [answer.status_code for answer in answers[:-1]] == [200] * (ROOM_TO_REFUSE + 1)
    assert answers[-1].status_code == 503
    assert answers[-1].json()["code"] == "too_many_connections"
    assert answers[-1].headers["retry-after"]
