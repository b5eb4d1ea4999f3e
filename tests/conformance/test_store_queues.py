"""What an operator decides about the queue is kept, and audited once, wherever it is kept."""

from dataclasses import replace
from datetime import timedelta

import pytest

from darkroom.domain.admission import QueueTerms, audited
from darkroom.domain.errors import StoreUnavailable
from darkroom.domain.names import SLOT_POOL_ID
from tests.support.builders import NOW
from tests.support.databases import Stores, memory_stores
from tests.support.fakes import MemoryState

pytest_plugins = ["tests.support.databases"]

SEEDS = QueueTerms(concurrency=5)
FIRST = QueueTerms(
    concurrency=3,
    owner_limit=2,
    is_paused=True,
    is_draining=True,
    changed_at=NOW,
    changed_by="ada",
)
SECOND = QueueTerms(concurrency=8, changed_at=NOW + timedelta(microseconds=1), changed_by="bob")


async def decide(stores: Stores, before: QueueTerms, after: QueueTerms) -> None:
    """Keep terms, with the deed that made them."""
    await stores.queues.change(after, audited(before, after, reason="a test"))


async def test_without_a_decision_there_are_no_terms(stores: Stores) -> None:
    """Then the settings hold."""
    assert await stores.queues.terms() is None


async def test_terms_are_read_back_as_they_were_decided(stores: Stores) -> None:
    """Every field survives, the moment to the microsecond."""
    await decide(stores, SEEDS, FIRST)

    assert await stores.queues.terms() == FIRST


async def test_the_last_decision_holds_and_each_is_audited(stores: Stores) -> None:
    """What it was, what it is, who and why."""
    await decide(stores, SEEDS, FIRST)
    await decide(stores, FIRST, SECOND)

    assert await stores.queues.terms() == SECOND
    later, first = [one.entry for one in await stores.audit.entries(SLOT_POOL_ID, limit=9)]
    assert (first.actor, first.action, first.reason) == ("ada", "change_queue", "a test")
    assert later.detail == (
        '{"concurrency":[3,8],"is_draining":[true,false],'
        '"is_paused":[true,false],"owner_limit":[2,null]}'
    )


async def test_a_decision_that_is_kept_again_is_one(stores: Stores) -> None:
    """The activity may be tried again after its answer was lost."""
    await decide(stores, SEEDS, FIRST)
    await decide(stores, SEEDS, FIRST)

    assert len(await stores.audit.entries(limit=9)) == 1


async def test_a_decision_that_comes_too_late_changes_nothing(stores: Stores) -> None:
    """An attempt that hung must not undo what was decided after it."""
    await decide(stores, SEEDS, SECOND)
    await decide(stores, SEEDS, replace(FIRST, concurrency=1))

    assert await stores.queues.terms() == SECOND
    assert len(await stores.audit.entries(limit=9)) == 1


async def test_a_store_that_is_away_says_so() -> None:
    """As every other part of it does."""
    state = MemoryState(is_away=True)

    with pytest.raises(StoreUnavailable):
        await memory_stores(state).queues.terms()
