"""The picture adapter on real sockets: money is never risked twice, and results are guarded."""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from darkroom.domain.errors import (
    Billing,
    ContentRefused,
    CreditsExhausted,
    Disposition,
    GenerationFailed,
    KeyRefused,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    ReplyLost,
    RequestRefused,
    ResultGone,
)
from darkroom.domain.job import FileId, ImageSpec, JobId
from darkroom.domain.ledger import CallKey
from darkroom.domain.ports import PictureOrder
from darkroom.domain.tokens import callback_token, file_token
from darkroom.providers.http_client import open_client
from darkroom.providers.nanobanana import NanobananaOptions, NanobananaProvider
from tests.support.emulated import Emulated, Rule, running_emulators
from tests.support.scripted_server import answer_bytes, scripted_server
from tests.support.subprocesses import free_port
from tests.support.waiting import eventually

SHORT = timedelta(seconds=1)
GATEWAY = "https://darkroom.test"
SECRET = "signing-secret"
CALL = CallKey(job=JobId("job_1"), item="0001", take=2)
IMAGE = ImageSpec(model="nano-banana-2")
ORDER = PictureOrder(call=CALL, prompt="a street lamp at dusk", image=IMAGE, product=())
PRICES = {
    ("nano-banana", "1K"): 20_000,
    ("nano-banana-2", "1K"): 20_000,
    ("nano-banana-pro", "2K"): 120_000,
}


def on(endpoint: str, action: str, **parameters: Any) -> Rule:
    return {"endpoint": endpoint, "action": action, **parameters}


@pytest.fixture(scope="module")
def provider() -> Generator[Emulated]:
    with running_emulators() as emulated:
        yield emulated


@pytest.fixture
async def emulated(provider: Emulated) -> Emulated:
    await provider.forget()
    return provider


@pytest.fixture
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    async with open_client() as opened:
        yield opened


def adapter(client: httpx.AsyncClient, address: str, **changes: Any) -> NanobananaProvider:
    options = NanobananaOptions(
        base_url=address,
        api_key="test-key",
        callback_base_url=GATEWAY,
        signing_secret=SECRET,
        prices=PRICES,
        download_hosts=("127.0.0.1",),
    )
    return NanobananaProvider(client, client, replace(options, **changes))


async def task_of(adapter: NanobananaProvider, order: PictureOrder = ORDER) -> str:
    return (await adapter.submit(order)).task_id


async def failure_of_buying(
    adapter: NanobananaProvider, order: PictureOrder = ORDER
) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await adapter.submit(order)
    return failed.value


async def failure_of_asking(adapter: NanobananaProvider, task_id: str) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await eventually(lambda: adapter.collect(task_id), what="the end of the task")
    return failed.value


async def has_arrived(emulated: Emulated) -> bool:
    return await emulated.met_counts() == (1,)


async def url_of(adapter: NanobananaProvider, task_id: str) -> str:
    ready = await eventually(lambda: adapter.collect(task_id), what="the picture")
    return ready.url if ready else ""


def envelope(code: int, content: Any = None, *, status: int = 200) -> bytes:
    body = {"code": code, "msg": "because", "data": content}
    return answer_bytes(status, json.dumps(body).encode())


# Buying


async def test_a_picture_is_bought_collected_and_fetched(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """One purchase, named as ours in the provider's books, leads to a picture."""
    nanobanana = adapter(client, emulated.address)

    task_id = await task_of(nanobanana)
    url = await url_of(nanobanana, task_id)
    picture = await nanobanana.download(url)

    (bought,) = await emulated.ledger()
    assert (bought.call, bought.task_id, bought.model) == (str(CALL), task_id, "nano-banana-2")
    assert bought.amount_micros == nanobanana.price_micros(IMAGE)
    assert picture.startswith(b"\x89PNG")


async def test_each_model_has_its_endpoint_and_its_words(client: httpx.AsyncClient) -> None:
    """The three submit calls differ in path and in the names of their fields."""
    photo = f"{GATEWAY}/v1/files/file_9/content?t={file_token(SECRET, FileId('file_9'))}"
    specs = (
        ImageSpec(model="nano-banana", aspect_ratio="16:9"),
        ImageSpec(model="nano-banana-2", aspect_ratio="3:4", format="jpeg"),
        ImageSpec(model="nano-banana-pro", size="2K"),
    )
    async with scripted_server(lambda _: envelope(200, {"taskId": "t"})) as server:
        for image in specs:
            order = replace(ORDER, image=image, product=(FileId("file_9"),))
            await adapter(client, server.address()).submit(order)

    paths = [request.path.removeprefix("/api/v1/nanobanana/") for request in server.requests]
    bodies = [json.loads(request.body) for request in server.requests]
    assert paths == ["generate", "generate-2", "generate-pro"]
    assert all(body["imageUrls"] == [photo] for body in bodies)
    assert (bodies[0]["type"], bodies[0]["image_size"]) == ("IMAGETOIAMGE", "16:9")
    assert (bodies[1]["aspectRatio"], bodies[1]["outputFormat"]) == ("3:4", "jpg")
    assert (bodies[2]["resolution"], bodies[2]["aspectRatio"]) == ("2K", "1:1")


async def test_the_callback_address_names_the_purchase_and_is_signed(
    client: httpx.AsyncClient,
) -> None:
    """So an orphaned task can be adopted, and nobody else can call back."""
    async with scripted_server(lambda _: envelope(200, {"taskId": "t"})) as server:
        await adapter(client, server.address()).submit(ORDER)

    (request,) = server.requests
    expected = f"{GATEWAY}/v1/callbacks/nanobanana/job_1/0001/2?t={callback_token(SECRET, CALL)}"
    assert json.loads(request.body)["callBackUrl"] == expected
    assert request.header("x-darkroom-call") == str(CALL)
    assert request.header("authorization") == "Bearer test-key"


@pytest.mark.parametrize("action", ["status", "in_body_error"])
@pytest.mark.parametrize(
    ("code", "leaf", "disposition"),
    [
        (401, KeyRefused, Disposition.WAIT),
        (402, CreditsExhausted, Disposition.WAIT),
        (404, RequestRefused, Disposition.FATAL),
        (422, RequestRefused, Disposition.FATAL),
        (429, RateLimited, Disposition.WAIT),
        (455, ProviderUnavailable, Disposition.RETRYABLE),
        (500, ProviderUnavailable, Disposition.RETRYABLE),
        (501, GenerationFailed, Disposition.RETRYABLE),
        (505, RequestRefused, Disposition.FATAL),
    ],
)
async def test_a_refused_purchase_is_free(
    emulated: Emulated,
    client: httpx.AsyncClient,
    action: str,
    code: int,
    leaf: type[ProviderError],
    disposition: Disposition,
) -> None:
    """A code means the same as an HTTP status and inside a body; and one POST was made."""
    field = "status" if action == "status" else "code"
    await emulated.befall(on("generate", action, **{field: code}))

    failed = await failure_of_buying(adapter(client, emulated.address))

    assert type(failed) is leaf
    assert (failed.disposition, failed.billing) == (disposition, Billing.NONE)
    assert failed.provider == "nanobanana"
    assert await emulated.met_counts() == (1,)
    assert await emulated.ledger() == ()


async def test_retry_after_is_passed_on(emulated: Emulated, client: httpx.AsyncClient) -> None:
    """Who says when to come back is believed."""
    await emulated.befall(on("generate", "status", status=429, retry_after=9))

    failed = await failure_of_buying(adapter(client, emulated.address))

    assert failed.retry_after == timedelta(seconds=9)


@pytest.mark.parametrize(
    ("rule", "accepted_count"),
    [
        (on("generate", "reset_before_acceptance"), 0),
        (on("generate", "reset_after_acceptance"), 1),
        (on("generate", "truncated_json"), 1),
        (on("generate", "wrong_content_type"), 1),
        (on("generate", "hang"), 0),
        (on("generate", "latency_after_acceptance", seconds=5), 1),
    ],
    ids=["reset before", "reset after", "truncated", "html", "hang", "slow"],
)
async def test_a_lost_reply_is_never_called_free(
    emulated: Emulated, client: httpx.AsyncClient, rule: Rule, accepted_count: int
) -> None:
    """Only the callback can tell; the adapter does not find out by buying again."""
    await emulated.befall(rule)
    nanobanana = adapter(client, emulated.address, post_deadline=SHORT)

    failed = await asyncio.wait_for(failure_of_buying(nanobanana), timeout=4)

    assert type(failed) is ReplyLost
    assert failed.billing is Billing.UNKNOWN
    await eventually(lambda: has_arrived(emulated), what="the call")
    bought = await emulated.ledger()
    assert [purchase.call for purchase in bought] == [str(CALL)] * accepted_count


@pytest.mark.parametrize(
    ("answer", "leaf"),
    [
        (answer_bytes(500, b"<html>Oops</html>"), ReplyLost),
        (answer_bytes(502, b"<html>Bad gateway</html>"), ReplyLost),
        (answer_bytes(504), ReplyLost),
        (answer_bytes(524, b"error code: 524"), ReplyLost),
        (envelope(200, {"taskId": "t"}, status=502), ReplyLost),
        (envelope(200, None), ReplyLost),
        (envelope(200, {"taskId": ""}), ReplyLost),
        (answer_bytes(503, b"no healthy upstream"), ProviderUnavailable),
        (envelope(502, None, status=502), ProviderUnavailable),
        (answer_bytes(403, b"<html>Just a moment</html>"), KeyRefused),
        (answer_bytes(307, headers=[("Location", "https://elsewhere.test/")]), RequestRefused),
    ],
)
async def test_only_the_provider_itself_can_say_that_nothing_was_bought(
    client: httpx.AsyncClient, answer: bytes, leaf: type[ProviderError]
) -> None:
    """A proxy's 502 may come after the purchase; the provider's own word is believed."""
    async with scripted_server(lambda _: answer) as server:
        failed = await failure_of_buying(adapter(client, server.address()))

    assert type(failed) is leaf
    assert len(server.requests) == 1


async def test_a_purchase_that_was_never_sent_is_free(client: httpx.AsyncClient) -> None:
    """Nobody listening: nothing left this machine."""
    failed = await failure_of_buying(adapter(client, f"http://127.0.0.1:{free_port()}"))

    assert type(failed) is ProviderUnavailable
    assert failed.billing is Billing.NONE


async def test_an_unknown_model_is_refused_before_anything_is_sent(
    client: httpx.AsyncClient,
) -> None:
    """What has no price cannot be bought."""
    order = replace(ORDER, image=replace(IMAGE, size="8K"))
    async with scripted_server(lambda _: b"") as server:
        failed = await failure_of_buying(adapter(client, server.address()), order)

    assert type(failed) is RequestRefused
    assert "nano-banana-2 1K" in str(failed)
    assert server.requests == []


async def test_the_grace_period_must_outlast_a_purchase(client: httpx.AsyncClient) -> None:
    """Else a purchase would be given up while its POST is still under way."""
    with pytest.raises(ValueError, match="grace"):
        adapter(client, "http://127.0.0.1", grace=timedelta(seconds=20))


# Asking


async def test_a_task_under_way_has_no_result(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """None means: ask again."""
    await emulated.befall(on("generate", "stuck"))
    nanobanana = adapter(client, emulated.address)

    assert await nanobanana.collect(await task_of(nanobanana)) is None


@pytest.mark.parametrize(
    ("rule", "leaf"),
    [
        (on("generate", "create_failed"), GenerationFailed),
        (on("generate", "generate_failed", code=500), GenerationFailed),
        (on("generate", "generate_failed", code=501), GenerationFailed),
        (on("generate", "generate_failed", code=400), ContentRefused),
        (on("generate", "create_failed", message="Prohibited by our Usage Policy"), ContentRefused),
    ],
    ids=["not created", "server", "failed", "policy by code", "policy by words"],
)
async def test_a_failed_task_gives_the_money_back(
    emulated: Emulated, client: httpx.AsyncClient, rule: Rule, leaf: type[ProviderError]
) -> None:
    """The leaf says so, and so do the provider's books."""
    await emulated.befall(rule)
    nanobanana = adapter(client, emulated.address)

    failed = await failure_of_asking(nanobanana, await task_of(nanobanana))

    assert type(failed) is leaf
    assert failed.billing is Billing.NONE
    assert [purchase.billed for purchase in await emulated.ledger()] == [False]


async def test_a_photo_that_cannot_be_fetched_is_no_matter_of_policy(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """Our gateway may be back soon; and the token in its address is not repeated to callers."""
    nanobanana = adapter(
        client, emulated.address, callback_base_url=f"http://127.0.0.1:{free_port()}"
    )
    order = replace(ORDER, product=(FileId("file_9"),))

    failed = await failure_of_asking(nanobanana, await task_of(nanobanana, order))

    assert type(failed) is GenerationFailed
    assert "file_9" in str(failed)
    assert file_token(SECRET, FileId("file_9")) not in str(failed)


async def test_an_unknown_task_is_a_lost_picture(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """It was paid for, and nobody can hand it out any more."""
    failed = await failure_of_asking(adapter(client, emulated.address), "no-such-task")

    assert type(failed) is ResultGone
    assert failed.billing is Billing.BILLED


@pytest.mark.parametrize(
    ("rule", "leaf"),
    [
        (on("record_info", "status", status=500), ProviderUnavailable),
        (on("record_info", "status", status=429, retry_after=3), RateLimited),
        (on("record_info", "in_body_error", code=455), ProviderUnavailable),
        (on("record_info", "in_body_error", code=401), KeyRefused),
        (on("record_info", "in_body_error", code=400), ProviderUnavailable),
        (on("record_info", "reset_before_acceptance"), ProviderUnavailable),
        (on("record_info", "truncated_json"), ProviderUnavailable),
        (on("record_info", "wrong_content_type"), ProviderUnavailable),
        (on("record_info", "hang"), ProviderUnavailable),
    ],
    ids=["500", "429", "maintenance", "key", "malformed", "reset", "truncated", "html", "hang"],
)
async def test_a_question_may_always_be_asked_again(
    emulated: Emulated, client: httpx.AsyncClient, rule: Rule, leaf: type[ProviderError]
) -> None:
    """Looking up a task costs nothing, so no failure of it gives up what was paid for."""
    nanobanana = adapter(client, emulated.address, ask_deadline=SHORT)
    task_id = await task_of(nanobanana)
    await emulated.befall(rule)

    failed = await failure_of_asking(nanobanana, task_id)

    assert type(failed) is leaf
    assert failed.billing is Billing.NONE
    assert failed.disposition is not Disposition.FATAL
    assert await emulated.met_counts() == (1,)


@pytest.mark.parametrize("status", [404, 502])
async def test_a_proxy_cannot_declare_a_task_lost(client: httpx.AsyncClient, status: int) -> None:
    """Only the provider knows its tasks."""
    async with scripted_server(lambda _: answer_bytes(status, b"<html></html>")) as server:
        failed = await failure_of_asking(adapter(client, server.address()), "task")

    assert type(failed) is ProviderUnavailable


@pytest.mark.parametrize(
    ("response", "address"),
    [
        ({"resultImageUrl": "https://a.test/1.png"}, "https://a.test/1.png"),
        ({"resultUrls": ["https://a.test/2.png", "x"]}, "https://a.test/2.png"),
        ({"resultImageUrl": None, "resultUrls": ["https://a.test/3.png"]}, "https://a.test/3.png"),
    ],
)
async def test_the_first_result_is_taken_under_either_name(
    client: httpx.AsyncClient, response: dict[str, Any], address: str
) -> None:
    """The provider writes results in two ways."""
    record = {"successFlag": 1, "response": response, "errorCode": None, "paramJson": "{}"}
    async with scripted_server(lambda _: envelope(200, record)) as server:
        ready = await adapter(client, server.address()).collect("task 1")

    assert ready is not None
    assert ready.url == address
    assert server.requests[0].path.endswith("/record-info?taskId=task+1")


async def test_a_flag_that_nobody_knows_gives_nothing_up(client: httpx.AsyncClient) -> None:
    """Taken for a failure, it would have the picture bought again."""
    async with scripted_server(lambda _: envelope(200, {"successFlag": 4})) as server:
        failed = await failure_of_asking(adapter(client, server.address()), "task")

    assert type(failed) is ProviderUnavailable


@pytest.mark.parametrize("response", [None, {}, {"resultImageUrl": ""}, {"resultUrls": []}])
async def test_success_without_a_result_was_paid_for(
    client: httpx.AsyncClient, response: dict[str, Any] | None
) -> None:
    """There is nothing to fetch, and no money back."""
    record = {"successFlag": 1, "response": response}
    async with scripted_server(lambda _: envelope(200, record)) as server:
        failed = await failure_of_asking(adapter(client, server.address()), "task")

    assert failed.billing is Billing.BILLED


def test_options_keep_their_secrets_to_themselves() -> None:
    """What is logged by accident holds no secret."""
    options = NanobananaOptions(
        base_url="http://127.0.0.1",
        api_key="test-key",
        callback_base_url=GATEWAY,
        signing_secret=SECRET,
        prices=PRICES,
        download_hosts=(),
    )

    assert "test-key" not in repr(options)
    assert SECRET not in repr(options)
