"""While the language model is away, pictures are asked for in the caller's own words."""

from temporalio.testing import ActivityEnvironment

from activities.enhance import EnhanceActivities, EnhanceGate
from darkroom.domain.attempts import Enhanced, EnhanceOrder
from darkroom.domain.breakers import BreakerPlan, GateKey, Hand, HandMove
from darkroom.domain.errors import (
    AnswerUnusable,
    CreditsExhausted,
    ProviderError,
    ProviderUnavailable,
)
from darkroom.domain.items import Item
from darkroom.domain.job import JobId
from darkroom.domain.permits import PROVIDER_PARKED
from darkroom.domain.prompts import EnhanceFallback, is_plain
from tests.support.builders import ADA, JOB, NOW, REQUEST, an_item
from tests.support.fake_providers import FakePromptEnhancer
from tests.support.fakes import MemoryPromptCache, MemoryState
from tests.support.passages import a_board, a_passage

KEY = GateKey(provider="deepseek", model="fake-chat")
PLAN = BreakerPlan(failures=2)
PLAIN_TEXT = "A street lamp at noon, sunny"
ITEMS = tuple(
    an_item(key=f"{number:04}", variant=variant)
    for number, variant in enumerate(("", "dawn", "dusk", "night"), start=1)
)


class SilentSignals:
    """Tells nobody."""

    async def cancel(self, workflow_id: str, run_id: str) -> None:
        """Cancel nothing."""

    async def prompts_enhanced(self, job_id: JobId, prompts: dict[str, str]) -> None:
        """Tell nothing."""


class Desk:
    """An enhance activity over a store in memory."""

    def __init__(
        self,
        outcomes: list[str | ProviderError] | None = None,
        *,
        fallback: EnhanceFallback = EnhanceFallback.TEMPLATE,
    ) -> None:
        self.state = MemoryState()
        self.enhancer = FakePromptEnhancer(outcomes or [])
        self.board = a_board(self.state)
        self.cache = MemoryPromptCache(self.state)
        passage = a_passage(self.state, plan=PLAN)
        self.activities = EnhanceActivities(
            enhancer=self.enhancer,
            cache=self.cache,
            signals=SilentSignals(),
            gate=EnhanceGate(passage=passage, key=KEY, fallback=fallback),
        )

    async def enhance(self, items: tuple[Item, ...] = ITEMS) -> Enhanced:
        """Make one attempt, one prompt at a time."""
        order = EnhanceOrder(
            job_id=JOB, owner=ADA, prompt=REQUEST.prompt, items=items, concurrency=1
        )
        return await ActivityEnvironment().run(self.activities.enhance, order)

    async def text(self, enhanced: Enhanced, item: str) -> str:
        """Read what an item's picture will be asked for with."""
        key = enhanced.prompts[item]
        return (await self.cache.kept([key]))[key].text


def away() -> ProviderError:
    """Fail as a provider that is not there."""
    return ProviderUnavailable("deepseek answered 503", provider="deepseek")


async def test_one_failure_is_retried_as_ever() -> None:
    """With a closed gate nothing falls back: the job tries again."""
    desk = Desk([away()])

    enhanced = await desk.enhance()

    assert enhanced.stopped_by is not None
    assert enhanced.stopped_by.code == ProviderUnavailable.code
    assert not enhanced.degraded


async def test_the_failure_that_opens_the_gate_falls_back() -> None:
    """So do all prompts after it, without asking anybody."""
    desk = Desk(["enhanced", away(), away()])
    await desk.enhance()

    enhanced = await desk.enhance()

    assert enhanced.stopped_by is None
    assert enhanced.degraded == ("0002", "0003", "0004")
    assert len(desk.enhancer.asks) == 3
    assert await desk.text(enhanced, "0001") == "enhanced"
    assert await desk.text(enhanced, "0002") == f"{PLAIN_TEXT}, dawn"
    assert enhanced.cost_micros == 0


async def test_an_empty_account_falls_back_at_once() -> None:
    """An operator is needed, but not by this job."""
    desk = Desk([CreditsExhausted("deepseek: the account is empty", provider="deepseek")])

    enhanced = await desk.enhance()

    assert set(enhanced.prompts) == set(enhanced.degraded) == {item.key for item in ITEMS}


async def test_the_cache_comes_before_the_template() -> None:
    """What was enhanced before the outage is served as it was."""
    desk = Desk()
    before = await desk.enhance()
    await outage(desk)

    during = await desk.enhance((*ITEMS, an_item(key="0005", variant="storm")))

    assert during.degraded == ("0005",)
    assert {key: during.prompts[key] for key in before.prompts} == before.prompts


async def test_a_plain_prompt_is_never_taken_for_an_enhanced_one() -> None:
    """After the outage the same words are asked for again, and enhanced."""
    desk = Desk()
    await outage(desk)
    degraded = await desk.enhance()
    desk.state.doorway.gates.clear()

    enhanced = await desk.enhance()

    assert all(is_plain(key) for key in degraded.prompts.values())
    assert not enhanced.degraded
    assert await desk.text(enhanced, "0001") == f"{PLAIN_TEXT}, enhanced"


async def test_a_house_may_prefer_to_wait() -> None:
    """Then an open gate stops the stage, and the job parks."""
    desk = Desk(fallback=EnhanceFallback.WAIT)
    await outage(desk)

    enhanced = await desk.enhance()

    assert enhanced.stopped_by is not None
    assert enhanced.stopped_by.code == PROVIDER_PARKED
    assert (enhanced.stopped_by.provider, enhanced.stopped_by.model) == (KEY.provider, KEY.model)
    assert not enhanced.prompts


async def test_an_answer_that_is_useless_is_not_an_outage() -> None:
    """It was paid for and is booked; the provider is there."""
    unusable = AnswerUnusable("deepseek answered blanks", provider="deepseek")
    unusable.cost_micros = 7
    desk = Desk([away(), unusable])
    await desk.enhance()

    enhanced = await desk.enhance()

    assert enhanced.stopped_by is not None
    assert enhanced.stopped_by.code == AnswerUnusable.code
    assert enhanced.cost_micros == 7
    assert (await desk.board.gate(KEY)).is_quiet


async def test_a_prompt_that_gets_through_closes_the_gate() -> None:
    """The first one finds out, and the rest follow."""
    desk = Desk()
    await outage(desk)
    await desk.board.move(HandMove(key=KEY, hand=Hand.CLOSE, by="ada", at=NOW))

    enhanced = await desk.enhance()

    assert not enhanced.degraded
    assert (await desk.board.gate(KEY)).is_quiet


async def outage(desk: Desk) -> None:
    """Open the gate of these tests."""
    hold = HandMove(key=KEY, hand=Hand.OPEN, by="ada", reason="an outage", at=NOW)
    await desk.board.move(hold)
