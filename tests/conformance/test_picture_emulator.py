"""The picture emulator: the life of a task, its callback, its picture, its bill, its faults."""

import asyncio
import io
import signal
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from PIL import Image, UnidentifiedImageError

from emulators.sample_product import draw_sample_product
from emulators.serving import bind
from tests.conformance.emulator_fixtures import (
    QUICK,
    Emulators,
    Neighbour,
    a_neighbour,
    emulators_with,
)

GENERATE = {"type": "TEXTTOIAMGE", "outputFormat": None}


@pytest.fixture
async def emulators() -> AsyncGenerator[Emulators]:
    async with emulators_with() as running:
        yield running


@pytest.fixture
async def neighbour() -> AsyncGenerator[Neighbour]:
    async with a_neighbour() as running:
        yield running


def picture_of(answer: httpx.Response) -> Image.Image:
    picture = Image.open(io.BytesIO(answer.content))
    picture.load()
    return picture


async def test_task_ends_with_a_picture_that_can_be_downloaded(emulators: Emulators) -> None:
    """Submit, look up, download: the plain path, without any key at the file host."""
    task_id = await emulators.submit()
    record = await emulators.ended(task_id)

    assert record["successFlag"] == 1
    assert record["operationType"] == "nano-banana-2_1k"
    assert record["completeTime"] >= record["createTime"] > ""
    answer = await emulators.client.get(
        record["response"]["resultImageUrl"], headers={"Authorization": ""}
    )
    assert answer.headers["content-type"] == "image/png"
    assert picture_of(answer).size == (64, 64)


async def test_task_is_generating_for_its_seconds() -> None:
    """Until its time has come a task shows successFlag 0 and no response."""
    async with emulators_with(replace(QUICK, picture_seconds=30)) as slow:
        record = await slow.record(await slow.submit())

    assert (record["successFlag"], record["response"]) == (0, None)
    assert record["completeTime"] == ""


@pytest.mark.parametrize(
    ("path", "changes", "operation", "credits_each"),
    [
        ("generate", GENERATE, "nano-banana_1k", 4),
        ("generate-2", {"resolution": "2K"}, "nano-banana-2_2k", 6),
        ("generate-pro", {"resolution": "2K"}, "nano-banana-pro_2k", 24),
    ],
)
async def test_each_submit_path_has_its_model_and_price(
    emulators: Emulators, path: str, changes: dict[str, Any], operation: str, credits_each: int
) -> None:
    """All three generations answer, and the account pays what each one costs."""
    before = (await emulators.client.get("/api/v1/common/credit")).json()["data"]

    record = await emulators.ended(await emulators.submit(path, **changes))

    assert record["operationType"] == operation
    after = (await emulators.client.get("/api/v1/common/credit")).json()["data"]
    assert before - after == credits_each
    (entry,) = await emulators.entries()
    assert entry["amountMicros"] == credits_each * 5_000


async def test_ratio_and_resolution_shape_the_picture(emulators: Emulators) -> None:
    """A wide 2K picture has four times the area of a square 1K one."""
    task_id = await emulators.submit(aspectRatio="16:9", resolution="2K")

    width, height = picture_of(await emulators.download(task_id)).size
    assert width / height == pytest.approx(16 / 9, rel=0.05)
    assert width * height == pytest.approx(4 * 64 * 64, rel=0.05)


async def test_jpg_is_the_default_format(emulators: Emulators) -> None:
    """generate-2 sends JPEG unless PNG is asked for."""
    body = {"prompt": "a lamp"}
    answer = await emulators.client.post("/api/v1/nanobanana/generate-2", json=body)

    picture = picture_of(await emulators.download(answer.json()["data"]["taskId"]))
    assert picture.format == "JPEG"


async def test_several_pictures_have_an_address_each(emulators: Emulators) -> None:
    """NumImages pictures are billed together and differ from each other."""
    record = await emulators.ended(await emulators.submit("generate", **GENERATE, numImages=3))

    addresses = record["response"]["resultUrls"]
    assert addresses[0] == record["response"]["resultImageUrl"]
    pictures = {(await emulators.client.get(address)).content for address in addresses}
    assert len(pictures) == 3
    (entry,) = await emulators.entries()
    assert (entry["units"], entry["credits"]) == (3, 12)


async def test_same_prompt_and_seed_give_the_same_bytes() -> None:
    """Pictures depend on the order and the seed alone, not on when they were ordered."""
    pictures: list[bytes] = []
    for seed in (7, 7, 8):
        async with emulators_with(replace(QUICK, seed=seed)) as running:
            pictures.append((await running.download(await running.submit())).content)

    assert pictures[0] == pictures[1] != pictures[2]


async def test_task_ids_are_never_used_again() -> None:
    """A restarted emulator must not give a second task the name of the first."""
    ids: set[str] = set()
    for _ in range(2):
        async with emulators_with() as running:
            ids |= {await running.submit(), await running.submit()}

    assert len(ids) == 4


@pytest.mark.parametrize(
    ("path", "changes", "named"),
    [
        ("generate-2", {"prompt": ""}, "prompt"),
        ("generate-2", {"prompt": "x" * 20_001}, "prompt"),
        ("generate-2", {"resolution": "8K"}, "resolution"),
        ("generate-2", {"outputFormat": "gif"}, "outputFormat"),
        ("generate-2", {"aspectRatio": "7:3"}, "aspectRatio"),
        ("generate-2", {"imageUrls": ["http://a.test/x.png"] * 15}, "imageUrls"),
        ("generate-2", {"callBackUrl": "ftp://a.test"}, "callBackUrl"),
        ("generate-pro", {}, "resolution"),
        ("generate", {"type": "TEXTTOIMAGE"}, "type"),
        ("generate", {"type": "IMAGETOIAMGE"}, "imageUrls"),
        ("generate", {**GENERATE, "numImages": 5}, "numImages"),
    ],
)
async def test_wrong_order_is_a_422_inside_a_200(
    emulators: Emulators, path: str, changes: dict[str, Any], named: str
) -> None:
    """The provider refuses in the body; the field is named and nothing is accepted."""
    answer = await emulators.call_submit(path, **changes)

    assert answer.status_code == 200
    refused = answer.json()
    assert refused["code"] == 422
    assert named in refused["msg"]
    assert refused["data"] is None
    assert await emulators.entries() == []


async def test_wrong_key_is_a_401_inside_a_200() -> None:
    """Every path of the provider wants the key."""
    async with emulators_with(replace(QUICK, api_key="right")) as running:
        codes = [
            (await running.call_submit()).json()["code"],
            (await running.client.get("/api/v1/common/credit")).json()["code"],
            (await running.client.get("/api/v1/nanobanana/record-info?taskId=x")).json()["code"],
        ]

    assert codes == [401, 401, 401]


async def test_empty_account_is_a_402_inside_a_200() -> None:
    """What cannot be paid is not accepted."""
    async with emulators_with(replace(QUICK, credits=5)) as running:
        await running.submit()

        assert (await running.call_submit()).json()["code"] == 402
        assert len(await running.entries()) == 1


@pytest.mark.parametrize(("query", "code"), [("taskId=none", 404), ("task_id=x", 500), ("", 500)])
async def test_lookup_without_a_known_task_tells_how_it_failed(
    emulators: Emulators, query: str, code: int
) -> None:
    """An unknown task is 404; the snake-case parameter is the provider's known trap, 500."""
    answer = await emulators.client.get(f"/api/v1/nanobanana/record-info?{query}")

    assert (answer.status_code, answer.json()["code"]) == (200, code)


async def test_callback_of_generate_2_is_the_record(
    emulators: Emulators, neighbour: Neighbour
) -> None:
    """The caller is told once, with what record-info shows."""
    task_id = await emulators.submit(callBackUrl=neighbour.callback_url)

    call = await neighbour.next_call()

    assert call == {"code": 200, "msg": "success", "data": await emulators.record(task_id)}


async def test_callback_of_generate_has_a_shape_of_its_own(
    emulators: Emulators, neighbour: Neighbour
) -> None:
    """The first generation puts the address under `info`, and failures into the code."""
    await emulators.befall(
        {"endpoint": "generate", "when": {"nth": 2}, "action": "generate_failed", "code": 400}
    )
    task_id = await emulators.submit("generate", **GENERATE, callBackUrl=neighbour.callback_url)
    call = await neighbour.next_call()
    failed_id = await emulators.submit("generate", **GENERATE, callBackUrl=neighbour.callback_url)
    failed_call = await neighbour.next_call()

    assert call["data"]["taskId"] == task_id
    assert call["data"]["info"]["resultImageUrl"].endswith(f"/results/{task_id}-result-0.png")
    assert (failed_call["code"], failed_call["data"]["taskId"]) == (400, failed_id)


async def test_failed_callback_is_tried_once_more(
    emulators: Emulators, neighbour: Neighbour
) -> None:
    """A neighbour that answers 500 is called again with the same body."""
    neighbour.answers = [500]
    await emulators.submit(callBackUrl=neighbour.callback_url)

    first, second = await neighbour.next_call(), await neighbour.next_call()

    assert first == second


async def test_callback_can_come_before_the_submit_is_answered(
    emulators: Emulators, neighbour: Neighbour
) -> None:
    """The reply arrives when the callback has been answered already."""
    await emulators.befall({"endpoint": "callback", "action": "before_reply"})

    task_id = await emulators.submit(callBackUrl=neighbour.callback_url)

    assert neighbour.calls.get_nowait()["data"]["taskId"] == task_id


async def test_lost_submit_reply_leaves_a_task_that_calls_back(
    emulators: Emulators, neighbour: Neighbour
) -> None:
    """The orphan names itself in its callback, exists, and is billed: it can be adopted."""
    await emulators.befall({"endpoint": "generate", "action": "reset_after_acceptance"})

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await emulators.submit(callBackUrl=neighbour.callback_url)

    orphan = (await neighbour.next_call())["data"]["taskId"]
    assert (await emulators.record(orphan))["successFlag"] == 1
    (entry,) = await emulators.entries()
    assert (entry["taskId"], entry["billed"]) == (orphan, True)


async def test_reset_before_acceptance_leaves_no_task(emulators: Emulators) -> None:
    """A request that never got through can be sent again freely."""
    await emulators.befall({"endpoint": "generate", "action": "reset_before_acceptance"})

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await emulators.submit()

    assert await emulators.entries() == []


async def test_callback_can_come_twice(emulators: Emulators, neighbour: Neighbour) -> None:
    """A duplicate is the same body again."""
    await emulators.befall({"endpoint": "callback", "action": "twice"})
    await emulators.submit(callBackUrl=neighbour.callback_url)

    assert await neighbour.next_call() == await neighbour.next_call()


async def test_forged_callback_names_an_unknown_task(
    emulators: Emulators, neighbour: Neighbour
) -> None:
    """The forgery comes to the right address with a foreign picture; the truth follows."""
    await emulators.befall({"endpoint": "callback", "action": "forged"})
    task_id = await emulators.submit(callBackUrl=neighbour.callback_url)

    forged, true = await neighbour.next_call(), await neighbour.next_call()

    assert true["data"]["taskId"] == task_id
    unknown = forged["data"]["taskId"]
    answer = await emulators.client.get(f"/api/v1/nanobanana/record-info?taskId={unknown}")
    assert answer.json()["code"] == 404
    assert (await emulators.client.get(forged["data"]["response"]["resultImageUrl"])).is_error


async def test_callback_can_stay_away(emulators: Emulators, neighbour: Neighbour) -> None:
    """The first task calls nobody; the one after it does."""
    await emulators.befall({"endpoint": "callback", "when": {"nth": 1}, "action": "never"})
    await emulators.ended(await emulators.submit(callBackUrl=neighbour.callback_url))
    second = await emulators.submit(callBackUrl=neighbour.callback_url)

    assert (await neighbour.next_call())["data"]["taskId"] == second
    assert neighbour.calls.empty()


async def test_late_callback_comes_after_later_tasks(
    emulators: Emulators, neighbour: Neighbour
) -> None:
    """Callbacks can arrive out of order."""
    await emulators.befall(
        {"endpoint": "callback", "when": {"nth": 1}, "action": "late", "seconds": 0.3}
    )
    late = await emulators.submit(callBackUrl=neighbour.callback_url)
    prompt = await emulators.submit(callBackUrl=neighbour.callback_url)

    order = [(await neighbour.next_call())["data"]["taskId"] for _ in range(2)]

    assert order == [prompt, late]


@pytest.mark.parametrize(("action", "flag"), [("create_failed", 2), ("generate_failed", 3)])
async def test_failed_task_gives_its_money_back(
    emulators: Emulators, action: str, flag: int
) -> None:
    """The entry stays, unbilled; the record says why."""
    await emulators.befall({"endpoint": "generate", "action": action, "message": "no luck"})

    record = await emulators.ended(await emulators.submit())

    assert (record["successFlag"], record["errorMessage"]) == (flag, "no luck")
    assert record["response"] is None
    ledger = await emulators.ledger()
    assert [entry["billed"] for entry in ledger["entries"]] == [False]
    assert ledger["totals"]["amountMicros"] == ledger["totals"]["credits"] == 0


async def test_stuck_task_counts_as_in_flight(emulators: Emulators) -> None:
    """A task that never ends shows 0 for ever and is seen in the counts."""
    await emulators.befall({"endpoint": "generate", "action": "stuck"})
    ids = [await emulators.submit() for _ in range(3)]

    flags = [(await emulators.record(task_id))["successFlag"] for task_id in ids]

    assert flags == [0, 0, 0]
    ledger = await emulators.ledger()
    assert ledger["in_flight"]["generate"] == ledger["most_in_flight"]["generate"] == 3


async def test_error_in_the_body_is_not_accepted(emulators: Emulators) -> None:
    """Maintenance looks like this: HTTP 200, code 455."""
    await emulators.befall(
        {"endpoint": "generate", "action": "in_body_error", "code": 455, "msg": "maintenance"}
    )

    answer = await emulators.call_submit()

    assert (answer.status_code, answer.json()["code"]) == (200, 455)
    assert await emulators.entries() == []


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("record_info", "/api/v1/nanobanana/record-info?taskId={}"),
        ("credit", "/api/v1/common/credit"),
        ("result", "/results/{}-result-0.png"),
    ],
)
async def test_every_endpoint_can_fail(emulators: Emulators, endpoint: str, path: str) -> None:
    """A status rule befalls exactly the endpoint it names."""
    task_id = await emulators.submit()
    await emulators.ended(task_id)
    await emulators.befall({"endpoint": endpoint, "action": "status", "status": 503, "times": 1})

    failed = await emulators.client.get(path.format(task_id))
    again = await emulators.client.get(path.format(task_id))

    assert (failed.status_code, again.status_code) == (503, 200)
    assert failed.json()["code"] == 503


async def test_product_photo_is_fetched_and_seen_in_the_picture(emulators: Emulators) -> None:
    """With a photo of the product another picture is drawn than without."""
    async with a_neighbour({"/lamp.png": draw_sample_product()}) as shop:
        photo = f"{shop.address}/lamp.png"
        with_photo = await emulators.download(await emulators.submit(imageUrls=[photo]))
        edited = await emulators.ended(
            await emulators.submit(
                "generate", type="IMAGETOIAMGE", imageUrls=[photo], outputFormat=None
            )
        )
    without = await emulators.download(await emulators.submit())

    assert with_photo.content != without.content
    assert edited["successFlag"] == 1


@pytest.mark.parametrize("path", ["/missing.png", "/text.png"])
async def test_photo_that_cannot_be_had_fails_the_task(emulators: Emulators, path: str) -> None:
    """A dead address or a file that is no picture ends in flag 2, unbilled, naming the address."""
    async with a_neighbour({"/text.png": b"this is not a picture"}) as shop:
        record = await emulators.ended(await emulators.submit(imageUrls=[f"{shop.address}{path}"]))

    assert record["successFlag"] == 2
    assert path in record["errorMessage"]
    assert [entry["billed"] for entry in await emulators.entries()] == [False]


async def test_result_expires() -> None:
    """After its time a picture's address is dead, though the record still shows it."""
    async with emulators_with(replace(QUICK, result_ttl_seconds=0)) as forgetful:
        answer = await forgetful.download(await forgetful.submit())

    assert answer.status_code == 404


@pytest.mark.parametrize("status", [404, 410])
async def test_result_can_be_expired_by_a_rule(emulators: Emulators, status: int) -> None:
    """Either way of saying "gone" can be had."""
    await emulators.befall({"endpoint": "result", "action": "expired", "status": status})

    answer = await emulators.download(await emulators.submit())

    assert answer.status_code == status


async def test_truncated_result_breaks_off(emulators: Emulators) -> None:
    """More bytes are announced than come."""
    await emulators.befall({"endpoint": "result", "action": "truncated"})

    with pytest.raises(httpx.RemoteProtocolError):
        await emulators.download(await emulators.submit())


async def test_cleanly_truncated_result_does_not_decode(emulators: Emulators) -> None:
    """HTTP sees a whole answer; only decoding finds the half missing."""
    await emulators.befall({"endpoint": "result", "action": "truncated", "clean": True})

    answer = await emulators.download(await emulators.submit())

    with pytest.raises(OSError, match="truncated"):
        picture_of(answer)


@pytest.mark.parametrize("action", ["not_an_image", "wrong_content_type"])
async def test_result_can_be_no_picture(emulators: Emulators, action: str) -> None:
    """Status 200 and bytes that no decoder knows."""
    await emulators.befall({"endpoint": "result", "action": action})

    answer = await emulators.download(await emulators.submit())

    assert answer.status_code == 200
    with pytest.raises(UnidentifiedImageError):
        picture_of(answer)


async def test_huge_result_does_not_announce_its_size(emulators: Emulators) -> None:
    """Only a cap while reading protects the reader."""
    await emulators.befall({"endpoint": "result", "action": "huge", "size_bytes": 3_000_000})

    answer = await emulators.download(await emulators.submit())

    assert "content-length" not in answer.headers
    assert len(answer.content) == 3_000_000


async def test_slow_result_is_whole(emulators: Emulators) -> None:
    """A trickle still ends with every byte."""
    task_id = await emulators.submit()
    quick = await emulators.download(task_id)
    await emulators.befall({"endpoint": "result", "action": "slow", "seconds": 0.2})

    loop = asyncio.get_running_loop()
    started = loop.time()
    slow = await emulators.download(task_id)

    assert slow.content == quick.content
    assert loop.time() - started >= 0.2


async def test_running_tasks_never_hold_up_the_end() -> None:
    """The emulators stop at once, whatever is under way."""
    async with asyncio.timeout(5):
        async with emulators_with(replace(QUICK, picture_seconds=300)) as running:
            await running.submit()


async def test_taken_port_is_one_clear_line() -> None:
    """A second server on the same port tells what to do and leaves with status 2."""
    with bind("127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "emulators", "--port", str(port)),
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()

    assert process.returncode == 2
    assert len(said.splitlines()) == 1
    assert str(port).encode() in said
    assert b"--port" in said


async def test_signal_ends_the_process_cleanly() -> None:
    """SIGTERM is a normal end: status 0, nothing said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emulators", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    started = await process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, said = await process.communicate()

    assert started.startswith(b"emulators: listening on http://127.0.0.1:")
    assert (process.returncode, said) == (0, b"")
