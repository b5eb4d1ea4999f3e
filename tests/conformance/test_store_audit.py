"""The audit log keeps deeds in order and forgets none, in memory and on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from darkroom.domain.audit import AuditEntry
from darkroom.domain.errors import StoreUnavailable
from tests.support.builders import NOW
from tests.support.databases import Stores, memory_stores
from tests.support.fakes import MemoryState

pytest_plugins = ["tests.support.databases"]

PAUSED = AuditEntry(
    at=NOW,
    actor="operator",
    action="pause_queue",
    target="slot-pool",
    reason="the provider asked for a pause, says Zoë",
    detail='{"isPaused":true}',
)


async def test_a_deed_is_read_back_as_it_was_written(stores: Stores) -> None:
    """Every field survives, the moment to the microsecond."""
    await stores.audit.add(PAUSED)

    (record,) = await stores.audit.entries(limit=10)

    assert record.entry == PAUSED


async def test_deeds_come_newest_first_and_page_by_page(stores: Stores) -> None:
    """A page begins behind the last number of the page before; nothing is shown twice."""
    deeds = [replace(PAUSED, at=NOW + timedelta(seconds=n), reason=str(n)) for n in range(5)]
    for deed in deeds:
        await stores.audit.add(deed)

    first = await stores.audit.entries(limit=3)
    rest = await stores.audit.entries(before=first[-1].number, limit=3)

    assert [record.entry.reason for record in (*first, *rest)] == ["4", "3", "2", "1", "0"]
    numbers = [record.number for record in (*first, *rest)]
    assert numbers == sorted(set(numbers), reverse=True)


async def test_deeds_can_be_asked_for_by_what_they_touched(stores: Stores) -> None:
    """Whoever looks at one thing sees what was done to it, and nothing else."""
    other = replace(PAUSED, target="gate-nanobanana")
    for deed in (PAUSED, other, PAUSED):
        await stores.audit.add(deed)

    touched = await stores.audit.entries("gate-nanobanana", limit=10)

    assert [record.entry for record in touched] == [other]
    assert await stores.audit.entries("nothing", limit=10) == ()


async def test_audit_of_an_absent_store_says_so() -> None:
    """A deed that could not be written down is not taken for written."""
    stores = memory_stores(MemoryState(is_away=True))

    with pytest.raises(StoreUnavailable):
        await stores.audit.add(PAUSED)
