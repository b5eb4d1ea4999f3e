"""The Gemini emulator as Google's own client sees it: the official google-genai package."""

import base64
import io
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from google.genai import Client, errors, types
from PIL import Image, UnidentifiedImageError

from emulators.sample_product import draw_sample_product
from tests.conformance.emulator_fixtures import QUICK, Emulators, Json, emulators_with

MODEL = "gemini-nano-banana-2.1"
PRO = "gemini-3-pro-image"
PROMPT = "a solar lamp on a quay at noon"


@pytest.fixture
async def emulators() -> AsyncGenerator[Emulators]:
    async with emulators_with() as running:
        yield running


async def draw(
    emulators: Emulators,
    *,
    model: str = MODEL,
    photo: bytes | None = None,
    image: types.ImageConfig | None = None,
) -> types.GenerateContentResponse:
    """Have a picture drawn through the official client."""
    said = [types.Part.from_text(text=PROMPT)]
    if photo is not None:
        said.append(types.Part.from_bytes(data=photo, mime_type="image/png"))
    config = types.GenerateContentConfig(response_modalities=["IMAGE"], image_config=image)
    # Given no client of ours, it makes one of aiohttp, which warns when it is imported.
    async with httpx.AsyncClient(trust_env=False) as client:
        options = types.HttpOptions(base_url=emulators.address, httpx_async_client=client)
        google = Client(api_key="key", http_options=options)
        generate: Any = google.aio.models.generate_content  # its unions defeat strict typing
        answer: types.GenerateContentResponse = await generate(
            model=model, contents=[types.Content(role="user", parts=said)], config=config
        )
    google.close()
    return answer


def blobs_of(answer: types.GenerateContentResponse) -> list[types.Blob]:
    """List the pictures that are no drafts."""
    candidates = answer.candidates or []
    parts = candidates[0].content.parts if candidates and candidates[0].content else None
    return [part.inline_data for part in parts or [] if part.inline_data and not part.thought]


def picture_of(answer: types.GenerateContentResponse) -> Image.Image:
    (blob,) = blobs_of(answer)
    picture = Image.open(io.BytesIO(blob.data or b""))
    picture.load()
    return picture


async def call(emulators: Emulators, *, model: str = MODEL, **changes: Any) -> httpx.Response:
    """Send a request that is in order, but for the changes."""
    body: Json = {"contents": [{"parts": [{"text": PROMPT}]}], **changes}
    path = f"/v1beta/models/{model}:generateContent"
    headers = {"x-goog-api-key": "key"}
    return await emulators.client.post(path, json=body, headers=headers)


def on(action: str, **parameters: Any) -> Json:
    return {"endpoint": "gemini", "action": action, **parameters}


# Pictures


async def test_official_client_reads_the_picture_and_its_usage(emulators: Emulators) -> None:
    """The reply is the picture; tokens add up, and one call is billed."""
    answer = await draw(emulators)

    assert answer.candidates
    assert answer.candidates[0].finish_reason is types.FinishReason.STOP
    assert picture_of(answer).size == (64, 64)
    usage = answer.usage_metadata
    assert usage is not None
    assert usage.total_token_count == (usage.prompt_token_count or 0) + (
        usage.candidates_token_count or 0
    )
    assert (answer.model_version, bool(answer.response_id)) == (MODEL, True)
    (entry,) = await emulators.entries()
    assert (entry["endpoint"], entry["model"], entry["billed"]) == ("gemini", MODEL, True)
    assert (entry["amountMicros"], entry["taskId"]) == (33_600, None)


@pytest.mark.parametrize(("model", "named"), [(MODEL, "PNG"), (PRO, "JPEG")])
async def test_media_type_is_that_of_the_bytes(
    emulators: Emulators, model: str, named: str
) -> None:
    """The model chooses the format, and says which."""
    answer = await draw(emulators, model=model)

    (blob,) = blobs_of(answer)
    assert picture_of(answer).format == named
    assert blob.mime_type == f"image/{named.lower()}"


async def test_ratio_and_size_shape_the_picture_and_its_price(emulators: Emulators) -> None:
    """A wide 2K picture has four times the area of a square 1K one."""
    answer = await draw(emulators, image=types.ImageConfig(aspect_ratio="16:9", image_size="2K"))

    width, height = picture_of(answer).size
    assert width / height == pytest.approx(16 / 9, rel=0.05)
    assert width * height == pytest.approx(4 * 64 * 64, rel=0.05)
    (entry,) = await emulators.entries()
    assert entry["amountMicros"] == 67_000


async def test_a_photo_travels_inside_the_request(emulators: Emulators) -> None:
    """It is seen: another picture comes out, and it has its tokens."""
    without = await draw(emulators)
    answer = await draw(emulators, photo=draw_sample_product())

    assert blobs_of(answer)[0].data != blobs_of(without)[0].data
    usage = answer.usage_metadata
    assert usage is not None
    modalities = {one.modality for one in usage.prompt_tokens_details or []}
    assert modalities == {types.MediaModality.TEXT, types.MediaModality.IMAGE}


async def test_same_words_and_seed_give_the_same_bytes(emulators: Emulators) -> None:
    """A demo can be repeated; another seed draws another picture."""
    first, again, other = [
        (await call(emulators, generationConfig={"seed": seed})).json() for seed in (1, 1, 2)
    ]

    assert first["candidates"] == again["candidates"] != other["candidates"]
    assert first["responseId"] != again["responseId"]


async def test_the_answer_waits_for_the_picture() -> None:
    """A synchronous provider is slow in its reply; meanwhile the call is in flight and booked."""
    async with emulators_with(replace(QUICK, picture_seconds=30)) as slow:
        with pytest.raises(httpx.ReadTimeout):
            await slow.client.post(
                f"/v1beta/models/{MODEL}:generateContent",
                json={"contents": [{"parts": [{"text": PROMPT}]}]},
                headers={"x-goog-api-key": "key"},
                timeout=0.5,
            )
        ledger = await slow.ledger()

    assert [entry["billed"] for entry in ledger["entries"]] == [True]
    assert ledger["most_in_flight"] == {"gemini": 1}


# Blocks and other answers with status 200


REASONS = [reason for reason in types.FinishReason if "UNSPECIFIED" not in reason.value]
BLOCKS = [reason for reason in types.BlockedReason if "UNSPECIFIED" not in reason.value]
SHAPES = [
    *(on("unfinished", reason=reason.value) for reason in REASONS),
    *(on("prompt_blocked", reason=reason.value) for reason in BLOCKS),
    on("unfinished", reason="MAX_TOKENS", has_picture=True),
    on("unfinished", reason="IMAGE_OTHER", billed=False),
    on("only_words"),
    on("surrounded"),
    on("not_an_image"),
    on("truncated"),
    on("huge", size_bytes=100_000),
]


async def test_every_body_of_a_200_satisfies_the_official_types(emulators: Emulators) -> None:
    """They refuse unknown fields; an unknown reason is a warning, and warnings are errors here."""
    for shape in SHAPES:
        await emulators.befall(shape)

        answer = await call(emulators)

        assert answer.status_code == 200, shape
        body = answer.json()
        types.GenerateContentResponse.model_validate(body)
        reason = shape.get("reason")
        if shape["action"] == "prompt_blocked":
            assert body["promptFeedback"]["blockReason"] == reason
            assert "candidates" not in body
        else:
            assert body["candidates"][0]["finishReason"] == (reason or "STOP")


def test_official_types_would_notice_a_reason_that_google_does_not_have() -> None:
    """Else the test above could not fail."""
    with pytest.warns(UserWarning, match="NO_SUCH_REASON"):
        types.GenerateContentResponse.model_validate(
            {"candidates": [{"finishReason": "NO_SUCH_REASON"}]}
        )


async def test_a_picture_may_stand_among_thoughts_and_words(emulators: Emulators) -> None:
    """Whoever takes the first part gets a thought, whoever takes the first picture a draft."""
    await emulators.befall(on("surrounded"))

    answer = await draw(emulators)

    assert answer.candidates
    content = answer.candidates[0].content
    assert content
    parts = content.parts or []
    assert [bool(part.thought) for part in parts] == [True, True, False, False, False]
    assert picture_of(answer).size == (64, 64)
    usage = answer.usage_metadata
    assert usage is not None
    assert usage.thoughts_token_count


@pytest.mark.parametrize("action", ["not_an_image", "truncated"])
async def test_bytes_of_the_reply_can_be_spoilt(emulators: Emulators, action: str) -> None:
    """Text that calls itself a picture, or half of one."""
    await emulators.befall(on(action))

    (blob,) = blobs_of(await draw(emulators))

    with pytest.raises((UnidentifiedImageError, OSError)):
        Image.open(io.BytesIO(blob.data or b"")).load()


async def test_the_reply_can_be_far_too_large(emulators: Emulators) -> None:
    """As large as the rule says."""
    await emulators.befall(on("huge", size_bytes=2_000_000))

    (blob,) = blobs_of(await draw(emulators))

    assert len(blob.data or b"") == 2_000_000


async def test_encoding_can_be_broken(emulators: Emulators) -> None:
    """The JSON is whole, its picture is not."""
    await emulators.befall(on("broken_encoding"))

    body = (await call(emulators)).json()

    (part,) = body["candidates"][0]["content"]["parts"]
    with pytest.raises(ValueError, match="base64"):
        base64.b64decode(part["inlineData"]["data"], validate=True)


@pytest.mark.parametrize(
    ("shape", "billed"),
    [
        (on("prompt_blocked"), False),
        (on("unfinished", reason="IMAGE_SAFETY"), True),
        (on("unfinished", reason="IMAGE_OTHER", billed=False), False),
        (on("only_words"), True),
        (on("not_an_image"), True),
    ],
)
async def test_usage_and_bill_tell_the_same(
    emulators: Emulators, shape: Json, *, billed: bool
) -> None:
    """What is billed is what was put out, picture or not."""
    await emulators.befall(shape)

    body = (await call(emulators)).json()

    assert ("candidatesTokenCount" in body["usageMetadata"]) is billed
    (entry,) = await emulators.entries()
    assert entry["billed"] is billed


# Errors


@pytest.mark.parametrize(
    ("rule", "code", "status", "detail"),
    [
        (on("quota_exceeded"), 429, "RESOURCE_EXHAUSTED", "GenerateRequestsPerMinute"),
        (on("quota_exceeded", per="day"), 429, "RESOURCE_EXHAUSTED", "PerDay"),
        (on("quota_exceeded", retry_delay="7.5s"), 429, "RESOURCE_EXHAUSTED", "7.5s"),
        (on("key_invalid"), 400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
        (on("failed_precondition"), 400, "FAILED_PRECONDITION", "Billing"),
        (on("failed_precondition", about="location"), 400, "FAILED_PRECONDITION", "location"),
        (on("status", status=403), 403, "PERMISSION_DENIED", "injected"),
        (on("status", status=404), 404, "NOT_FOUND", "injected"),
        (on("status", status=500), 500, "INTERNAL", "injected"),
        (on("status", status=503), 503, "UNAVAILABLE", "injected"),
        (on("status", status=504), 504, "DEADLINE_EXCEEDED", "injected"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_official_client_reads_every_error(
    emulators: Emulators, rule: Json, code: int, status: str, detail: str
) -> None:
    """Status, its name and the details are where Google puts them; nothing is accepted."""
    await emulators.befall(rule)

    with pytest.raises(errors.APIError) as refused:
        await draw(emulators)

    assert (refused.value.code, refused.value.status) == (code, status)
    assert detail in str(refused.value)
    assert await emulators.entries() == []


async def test_when_to_come_back_may_be_left_unsaid(emulators: Emulators) -> None:
    """Not every 429 says when to come back."""
    await emulators.befall(on("quota_exceeded", retry_delay=None))

    answer = await call(emulators)

    assert answer.status_code == 429
    assert "RetryInfo" not in answer.text


WRONG: list[tuple[Json, str]] = [
    ({"contents": []}, "contents"),
    ({"prompt": "x"}, "Unknown name"),
    ({"generationConfig": {"imageConfig": {"aspectRatio": "7:3"}}}, "aspectRatio"),
    ({"generationConfig": {"imageConfig": {"imageSize": "2k"}}}, "imageSize"),
    ({"generationConfig": {"responseModalities": ["TEXT"]}}, "IMAGE"),
    ({"generationConfig": {"candidateCount": 2}}, "candidateCount"),
    ({"contents": [{"parts": [{}]}]}, "parts"),
    ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png"}}]}]}, "data"),
    (
        {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "!"}}]}]},
        "Base64",
    ),
    (
        {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}]},
        "input image",
    ),
]


@pytest.mark.parametrize(("changes", "told"), WRONG)
async def test_wrong_request_is_an_invalid_argument(
    emulators: Emulators, changes: Json, told: str
) -> None:
    """The refusal names what is wrong, and nothing is accepted."""
    answer = await call(emulators, **changes)

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert told in error["message"]
    assert await emulators.entries() == []


async def test_more_photos_than_allowed_are_refused(emulators: Emulators) -> None:
    """Fourteen may be sent."""
    encoded = base64.b64encode(draw_sample_product()).decode()
    photo = {"inlineData": {"mimeType": "image/png", "data": encoded}}

    answer = await call(emulators, contents=[{"parts": [{"text": PROMPT}, *[photo] * 15]}])

    assert answer.status_code == 400
    assert "14" in answer.json()["error"]["message"]


async def test_a_request_may_have_twenty_megabytes(emulators: Emulators) -> None:
    """Photos travel inside it, so this is soon reached."""
    answer = await call(emulators, contents=[{"parts": [{"text": "x" * (21 * 1024 * 1024)}]}])

    assert answer.status_code == 400
    assert "payload size" in answer.json()["error"]["message"]


async def test_both_spellings_of_a_field_are_read(emulators: Emulators) -> None:
    """As in every JSON form of a protocol buffer."""
    config = {"response_modalities": ["IMAGE"], "image_config": {"image_size": "2K"}}

    answer = await call(emulators, generation_config=config)

    assert answer.status_code == 200
    (entry,) = await emulators.entries()
    assert entry["amountMicros"] == 67_000


async def test_retired_model_is_not_found(emulators: Emulators) -> None:
    """Google answers alike for a model that is gone and one that never was."""
    answer = await call(emulators, model="gemini-2.5-flash-image")

    assert answer.status_code == 404
    assert answer.json()["error"]["status"] == "NOT_FOUND"


async def test_a_key_is_needed_and_a_wrong_one_is_a_400() -> None:
    """Without any it is 403; a wrong one is an invalid argument, told apart by its details."""
    async with emulators_with(replace(QUICK, api_key="right")) as running:
        wrong = await call(running)
        path = f"/v1beta/models/{MODEL}:generateContent"
        missing = await running.client.post(path, json={})

    assert missing.status_code == 403
    assert wrong.status_code == 400
    assert wrong.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"


# Connections


@pytest.mark.parametrize(
    ("action", "accepted_count"), [("reset_before_acceptance", 0), ("reset_after_acceptance", 1)]
)
async def test_connection_can_break_before_and_after_the_bill(
    emulators: Emulators, action: str, accepted_count: int
) -> None:
    """The caller sees the same; only the books differ."""
    await emulators.befall(on(action))

    with pytest.raises(httpx.ReadError):
        await call(emulators)

    assert [entry["billed"] for entry in await emulators.entries()] == [True] * accepted_count


async def test_slow_answer_arrives_whole(emulators: Emulators) -> None:
    """It trickles, and is the same in the end."""
    await emulators.befall(on("slow", seconds=0.4))

    answer = await call(emulators)

    assert answer.elapsed.total_seconds() >= 0.35
    assert picture_of(types.GenerateContentResponse.model_validate(answer.json())).size == (64, 64)


async def test_half_an_answer_is_no_json(emulators: Emulators) -> None:
    """A paid call stays paid."""
    await emulators.befall(on("truncated_json"))

    answer = await call(emulators)

    with pytest.raises(ValueError, match="Unterminated string"):
        answer.json()
    assert len(await emulators.entries()) == 1


@pytest.mark.parametrize(
    "rule",
    [
        {"endpoint": "chat", "action": "prompt_blocked"},
        {"endpoint": "gemini", "action": "stuck"},
        {"endpoint": "gemini", "action": "in_body_error", "code": 500},
        {"endpoint": "gemini", "action": "unfinished", "reason": "no image"},
    ],
)
async def test_rule_that_fits_no_such_call_is_refused(emulators: Emulators, rule: Json) -> None:
    """A plan that could never fire is a mistake of whoever wrote it."""
    answer = await emulators.client.put("/_control/faults", json=[rule])

    assert answer.status_code == 422
