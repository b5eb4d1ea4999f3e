"""The chat emulator as DeepSeek's own kind of client sees it: the official openai package."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion

from tests.conformance.emulator_fixtures import QUICK, SYSTEM, Emulators, emulators_with


@pytest.fixture
async def emulators() -> AsyncGenerator[Emulators]:
    async with emulators_with() as running:
        yield running


async def ask(emulators: Emulators, *, key: str = "key", **changes: Any) -> ChatCompletion:
    """Ask through the official client, as the product would without its own adapter."""
    asked: dict[str, Any] = {
        "model": "deepseek-flash",
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": "A solar lamp on a quay"},
        ],
        "response_format": {"type": "json_object"},
        "extra_body": {"thinking": {"type": "disabled"}},
        **changes,
    }
    async with openai.AsyncOpenAI(
        base_url=f"{emulators.address}/v1", api_key=key, max_retries=0
    ) as client:
        create: Any = client.chat.completions.create  # its overloads cannot be told apart here
        answer: ChatCompletion = await create(**asked)
        return answer


def content_of(answer: ChatCompletion) -> str:
    return answer.choices[0].message.content or ""


async def test_official_client_reads_an_answer_and_its_usage(emulators: Emulators) -> None:
    """The answer satisfies the client's types, and tokens add up the way DeepSeek counts them."""
    answer = await ask(emulators)

    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    extra = usage.model_extra or {}
    hit, miss = extra["prompt_cache_hit_tokens"], extra["prompt_cache_miss_tokens"]
    assert usage.prompt_tokens == hit + miss


async def test_json_answer_has_the_keys_of_the_last_example(emulators: Emulators) -> None:
    """A model follows the example in the system message; an earlier object is no example."""
    system = 'In {"scene": "x"}, out json: {"enhanced": "a lamp", "steps": 3, "more": {"mood": ""}}'
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": "A lamp on a quay"},
    ]

    answer = json.loads(content_of(await ask(emulators, messages=messages)))

    assert list(answer) == ["enhanced", "steps", "more"]
    assert answer["steps"] == 3
    assert answer["enhanced"].startswith("A lamp on a quay, ")
    assert answer["more"]["mood"].startswith("A lamp on a quay, ")


async def test_field_named_alike_in_the_users_json_is_the_one_enriched(
    emulators: Emulators,
) -> None:
    """A user message that is JSON itself is read by its keys, not enriched as a whole."""
    spoken = json.dumps({"mode": "a very long word that is not the prompt", "prompt": "A lamp"})
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": spoken}]

    answer = json.loads(content_of(await ask(emulators, messages=messages)))

    assert answer["prompt"].startswith("A lamp, ")


async def test_same_seed_gives_the_same_answer_and_another_seed_another() -> None:
    """Answers depend on the request and the seed alone."""
    contents: list[str] = []
    for seed in (7, 7, 8):
        async with emulators_with(replace(QUICK, seed=seed)) as running:
            contents.append(content_of(await ask(running)))

    assert contents[0] == contents[1] != contents[2]


async def test_higher_temperature_adds_more_words(emulators: Emulators) -> None:
    """Creative answers are longer than precise ones."""
    precise = content_of(await ask(emulators, temperature=0.3))
    creative = content_of(await ask(emulators, temperature=1.3))

    assert len(creative) > len(precise)


async def test_repeated_system_message_hits_the_cache_in_whole_units(emulators: Emulators) -> None:
    """The second call pays full price only for what is new in it."""
    system = SYSTEM + " Keep the scene." * 40
    counts: list[int] = []
    for asked in ("A lamp on a quay", "A lamp in a valley"):
        messages = [{"role": "system", "content": system}, {"role": "user", "content": asked}]
        usage = (await ask(emulators, messages=messages)).usage
        assert usage is not None
        counts.append((usage.model_extra or {})["prompt_cache_hit_tokens"])

    assert counts[0] == 0
    assert counts[1] > 0
    assert counts[1] % 64 == 0


async def test_another_user_id_shares_no_cache(emulators: Emulators) -> None:
    """The cache of one user is invisible to the next."""
    system = SYSTEM + " Keep the scene." * 40
    hits: list[int] = []
    for user in ("one", "two", "one"):
        messages = [{"role": "system", "content": system}, {"role": "user", "content": "A lamp"}]
        answer = await emulators.chat(messages=messages, user_id=user)
        hits.append(answer.json()["usage"]["prompt_cache_hit_tokens"])

    assert hits[0] == hits[1] == 0
    assert hits[2] > 0


async def test_model_thinks_unless_told_not_to(emulators: Emulators) -> None:
    """Thinking is on by default, shows its reasoning, and is billed."""
    silent = (await emulators.chat()).json()
    thinking = (await emulators.chat(thinking={"type": "enabled"})).json()
    default = await ask(emulators, extra_body={})

    assert "reasoning_content" not in silent["choices"][0]["message"]
    assert thinking["choices"][0]["message"]["reasoning_content"]
    details = thinking["usage"]["completion_tokens_details"]
    assert 0 < details["reasoning_tokens"] < thinking["usage"]["completion_tokens"]
    assert "reasoning_content" in (default.choices[0].message.model_extra or {})


async def test_answer_over_max_tokens_is_cut(emulators: Emulators) -> None:
    """A limit too small ends the answer for the reason `length`."""
    answer = await ask(emulators, max_tokens=5)

    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 5


@pytest.mark.parametrize(
    ("changes", "status", "named"),
    [
        ({"model": "deepseek-chat"}, 400, "deepseek-chat"),
        ({"model": "deepseek-reasoner"}, 400, "deepseek-reasoner"),
        ({"model": "gpt-5"}, 400, "gpt-5"),
        ({"stream": True}, 400, "stream"),
        ({"messages": [{"role": "user", "content": "A lamp"}]}, 400, "json"),
        ({"temperature": 3}, 422, "temperature"),
        ({"messages": []}, 422, "messages"),
        ({"messages": [{"role": "system", "content": SYSTEM}]}, 422, "messages"),
        ({"user_id": "x" * 513}, 422, "user_id"),
        ({"thinking": {"type": "maybe"}}, 422, "thinking"),
        ({"model": None}, 422, "model"),
    ],
)
async def test_wrong_request_is_refused_and_the_fault_named(
    emulators: Emulators, changes: dict[str, Any], status: int, named: str
) -> None:
    """A bad request costs nothing and says what is wrong in DeepSeek's error shape."""
    answer = await emulators.chat(**changes)

    assert answer.status_code == status
    error = answer.json()["error"]
    assert named in error["message"]
    assert set(error) == {"message", "type", "param", "code"}
    assert await emulators.entries() == []


async def test_body_that_is_not_json_is_refused(emulators: Emulators) -> None:
    """Half a body is a format error, not a server error."""
    answer = await emulators.client.post("/chat/completions", content=b'{"model": ')

    assert answer.status_code == 400


async def test_wrong_key_is_an_authentication_error() -> None:
    """With a key given on the command line, other keys are turned away."""
    async with emulators_with(replace(QUICK, api_key="right")) as running:
        with pytest.raises(openai.AuthenticationError) as refused:
            await ask(running, key="wrong")

        assert refused.value.status_code == 401
        assert (await ask(running, key="right")).choices


@pytest.mark.parametrize("header", ["", "Bearer", "Basic abc"])
async def test_missing_key_is_turned_away(emulators: Emulators, header: str) -> None:
    """Without a key of its own the emulator still wants a bearer."""
    answer = await emulators.client.get("/models", headers={"Authorization": header})

    assert answer.status_code == 401


async def test_rate_limit_reaches_the_client_with_its_delay(emulators: Emulators) -> None:
    """An injected 429 is the client's RateLimitError and keeps Retry-After."""
    await emulators.befall(
        {
            "endpoint": "chat",
            "when": {"nth": 1},
            "action": "status",
            "status": 429,
            "retry_after": 3,
        }
    )

    with pytest.raises(openai.RateLimitError) as refused:
        await ask(emulators)

    assert refused.value.response.headers["retry-after"] == "3"
    assert await emulators.entries() == []
    assert (await ask(emulators)).choices


async def test_spent_balance_is_a_402() -> None:
    """When the account is empty the client sees 402, and the balance probe says so first."""
    async with emulators_with(replace(QUICK, chat_balance_micros=1)) as running:
        await ask(running)

        with pytest.raises(openai.APIStatusError) as refused:
            await ask(running)

        assert refused.value.status_code == 402
        balance = (await running.client.get("/user/balance")).json()
        assert balance["is_available"] is False
        assert balance["balance_infos"][0]["total_balance"] == "0.00"


async def test_models_are_listed_without_the_removed_ones(emulators: Emulators) -> None:
    """The list can serve as a health probe."""
    listed = (await emulators.client.get("/models")).json()

    names = {model["id"] for model in listed["data"]}
    assert "deepseek-flash" in names
    assert not names & {"deepseek-chat", "deepseek-reasoner"}


async def test_lost_answer_is_billed_and_a_lost_request_is_not(emulators: Emulators) -> None:
    """A reset before acceptance leaves no trace; a reset after it leaves a billed call."""
    await emulators.befall(
        {"endpoint": "chat", "when": {"nth": 1}, "action": "reset_before_acceptance"},
        {"endpoint": "chat", "when": {"nth": 2}, "action": "reset_after_acceptance"},
    )

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await emulators.chat()
    assert await emulators.entries() == []

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await emulators.chat()
    assert [entry["billed"] for entry in await emulators.entries()] == [True]


async def test_official_client_sees_a_reset_as_a_connection_error(emulators: Emulators) -> None:
    """The reset is a real one, for any client."""
    await emulators.befall({"endpoint": "chat", "action": "reset_after_acceptance"})

    with pytest.raises(openai.APIConnectionError):
        await ask(emulators)


async def test_hanging_call_is_given_up_by_the_caller_and_not_accepted(
    emulators: Emulators,
) -> None:
    """Nothing comes back, nothing is billed, and the server can still be stopped."""
    await emulators.befall({"endpoint": "chat", "action": "hang"})

    with pytest.raises(httpx.ReadTimeout):
        await emulators.client.post("/chat/completions", json=_plain(), timeout=0.2)

    assert await emulators.entries() == []


def _plain() -> dict[str, Any]:
    return {"model": "deepseek-flash", "messages": [{"role": "user", "content": "A lamp"}]}


async def test_latency_after_acceptance_bills_before_it_answers(emulators: Emulators) -> None:
    """A caller that gives up meanwhile has still bought the answer."""
    await emulators.befall(
        {"endpoint": "chat", "action": "latency_after_acceptance", "seconds": 30}
    )

    with pytest.raises(httpx.ReadTimeout):
        await emulators.client.post("/chat/completions", json=_plain(), timeout=0.2)

    assert len(await emulators.entries()) == 1


async def test_blank_lines_come_while_the_call_is_queued(emulators: Emulators) -> None:
    """Headers come at once, then blanks, then an answer that parses as it stands."""
    await emulators.befall({"endpoint": "chat", "action": "keep_alive_blanks", "seconds": 0.2})

    answer = await emulators.chat()

    assert answer.content.startswith(b"\n\n")
    assert answer.json()["choices"]


@pytest.mark.parametrize("reason", ["length", "insufficient_system_resource", "content_filter"])
async def test_answer_ends_for_the_injected_reason(emulators: Emulators, reason: str) -> None:
    """Each unhappy finish reason can be had, still billed."""
    await emulators.befall({"endpoint": "chat", "action": "finish_reason", "reason": reason})

    choice = (await emulators.chat()).json()["choices"][0]

    assert choice["finish_reason"] == reason
    assert len(await emulators.entries()) == 1


async def test_blank_content_still_says_stop(emulators: Emulators) -> None:
    """JSON mode's known trap: blanks, with nothing to show that they are not an answer."""
    await emulators.befall({"endpoint": "chat", "action": "blank_content"})

    choice = (await emulators.chat()).json()["choices"][0]

    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"].strip() == ""


@pytest.mark.parametrize("action", ["truncated_json", "wrong_content_type"])
async def test_garbled_answer_is_no_json_and_is_billed(emulators: Emulators, action: str) -> None:
    """An answer that cannot be read was bought all the same."""
    await emulators.befall({"endpoint": "chat", "action": action})

    answer = await emulators.chat()

    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"line \d|Expecting|Unterminated"):
        answer.json()
    assert len(await emulators.entries()) == 1


async def test_ledger_tells_who_bought_what(emulators: Emulators) -> None:
    """An entry carries the caller's own name for the call, its model, tokens and price."""
    answer = await emulators.client.post(
        "/chat/completions", json=_plain(), headers={"X-Darkroom-Call": "job_1/item_1/1"}
    )

    ledger = await emulators.ledger()

    (entry,) = ledger["entries"]
    assert entry["call"] == "job_1/item_1/1"
    assert entry["endpoint"] == "chat"
    assert entry["units"] == answer.json()["usage"]["total_tokens"]
    assert entry["amountMicros"] == ledger["totals"]["amountMicros"] > 0
    assert ledger["most_in_flight"]["chat"] == 1
    assert ledger["in_flight"]["chat"] == 0


async def test_emptied_ledger_counts_on(emulators: Emulators) -> None:
    """DELETE forgets the entries; later ones never reuse a number."""
    await emulators.chat()
    await emulators.client.delete("/_control/ledger")
    await emulators.chat()

    (entry,) = await emulators.entries()
    assert entry["sequence"] == 2


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"endpoint": "chat", "action": "explode"}, "explode"),
        ({"endpoint": "chat", "action": "hang", "colour": "red"}, "colour"),
        ({"endpoint": "chat", "action": "stuck"}, "stuck"),
        ({"endpoint": "chat", "action": "latency"}, "seconds"),
        ({"endpoint": "nowhere", "action": "hang"}, "endpoint"),
        ({"endpoint": "chat", "action": "hang", "when": {"nth": 1, "probability": 1}}, "when"),
    ],
)
async def test_wrong_rule_is_refused_and_the_fault_named(
    emulators: Emulators, rule: dict[str, Any], named: str
) -> None:
    """A typing error in a fault plan must not look like a passing test."""
    answer = await emulators.client.put("/_control/faults", json=[rule])

    assert answer.status_code == 422
    assert named in answer.text


async def test_plan_shows_how_often_each_rule_matched_and_fired(emulators: Emulators) -> None:
    """Rules count the calls whose prompt or call name they match, and stop at `times`."""
    await emulators.befall(
        {"endpoint": "chat", "match": "valley", "action": "status", "status": 503, "times": 1},
        {"endpoint": "chat", "when": {"nth": [2, 3]}, "action": "status", "status": 500},
    )
    statuses: list[int] = []
    for asked in ("a valley", "a quay", "a valley", "a valley"):
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]
        statuses.append((await emulators.chat(messages=messages)).status_code)

    plan = (await emulators.client.get("/_control/faults")).json()["rules"]
    assert statuses == [503, 500, 500, 200]
    assert [(rule["matched"], rule["fired"]) for rule in plan] == [(3, 1), (4, 2)]


@pytest.mark.parametrize("when", ["always", {"always": True}, {}])
async def test_rule_without_a_choice_fires_always(emulators: Emulators, when: Any) -> None:
    """However "always" is written, every call is befallen."""
    await emulators.befall({"endpoint": "chat", "when": when, "action": "status", "status": 500})

    assert [(await emulators.chat()).status_code for _ in range(3)] == [500, 500, 500]


async def test_probability_fires_alike_for_the_same_seed() -> None:
    """Chance is seeded, so a failing run can be repeated."""
    runs: list[list[int]] = []
    for _ in range(2):
        async with emulators_with() as running:
            await running.befall(
                {
                    "endpoint": "chat",
                    "when": {"probability": 0.5},
                    "action": "status",
                    "status": 503,
                }
            )
            runs.append([(await running.chat()).status_code for _ in range(12)])

    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 503}
