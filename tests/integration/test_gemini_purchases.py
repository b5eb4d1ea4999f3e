"""Whatever Gemini does to a purchase, our ledger and its bill have the same rows."""

from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from datetime import timedelta

import pytest

from darkroom.domain.attempts import PictureAttempt, PictureDone, PictureFailed
from darkroom.domain.errors import Disposition, ReplyLost
from darkroom.domain.job import ImageSpec
from darkroom.domain.ledger import PAID, LedgerState
from darkroom.pictures import PillowPictureCheck
from darkroom.providers.gemini import GeminiOptions, GeminiProvider
from darkroom.providers.http_client import open_client
from tests.support.builders import JOB
from tests.support.emulated import Emulated, Rule, running_emulators
from tests.support.fakes import MemoryFileCatalog
from tests.support.purchases import ORDER, Premises

MODEL = "gemini-nano-banana-2.1"
PICTURE_ORDER = replace(ORDER, image=ImageSpec(provider="gemini", model=MODEL))
MOST_TRIES = 5


def on(action: str, **parameters: object) -> Rule:
    return {"endpoint": "gemini", "action": action, "when": {"nth": [1, 2]}, **parameters}


@pytest.fixture(scope="module")
def provider() -> Generator[Emulated]:
    with running_emulators() as emulated:
        yield emulated


@pytest.fixture
async def emulated(provider: Emulated) -> Emulated:
    await provider.forget()
    return provider


@pytest.fixture
async def premises() -> Premises:
    opened = Premises(pictures=PillowPictureCheck())
    await opened.prepare()
    return opened


@pytest.fixture
async def gemini(emulated: Emulated, premises: Premises) -> AsyncGenerator[GeminiProvider]:
    options = GeminiOptions(
        base_url=emulated.address,
        api_key="key",
        prices={(MODEL, "1K"): 33_600},
        post_deadline=timedelta(seconds=1),
    )
    async with open_client() as client:
        catalog = MemoryFileCatalog(premises.state)
        yield GeminiProvider(client, options, catalog=catalog, files=premises.files)


async def develop(premises: Premises, gemini: GeminiProvider) -> PictureAttempt:
    """Try as a job does, until there is a picture or nothing more to try."""
    order = PICTURE_ORDER
    for _ in range(MOST_TRIES):
        attempt = await premises.develop(order, gemini)
        match attempt:
            case PictureFailed(opens_take=True) if _may_pass(attempt):
                order = replace(order, take=order.take + 1)
            case PictureFailed() if _may_pass(attempt):
                pass
            case _:
                return attempt
    raise AssertionError(f"no end after {MOST_TRIES} tries")


def _may_pass(attempt: PictureFailed) -> bool:
    return attempt.failure.disposition is not Disposition.FATAL


@pytest.mark.parametrize(
    ("rule", "takes"),
    [
        (on("surrounded"), 1),
        (on("quota_exceeded"), 1),
        (on("status", status=503), 1),
        (on("unfinished", reason="IMAGE_OTHER", billed=False), 1),
        (on("only_words"), 3),
        (on("unfinished", reason="NO_IMAGE"), 3),
        (on("not_an_image"), 3),
        (on("truncated"), 3),
        (on("broken_encoding"), 3),
    ],
)
async def test_what_passes_ends_with_a_picture_and_equal_books(
    emulated: Emulated, premises: Premises, gemini: GeminiProvider, rule: Rule, takes: int
) -> None:
    """Twice it goes wrong, then it works; what was billed meanwhile has a row of its own."""
    await emulated.befall(rule)

    assert isinstance(await develop(premises, gemini), PictureDone)

    rows = await premises.ledger.of_job(JOB)
    assert len(rows) == takes
    ours = {str(row.key): row.price_micros for row in rows if row.state in PAID}
    assert ours == await bill(emulated)


@pytest.mark.parametrize(
    "rule", [on("prompt_blocked"), on("unfinished", reason="IMAGE_SAFETY"), on("key_invalid")]
)
async def test_what_is_refused_has_equal_books_too(
    emulated: Emulated, premises: Premises, gemini: GeminiProvider, rule: Rule
) -> None:
    """A refusal is billed, or it is not; we say what the bill says."""
    await emulated.befall(rule)

    await premises.develop(PICTURE_ORDER, gemini)

    rows = await premises.ledger.of_job(JOB)
    ours = {str(row.key): row.price_micros for row in rows if row.state in PAID}
    assert ours == await bill(emulated)


@pytest.mark.parametrize(
    ("rule", "is_billed"),
    [
        (on("reset_before_acceptance"), False),
        (on("reset_after_acceptance"), True),
        (on("truncated_json"), True),
        (on("hang"), False),
        (on("status", status=504), False),
    ],
)
async def test_what_nobody_can_know_is_shown_apart(
    emulated: Emulated, premises: Premises, gemini: GeminiProvider, rule: Rule, *, is_billed: bool
) -> None:
    """The bill may have a row or not; ours says unknown in both cases, and nothing is repeated."""
    await emulated.befall(rule)

    attempt = await develop(premises, gemini)

    assert isinstance(attempt, PictureFailed)
    assert attempt.failure.code == ReplyLost.code
    (row,) = await premises.ledger.of_job(JOB)
    assert row.state is LedgerState.UNKNOWN
    assert await bill(emulated) == ({str(row.key): row.price_micros} if is_billed else {})
    assert await emulated.met_counts() == (1,)


async def bill(emulated: Emulated) -> dict[str, int]:
    """Read what the provider bills, by call; none twice under one name."""
    billed = [entry for entry in await emulated.ledger() if entry.billed]
    assert len({entry.call for entry in billed}) == len(billed)
    return {entry.call or "": entry.amount_micros for entry in billed}
