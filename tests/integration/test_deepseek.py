"""The chat adapter on real sockets: what each way of failing becomes, and that it asks once."""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from darkroom.domain.errors import (
    AnswerUnusable,
    Billing,
    ContentRefused,
    CreditsExhausted,
    Disposition,
    KeyRefused,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    ReplyLost,
    RequestRefused,
)
from darkroom.domain.job import PromptMode
from darkroom.domain.prompts import PromptAsk
from darkroom.providers.deepseek import DeepSeekEnhancer, DeepSeekOptions
from darkroom.providers.http_client import open_client
from darkroom.providers.token_prices import TokenPrices
from tests.support.emulated import Emulated, Rule, running_emulators
from tests.support.scripted_server import Received, answer_bytes, scripted_server
from tests.support.subprocesses import free_port
from tests.support.waiting import eventually

SHORT = timedelta(seconds=1)
PRICES = TokenPrices(
    model="deepseek-flash",
    valid_from=date(2026, 10, 17),
    hit=Decimal("0.003"),
    miss=Decimal("0.15"),
    output=Decimal("0.60"),
)
OFF_PEAK = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ASK = PromptAsk(
    key="0" * 64,
    call="job_1/0001/p",
    text="a street lamp on a wet road at dusk",
    mode=PromptMode.BALANCED,
    user_hash="5e884898",
)


def chat(action: str, **parameters: Any) -> Rule:
    return {"endpoint": "chat", "action": action, **parameters}


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


def options_for(address: str, **changes: Any) -> DeepSeekOptions:
    options = DeepSeekOptions(base_url=address, api_key="test-key", prices=(PRICES,))
    return replace(options, **changes)


async def failure_of_asking(
    client: httpx.AsyncClient, options: DeepSeekOptions, ask: PromptAsk = ASK
) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await DeepSeekEnhancer(client, options).enhance(ask)
    return failed.value


async def has_arrived(emulated: Emulated) -> bool:
    return await emulated.met_counts() == (1,)


def completion(content: str, **changes: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    usage = {"prompt_tokens": 400, "completion_tokens": 300, "prompt_cache_hit_tokens": 100}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return answer_bytes(200, json.dumps({"choices": [choice], "usage": usage, **changes}).encode())


async def test_an_answer_costs_what_the_provider_bills(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """The cost is the bill, micro-dollar for micro-dollar, and the call is named in it."""
    enhancer = DeepSeekEnhancer(client, options_for(emulated.address))

    prompt = await enhancer.enhance(ASK)

    (bought,) = await emulated.ledger()
    assert prompt.text.startswith(ASK.text)
    assert len(prompt.text) > len(ASK.text)
    assert (prompt.model, prompt.cost_micros) == ("deepseek-flash", bought.amount_micros)
    assert bought.call == ASK.call


async def test_the_fixed_instructions_are_served_from_the_context_cache(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """A second scene of the same owner costs less, in another mode as well."""
    enhancer = DeepSeekEnhancer(client, options_for(emulated.address))
    ask = replace(ASK, user_hash="cached")
    first = await enhancer.enhance(ask)

    second = await enhancer.enhance(replace(ask, text="b" * len(ask.text)))
    precise = await enhancer.enhance(replace(ask, mode=PromptMode.PRECISE))

    assert second.cost_micros < first.cost_micros
    assert precise.cost_micros < first.cost_micros


async def test_the_request_turns_thinking_off_and_asks_for_json(client: httpx.AsyncClient) -> None:
    """Thinking would be billed and ignore the temperature; the owner's hash isolates caches."""
    async with scripted_server(lambda _: completion('{"prompt": "a lamp"}')) as server:
        enhancer = DeepSeekEnhancer(client, options_for(server.address("/")))
        await enhancer.enhance(replace(ASK, mode=PromptMode.CREATIVE))

    (request,) = server.requests
    sent = json.loads(request.body)
    assert request.path == "/chat/completions"
    assert request.header("authorization") == "Bearer test-key"
    assert request.header("x-darkroom-call") == ASK.call
    assert sent["thinking"] == {"type": "disabled"}
    assert sent["response_format"] == {"type": "json_object"}
    assert (sent["temperature"], sent["max_tokens"], sent["user_id"]) == (1.3, 800, "5e884898")
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert "json" in sent["messages"][0]["content"]
    assert json.loads(sent["messages"][1]["content"])["prompt"] == ASK.text


@pytest.mark.parametrize(
    ("at", "micros"),
    [
        (OFF_PEAK, 226),  # 100 * 0.003 + 300 * 0.15 + 300 * 0.60 = 225.3
        (OFF_PEAK.replace(hour=2), 451),  # twice 225.3, rounded up once
        (OFF_PEAK.replace(day=22, hour=2), 226),  # a Sunday has no peak
    ],
)
async def test_cost_follows_the_hour_of_the_answer(
    client: httpx.AsyncClient, at: datetime, micros: int
) -> None:
    """Peak hours of Beijing's working days cost double."""
    async with scripted_server(lambda _: completion('{"prompt": "a lamp"}')) as server:
        enhancer = DeepSeekEnhancer(client, options_for(server.address()), clock=lambda: at)
        prompt = await enhancer.enhance(ASK)

    assert prompt.cost_micros == micros


@pytest.mark.parametrize(
    ("status", "leaf", "disposition"),
    [
        (400, RequestRefused, Disposition.FATAL),
        (401, KeyRefused, Disposition.WAIT),
        (402, CreditsExhausted, Disposition.WAIT),
        (422, RequestRefused, Disposition.FATAL),
        (429, RateLimited, Disposition.WAIT),
        (500, ProviderUnavailable, Disposition.RETRYABLE),
        (503, ProviderUnavailable, Disposition.RETRYABLE),
    ],
)
async def test_a_refusal_is_classified_and_free(
    emulated: Emulated,
    client: httpx.AsyncClient,
    status: int,
    leaf: type[ProviderError],
    disposition: Disposition,
) -> None:
    """Each status of the provider's table has its leaf, and the adapter asked once."""
    await emulated.befall(chat("status", status=status, message="because"))

    failed = await failure_of_asking(client, options_for(emulated.address))

    assert type(failed) is leaf
    assert (failed.disposition, failed.billing) == (disposition, Billing.NONE)
    assert failed.provider == "deepseek"
    assert "because" in str(failed)
    assert await emulated.met_counts() == (1,)
    assert await emulated.ledger() == ()


async def test_retry_after_is_passed_on(emulated: Emulated, client: httpx.AsyncClient) -> None:
    """Who says when to come back is believed."""
    await emulated.befall(chat("status", status=429, retry_after=7))

    failed = await failure_of_asking(client, options_for(emulated.address))

    assert failed.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize(
    "rule",
    [
        chat("blank_content"),
        chat("finish_reason", reason="length"),
        chat("finish_reason", reason="insufficient_system_resource"),
    ],
    ids=lambda rule: rule.get("reason", rule["action"]),
)
async def test_an_answer_without_a_prompt_was_paid_for(
    emulated: Emulated, client: httpx.AsyncClient, rule: Rule
) -> None:
    """It may be asked again, but not for free."""
    await emulated.befall(rule)

    failed = await failure_of_asking(client, options_for(emulated.address))

    assert type(failed) is AnswerUnusable
    assert (failed.disposition, failed.billing) == (Disposition.RETRYABLE, Billing.BILLED)
    assert len(await emulated.ledger()) == 1


async def test_a_variation_asks_in_other_words(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """The same words would get the same blank answer."""
    enhancer = DeepSeekEnhancer(client, options_for(emulated.address))
    for variation in (0, 0, 1, 2):
        await enhancer.enhance(replace(ASK, variation=variation))

    first, again, varied, once_more = [bought.request_sha256 for bought in await emulated.ledger()]
    assert first == again
    assert len({first, varied, once_more}) == 3


@pytest.mark.parametrize(
    "content", ["[]", '{"text": "a lamp"}', '{"prompt": "  "}', '{"prompt": 7}', "a lamp"]
)
async def test_json_of_another_form_is_unusable(client: httpx.AsyncClient, content: str) -> None:
    """Only the object that was asked for counts as an answer."""
    async with scripted_server(lambda _: completion(content)) as server:
        failed = await failure_of_asking(client, options_for(server.address()))

    assert type(failed) is AnswerUnusable


async def test_a_stopped_answer_is_refused_content(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """The same prompt would be stopped again."""
    await emulated.befall(chat("finish_reason", reason="content_filter"))

    failed = await failure_of_asking(client, options_for(emulated.address))

    assert type(failed) is ContentRefused
    assert failed.disposition is Disposition.FATAL


async def test_the_policy_status_is_refused_content(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """The provider says 400 for it; its words make the difference to a malformed request."""
    await emulated.befall(chat("status", status=400, message="Content Exists Risk"))

    failed = await failure_of_asking(client, options_for(emulated.address))

    assert type(failed) is ContentRefused


@pytest.mark.parametrize(
    ("rule", "accepted_count"),
    [
        (chat("reset_before_acceptance"), 0),
        (chat("reset_after_acceptance"), 1),
        (chat("truncated_json"), 1),
        (chat("wrong_content_type"), 1),
        (chat("hang"), 0),
        (chat("latency_after_acceptance", seconds=5), 1),
        (chat("keep_alive_blanks", seconds=5), 1),
    ],
    ids=[
        "reset before",
        "reset after",
        "truncated",
        "html",
        "hang",
        "slow",
        "keep-alive blanks",
    ],
)
async def test_a_lost_reply_may_have_been_billed(
    emulated: Emulated, client: httpx.AsyncClient, rule: Rule, accepted_count: int
) -> None:
    """Once a byte is out nobody here can tell; and no second request was made to find out."""
    await emulated.befall(rule)
    options = options_for(emulated.address, deadline=SHORT)

    failed = await asyncio.wait_for(failure_of_asking(client, options), timeout=4)

    assert type(failed) is ReplyLost
    assert (failed.disposition, failed.billing) == (Disposition.RETRYABLE, Billing.UNKNOWN)
    await eventually(lambda: has_arrived(emulated), what="the call")
    assert len(await emulated.ledger()) == accepted_count


async def test_blank_lines_before_an_answer_are_skipped(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """A queueing provider keeps the connection alive with them."""
    await emulated.befall(chat("keep_alive_blanks", seconds=0.3))

    prompt = await DeepSeekEnhancer(client, options_for(emulated.address)).enhance(ASK)

    assert prompt.text.startswith(ASK.text)


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
async def test_what_was_never_sent_is_free(client: httpx.AsyncClient, host: str) -> None:
    """Nobody listening and a name without an address: nothing left this machine."""
    options = options_for(f"http://{host}:{free_port()}", deadline=timedelta(seconds=10))

    failed = await failure_of_asking(client, options)

    assert type(failed) is ProviderUnavailable
    assert failed.billing is Billing.NONE


async def test_waiting_for_a_connection_until_the_deadline_is_free(emulated: Emulated) -> None:
    """A call that never got a connection out of the pool was never sent."""
    await emulated.befall(chat("hang"))
    async with open_client(connection_count=1) as narrow, asyncio.TaskGroup() as calls:
        long = options_for(emulated.address, deadline=timedelta(seconds=3))
        first = calls.create_task(failure_of_asking(narrow, long))
        await eventually(lambda: has_arrived(emulated), what="the first call")
        second = await failure_of_asking(narrow, options_for(emulated.address, deadline=SHORT))

    assert type(second) is ProviderUnavailable
    assert type(first.result()) is ReplyLost


async def test_a_kept_connection_that_closes_is_not_tried_again(client: httpx.AsyncClient) -> None:
    """The server may have read the request before it hung up, so the reply counts as lost."""

    def once(_: Received) -> bytes:
        return completion('{"prompt": "a lamp"}') if len(server.requests) == 1 else b""

    async with scripted_server(once) as server:
        options = options_for(server.address())
        await DeepSeekEnhancer(client, options).enhance(ASK)
        failed = await failure_of_asking(client, options)

    assert type(failed) is ReplyLost
    assert (len(server.requests), server.connection_count) == (2, 1)


async def test_an_endless_answer_is_cut_off(client: httpx.AsyncClient) -> None:
    """Memory is bounded whatever comes."""
    flood = answer_bytes(200, b" " * (2 * 1024 * 1024))
    async with scripted_server(lambda _: flood) as server:
        failed = await failure_of_asking(client, options_for(server.address()))

    assert type(failed) is ReplyLost
    assert "longer than" in str(failed)


async def test_a_key_that_no_header_can_carry_is_refused(client: httpx.AsyncClient) -> None:
    """Trying again would change nothing, and nothing was sent."""
    async with scripted_server(lambda _: b"") as server:
        failed = await failure_of_asking(client, options_for(server.address(), api_key="a\nb"))

    assert type(failed) is RequestRefused
    assert server.requests == []


async def test_cancelling_is_not_a_failure_of_the_provider(
    emulated: Emulated, client: httpx.AsyncClient
) -> None:
    """A cancelled activity sees its own cancellation."""
    await emulated.befall(chat("hang"))
    enhancer = DeepSeekEnhancer(client, options_for(emulated.address))
    asking = asyncio.create_task(enhancer.enhance(ASK))
    await eventually(lambda: has_arrived(emulated), what="the call")
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_model_without_a_price_is_refused_at_the_start(client: httpx.AsyncClient) -> None:
    """A worker that could not tell what it spends does not start."""
    with pytest.raises(ValueError, match="no token prices for model deepseek-v5"):
        DeepSeekEnhancer(client, options_for("http://127.0.0.1", model="deepseek-v5"))


def test_options_keep_the_key_to_themselves() -> None:
    """What is logged by accident holds no secret."""
    assert "test-key" not in repr(options_for("http://127.0.0.1"))
