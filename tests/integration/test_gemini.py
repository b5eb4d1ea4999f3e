"""The Gemini adapter on real sockets: the reply is the picture, and no call is made twice."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from google.genai import types

from darkroom.domain.errors import (
    AnswerUnusable,
    Billing,
    ContentRefused,
    CreditsExhausted,
    Disposition,
    FileMissing,
    FilesUnavailable,
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
from darkroom.domain.ports import PictureOrder, ProductFile
from darkroom.pictures import PillowPictureCheck
from darkroom.providers.gemini import MOST_PHOTO_BYTES, GeminiOptions, GeminiProvider
from darkroom.providers.http_client import open_client
from darkroom.providers.retry_after import LONGEST_WAIT
from emulators.sample_product import draw_sample_product
from tests.support.builders import ADA
from tests.support.emulated import Emulated, Rule, running_emulators
from tests.support.fake_providers import FakeFileStore
from tests.support.fakes import MemoryFileCatalog, MemoryState
from tests.support.scripted_server import answer_bytes, scripted_server
from tests.support.subprocesses import free_port
from tests.support.waiting import eventually

SHORT = timedelta(seconds=1)
KEY = "test-key"
MODEL = "gemini-nano-banana-2.1"
CALL = CallKey(job=JobId("job_1"), item="0001", take=2)
IMAGE = ImageSpec(provider="gemini", model=MODEL)
ORDER = PictureOrder(call=CALL, prompt="a street lamp at dusk", image=IMAGE, product=())
PRICES = {(MODEL, "1K"): 33_600, (MODEL, "2K"): 67_000, ("gemini-3-pro-image", "1K"): 134_000}
PHOTO = FileId("file_9")


def on(action: str, **parameters: Any) -> Rule:
    return {"endpoint": "gemini", "action": action, **parameters}


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


class Shelf:
    """Product photos, as the product keeps them."""

    def __init__(self) -> None:
        self.files = FakeFileStore()
        self.catalog = MemoryFileCatalog(MemoryState())

    async def add(self, file_id: FileId, content: bytes, *, size_bytes: int | None = None) -> None:
        """Keep a photo; its size may be made up."""
        file = ProductFile(
            file_id=file_id,
            owner=ADA,
            sha256=await self.files.put(content),
            media_type="image/png",
            width=1,
            height=1,
            size_bytes=len(content) if size_bytes is None else size_bytes,
            created_at=datetime.now(UTC),
        )
        await self.catalog.add(file)


def adapter(
    client: httpx.AsyncClient, address: str, *, shelf: Shelf | None = None, **changes: Any
) -> GeminiProvider:
    options = GeminiOptions(base_url=address, api_key=KEY, prices=PRICES)
    used = shelf or Shelf()
    return GeminiProvider(
        client, replace(options, **changes), catalog=used.catalog, files=used.files
    )


async def failure_of_buying(gemini: GeminiProvider, order: PictureOrder = ORDER) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await gemini.submit(order)
    return failed.value


async def has_arrived(emulated: Emulated) -> bool:
    return await emulated.met_counts() == (1,)


async def bills(emulated: Emulated) -> list[bool]:
    return [accepted.billed for accepted in await emulated.ledger()]


def answered(content: Any, *, status: int = 200) -> bytes:
    return answer_bytes(status, json.dumps(content).encode())


def error_answer(status: int, name: str, **more: Any) -> bytes:
    return answered({"error": {"code": status, "status": name, **more}}, status=status)


# Buying


async def test_the_reply_is_a_picture_and_one_call_is_billed(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """The purchase has our name in the provider's books, at the price of our table."""
    gemini = adapter(client, emulated.address)

    made = await gemini.submit(ORDER)

    prepared = PillowPictureCheck().prepare(made.content, max_bytes=1 << 20)
    assert prepared.verified.media_type == "image/png"
    (bought,) = await emulated.ledger()
    assert (bought.endpoint, bought.call, bought.model) == ("gemini", str(CALL), MODEL)
    assert bought.billed
    assert bought.amount_micros == gemini.price_micros(IMAGE)


async def test_what_is_sent_is_what_the_official_types_expect(client: httpx.AsyncClient) -> None:
    """They refuse unknown fields; photos follow the words, and the address has no key in it."""
    shelf = Shelf()
    await shelf.add(PHOTO, b"photo")
    image = replace(IMAGE, aspect_ratio="16:9", size="2K")
    made = {"candidates": [{"content": {"parts": [inline(b"x")]}, "finishReason": "STOP"}]}
    async with scripted_server(lambda _: answered(made)) as server:
        gemini = adapter(client, server.address(), shelf=shelf)
        order = await gemini.prepare(replace(ORDER, image=image, product=(PHOTO,)))
        await gemini.submit(order)

    (request,) = server.requests
    body = json.loads(request.body)
    (said,) = (types.Content.model_validate(content) for content in body.pop("contents"))
    config = types.GenerateContentConfig.model_validate(body.pop("generationConfig"))
    assert body == {}
    assert said.parts
    assert said.parts[0].text is not None
    assert said.parts[0].text.startswith(ORDER.prompt)
    assert said.parts[1].inline_data == types.Blob(mime_type="image/png", data=b"photo")
    assert config.response_modalities == ["IMAGE"]
    assert config.image_config == types.ImageConfig(aspect_ratio="16:9", image_size="2K")
    assert request.path == f"/v1beta/models/{MODEL}:generateContent"
    assert request.header("x-goog-api-key") == KEY
    assert request.header("x-darkroom-call") == str(CALL)


async def test_a_ratio_may_be_left_to_the_model(client: httpx.AsyncClient) -> None:
    """Google has no word for auto; it is the absence of one."""
    made = {"candidates": [{"content": {"parts": [inline(b"x")]}, "finishReason": "STOP"}]}
    async with scripted_server(lambda _: answered(made)) as server:
        image = replace(IMAGE, aspect_ratio="auto")
        await adapter(client, server.address()).submit(replace(ORDER, image=image))

    config = json.loads(server.requests[0].body)["generationConfig"]
    assert config["imageConfig"] == {"imageSize": "1K"}


def inline(content: bytes, **more: Any) -> dict[str, Any]:
    encoded = base64.b64encode(content).decode()
    return {"inlineData": {"mimeType": "image/png", "data": encoded}, **more}


async def test_a_product_photo_travels_along(emulated: Emulated, client: httpx.AsyncClient) -> None:
    """The emulator draws it into the scene, so another picture comes out."""
    shelf = Shelf()
    await shelf.add(PHOTO, draw_sample_product())
    gemini = adapter(client, emulated.address, shelf=shelf)

    without = await gemini.submit(ORDER)
    made = await gemini.submit(await gemini.prepare(replace(ORDER, product=(PHOTO,))))

    assert made.content != without.content


async def test_the_picture_is_found_among_thoughts_and_drafts(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """Not the first part, and not the first picture."""
    await emulated.befall(on("surrounded"))

    made = await adapter(client, emulated.address).submit(ORDER)

    assert made.content.startswith(b"\x89PNG")


async def test_the_url_safe_alphabet_is_read_too(client: httpx.AsyncClient) -> None:
    """JSON of a protocol buffer may use either."""
    content = b"\xfb\xff\xfe picture"
    part = inline(b"")
    part["inlineData"]["data"] = base64.urlsafe_b64encode(content).decode()
    made = {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}
    async with scripted_server(lambda _: answered(made)) as server:
        bought = await adapter(client, server.address()).submit(ORDER)

    assert bought.content == content


async def test_a_large_picture_fits_and_a_larger_one_does_not(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """Far more than other answers may have; what is beyond that is a reply we cannot read."""
    await emulated.befall(on("huge", size_bytes=3_000_000))

    made = await adapter(client, emulated.address, max_bytes=3_000_000).submit(ORDER)
    failed = await failure_of_buying(adapter(client, emulated.address, max_bytes=100_000))

    assert len(made.content) == 3_000_000
    assert type(failed) is ReplyLost


# Photos


async def test_photos_are_put_in_the_order_of_the_request(client: httpx.AsyncClient) -> None:
    """The prompt may speak of the first and the second."""
    shelf = Shelf()
    names = [FileId(f"file_{number}") for number in range(14)]
    for name in reversed(names):
        await shelf.add(name, name.encode())

    order = await adapter(client, "http://127.0.0.1", shelf=shelf).prepare(
        replace(ORDER, product=tuple(names))
    )

    assert [photo.content.decode() for photo in order.photos] == names


async def test_photos_that_can_never_be_sent_are_refused_before_anything_is(
    client: httpx.AsyncClient,
) -> None:
    """Too many, too large together, or gone."""
    shelf = Shelf()
    gemini = adapter(client, "http://127.0.0.1", shelf=shelf)
    await shelf.add(PHOTO, b"photo", size_bytes=MOST_PHOTO_BYTES + 1)
    many = tuple(FileId(f"file_{number}") for number in range(15))

    with pytest.raises(RequestRefused, match="14"):
        await gemini.prepare(replace(ORDER, product=many))
    with pytest.raises(RequestRefused, match="smaller"):
        await gemini.prepare(replace(ORDER, product=(PHOTO,)))
    with pytest.raises(FileMissing, match="file_0"):
        await gemini.prepare(replace(ORDER, product=many[:1]))


async def test_a_file_store_that_is_away_says_so(client: httpx.AsyncClient) -> None:
    """The caller waits and asks again; it is not the provider's fault."""
    shelf = Shelf()
    await shelf.add(PHOTO, b"photo")
    shelf.files.fail(1)
    gemini = adapter(client, "http://127.0.0.1", shelf=shelf)

    with pytest.raises(FilesUnavailable):
        await gemini.prepare(replace(ORDER, product=(PHOTO,)))


# Errors with a status of their own: nothing was accepted, so nothing is billed


@pytest.mark.parametrize(
    ("rule", "leaf", "disposition"),
    [
        (on("quota_exceeded"), RateLimited, Disposition.WAIT),
        (on("quota_exceeded", per="day"), RateLimited, Disposition.WAIT),
        (on("key_invalid"), KeyRefused, Disposition.WAIT),
        (on("status", status=401), KeyRefused, Disposition.WAIT),
        (on("status", status=403), KeyRefused, Disposition.WAIT),
        (on("failed_precondition"), CreditsExhausted, Disposition.WAIT),
        (on("failed_precondition", about="location"), KeyRefused, Disposition.WAIT),
        (on("status", status=400), RequestRefused, Disposition.FATAL),
        (on("status", status=404), RequestRefused, Disposition.FATAL),
        (on("status", status=500), ProviderUnavailable, Disposition.RETRYABLE),
        (on("status", status=503), ProviderUnavailable, Disposition.RETRYABLE),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else None,
)
async def test_a_refused_purchase_is_free(
    emulated: Emulated,
    client: httpx.AsyncClient,
    rule: Rule,
    leaf: type[ProviderError],
    disposition: Disposition,
) -> None:
    """Each of Google's errors has its leaf; one POST was made and nothing accepted."""
    await emulated.befall(rule)

    failed = await failure_of_buying(adapter(client, emulated.address))

    assert type(failed) is leaf
    assert (failed.disposition, failed.billing) == (disposition, Billing.NONE)
    assert (failed.provider, failed.cost_micros) == ("gemini", 0)
    assert await emulated.met_counts() == (1,)
    assert await emulated.ledger() == ()


@pytest.mark.parametrize(
    ("rule", "wait"),
    [
        (on("quota_exceeded", retry_delay="7.5s"), timedelta(seconds=7.5)),
        (on("quota_exceeded", retry_delay="999999s"), LONGEST_WAIT),
        (on("quota_exceeded", retry_delay="soon"), None),
        (on("quota_exceeded", retry_delay=None), None),
        (on("quota_exceeded", per="day", retry_delay="7s"), LONGEST_WAIT),
        (on("status", status=429, retry_after=9), timedelta(seconds=9)),
    ],
)
async def test_the_provider_says_when_to_come_back(
    emulated: Emulated, client: httpx.AsyncClient, rule: Rule, wait: timedelta | None
) -> None:
    """RetryInfo or the header; but a day's quota is not back in seconds, whatever they say."""
    await emulated.befall(rule)

    assert (await failure_of_buying(adapter(client, emulated.address))).retry_after == wait


async def test_the_body_wins_over_the_header(client: httpx.AsyncClient) -> None:
    """It is the provider's own word; the header may be a proxy's."""
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}
    body = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [detail]}}
    answer = answer_bytes(429, json.dumps(body).encode(), headers=[("Retry-After", "50")])
    async with scripted_server(lambda _: answer) as server:
        failed = await failure_of_buying(adapter(client, server.address()))

    assert failed.retry_after == timedelta(seconds=3)


async def test_a_key_that_the_provider_repeats_is_hidden(client: httpx.AsyncClient) -> None:
    """Messages travel to callers; a suspended project's key is in Google's own words."""
    told = error_answer(403, "PERMISSION_DENIED", message=f"'api_key:{KEY}' has been suspended")
    async with scripted_server(lambda _: told) as server:
        failed = await failure_of_buying(adapter(client, server.address()))

    assert "suspended" in str(failed)
    assert KEY not in str(failed)


# Replies that are lost: only they are of unknown billing


@pytest.mark.parametrize(
    ("rule", "accepted_count"),
    [
        (on("reset_before_acceptance"), 0),
        (on("reset_after_acceptance"), 1),
        (on("truncated_json"), 1),
        (on("wrong_content_type"), 1),
        (on("hang"), 0),
        (on("latency_after_acceptance", seconds=5), 1),
        (on("slow", seconds=5), 1),
        (on("status", status=504), 0),
        (on("status", status=499), 0),
    ],
    ids=["reset before", "reset after", "truncated", "html", "hang", "late", "slow", "504", "499"],
)
async def test_a_lost_reply_is_never_called_free(
    emulated: Emulated, client: httpx.AsyncClient, rule: Rule, accepted_count: int
) -> None:
    """Nobody can ever tell; and the adapter does not find out by buying again."""
    await emulated.befall(rule)
    gemini = adapter(client, emulated.address, post_deadline=SHORT)

    failed = await asyncio.wait_for(failure_of_buying(gemini), timeout=4)

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
        (answered({}), ReplyLost),
        (answered({"candidates": [{"finishReason": 5}]}), ReplyLost),
        (error_answer(502, "INTERNAL"), ProviderUnavailable),
        (answer_bytes(503, b"no healthy upstream"), ProviderUnavailable),
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


async def test_what_has_no_price_is_refused_before_anything_is_sent(
    client: httpx.AsyncClient,
) -> None:
    """What has no price cannot be bought."""
    order = replace(ORDER, image=replace(IMAGE, size="8K"))
    async with scripted_server(lambda _: b"") as server:
        failed = await failure_of_buying(adapter(client, server.address()), order)

    assert type(failed) is RequestRefused
    assert f"{MODEL} 1K" in str(failed)
    assert server.requests == []


# Blocks and other answers with status 200


BLOCKS = [block.value for block in types.BlockedReason if "UNSPECIFIED" not in block.value]
REFUSING = [
    *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
    *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
]
ENDS = [
    reason.value
    for reason in types.FinishReason
    if "UNSPECIFIED" not in reason.value and reason.value not in REFUSING
]


@pytest.mark.parametrize("reason", BLOCKS)
async def test_a_blocked_prompt_is_refused_and_free(
    emulated: Emulated, client: httpx.AsyncClient, reason: str
) -> None:
    """The same prompt would be blocked again; ours and the provider's books agree."""
    await emulated.befall(on("prompt_blocked", reason=reason))

    failed = await failure_of_buying(adapter(client, emulated.address))

    assert type(failed) is ContentRefused
    assert reason in str(failed)
    assert failed.cost_micros == 0
    assert await bills(emulated) == [False]


@pytest.mark.parametrize("billed", [False, True])
@pytest.mark.parametrize("reason", REFUSING)
async def test_a_withheld_picture_is_refused_and_costs_what_the_bill_says(
    emulated: Emulated, client: httpx.AsyncClient, reason: str, *, billed: bool
) -> None:
    """It may have been drawn before it was withheld: the answer's own usage tells."""
    await emulated.befall(on("unfinished", reason=reason, billed=billed))

    failed = await failure_of_buying(adapter(client, emulated.address))

    assert type(failed) is ContentRefused
    assert failed.disposition is Disposition.FATAL
    assert failed.cost_micros == (PRICES[MODEL, "1K"] if billed else 0)
    assert await bills(emulated) == [billed]


@pytest.mark.parametrize("reason", [*ENDS, "A_REASON_OF_NEXT_YEAR"])
async def test_any_other_end_may_be_tried_again_and_is_never_a_success(
    emulated: Emulated, client: httpx.AsyncClient, reason: str
) -> None:
    """Also one that nobody knows yet; what was put out is paid for."""
    await emulated.befall(on("unfinished", reason=reason))

    failed = await failure_of_buying(adapter(client, emulated.address))

    assert type(failed) is AnswerUnusable
    assert failed.disposition is Disposition.RETRYABLE
    assert (failed.billing, failed.cost_micros) == (Billing.BILLED, PRICES[MODEL, "1K"])
    assert reason in str(failed)
    assert await bills(emulated) == [True]


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "A_REASON_OF_NEXT_YEAR"])
async def test_a_picture_whose_end_is_not_stop_is_not_taken(
    emulated: Emulated, client: httpx.AsyncClient, reason: str
) -> None:
    """It may be cut short, or not ours to have; but it was drawn."""
    await emulated.befall(on("unfinished", reason=reason, has_picture=True))

    failed = await failure_of_buying(adapter(client, emulated.address))

    assert type(failed) is AnswerUnusable
    assert failed.cost_micros == PRICES[MODEL, "1K"]


async def test_an_answer_that_put_nothing_out_is_free(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """Its own usage counts no output, so the same take may be bought again."""
    await emulated.befall(on("unfinished", reason="IMAGE_OTHER", billed=False))

    failed = await failure_of_buying(adapter(client, emulated.address))

    assert type(failed) is GenerationFailed
    assert failed.billing is Billing.NONE
    assert await bills(emulated) == [False]


@pytest.mark.parametrize("action", ["only_words", "broken_encoding"])
async def test_a_stop_without_a_picture_was_paid_for(
    emulated: Emulated, client: httpx.AsyncClient, action: str
) -> None:
    """It says that all went well, and has nothing for us."""
    await emulated.befall(on(action))

    failed = await failure_of_buying(adapter(client, emulated.address))

    assert type(failed) is AnswerUnusable
    assert failed.cost_micros == PRICES[MODEL, "1K"]
    assert await bills(emulated) == [True]


TACITURN: list[tuple[dict[str, Any], type[ProviderError], int]] = [
    ({"candidates": [{"finishReason": "NO_IMAGE"}]}, AnswerUnusable, 33_600),
    ({"candidates": [{}]}, AnswerUnusable, 33_600),
    ({"usageMetadata": {"promptTokenCount": 9}}, GenerationFailed, 0),
    ({"promptFeedback": {"blockReason": "A_REASON_OF_NEXT_YEAR"}}, GenerationFailed, 0),
]


@pytest.mark.parametrize(
    ("content", "leaf", "cost_micros"),
    TACITURN,
    ids=["no usage", "no reason", "no candidate", "unknown block"],
)
async def test_what_an_answer_does_not_say_is_counted_as_spent(
    client: httpx.AsyncClient,
    content: dict[str, Any],
    leaf: type[ProviderError],
    cost_micros: int,
) -> None:
    """Where there is no usage, a candidate has cost a picture; without one nothing was drawn."""
    async with scripted_server(lambda _: answered(content)) as server:
        failed = await failure_of_buying(adapter(client, server.address()))

    assert type(failed) is leaf
    assert failed.cost_micros == cost_micros


# What this provider cannot do


async def test_there_is_nothing_to_ask_and_nothing_to_wait_for(client: httpx.AsyncClient) -> None:
    """It keeps no task, names no address and calls nobody; a crash is waited out, no longer."""
    gemini = adapter(client, "http://127.0.0.1", post_deadline=timedelta(seconds=60))

    assert not gemini.calls_back
    assert timedelta(seconds=60) < gemini.grace < timedelta(seconds=90)
    with pytest.raises(ResultGone):
        await gemini.collect("task")
    with pytest.raises(ResultGone):
        await gemini.download("https://pictures.test/1.png")


def test_options_keep_their_secret_to_themselves() -> None:
    """What is logged by accident holds no secret."""
    options = GeminiOptions(base_url="http://127.0.0.1", api_key=KEY, prices=PRICES)

    assert KEY not in repr(options)
