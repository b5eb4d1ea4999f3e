"""The journal: whatever a job goes through, its log has no gap and its progress never falls."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.domain.checkpoint import Claimed, Recorded
from darkroom.domain.errors import IllegalTransition
from darkroom.domain.events import EventKind, JobEvent
from darkroom.domain.items import ItemState
from darkroom.domain.journal import JobJournal
from darkroom.domain.lifecycle import JobState
from darkroom.domain.stages import Stage
from tests.support.builders import NOW, a_snapshot, a_start, an_item

STEPS = st.lists(
    st.one_of(
        st.sampled_from(Stage).map(lambda stage: ("begin", stage)),
        st.sampled_from(Stage).map(lambda stage: ("end", stage)),
        st.tuples(st.just("climb"), st.sampled_from(Stage), st.integers(0, 9)),
        st.just(("flush",)),
        st.integers(1, 3).map(lambda foreign: ("conflict", foreign)),
    ),
    max_size=30,
)


@given(steps=STEPS)
def test_any_story_leaves_consecutive_numbers_and_rising_progress(
    steps: list[tuple[object, ...]],
) -> None:
    """Stages in any order, retries of stages, flushes and foreign writers in between."""
    journal = JobJournal(a_start(), writer="w")
    stored: list[JobEvent] = []
    for step in steps:
        match step:
            case ("begin", Stage() as stage):
                journal.begin_stage(stage, "on it", at=NOW)
            case ("end", Stage() as stage):
                journal.end_stage(stage, "done", at=NOW)
            case ("climb", Stage() as stage, int(finished)):
                journal.climb(stage, finished=finished, total=9, message="moving")
            case ("conflict", int(foreign)) if not journal.is_flushed:
                head = stored[-1].seq if stored else 0
                last = journal.live().unflushed[0]
                stored += [replace(last, seq=head + n + 1) for n in range(foreign)]
                refused = Recorded(head=head + foreign, appended=False)
                journal.acknowledge(journal.batch(), refused)
            case ("flush",) if not journal.is_flushed:
                batch = journal.batch()
                stored.extend(batch.events)
                journal.acknowledge(batch, Recorded(head=batch.events[-1].seq))
            case _:
                pass
    stored.extend(journal.live().unflushed)

    assert [event.seq for event in stored] == list(range(1, len(stored) + 1))
    percents = [event.progress.percent for event in stored]
    assert percents == sorted(percents)
    assert journal.snapshot.seq == len(stored)


def test_an_item_that_changed_while_its_batch_was_on_the_way_travels_again() -> None:
    """The acknowledgement of an older value does not swallow the newer one."""
    journal = JobJournal(a_start(), writer="w")
    journal.put_items([an_item()])
    journal.note(EventKind.STAGE_STARTED, at=NOW)
    batch = journal.batch()
    journal.put_items([an_item(state=ItemState.PROMPTED)])
    journal.acknowledge(batch, Recorded(head=1))
    journal.note(EventKind.PROMPT_ENHANCED, at=NOW)

    assert [item.state for item in journal.batch().items] == [ItemState.PROMPTED]


def test_a_chunk_that_leaves_events_behind_carries_the_state_it_tells() -> None:
    """The row in the store is never ahead of the log."""
    journal = JobJournal(a_start(), writer="w")
    journal.begin_stage(Stage.ANALYZE, "x" * 300_000, at=NOW)
    journal.begin_stage(Stage.GENERATE, "later", at=NOW)

    batch = journal.batch()

    assert [event.seq for event in batch.events] == [1]
    assert batch.snapshot.seq == 1
    assert batch.snapshot.progress.stage is Stage.ANALYZE


def test_an_overtaken_writer_stops_telling() -> None:
    """Once another run is the writer, nothing is left to flush."""
    journal = JobJournal(a_start(), writer="w")
    journal.note(EventKind.JOB_SUBMITTED, at=NOW)
    journal.acknowledge(journal.batch(), Recorded(head=7, is_writer=False))
    journal.note(EventKind.JOB_STARTED, at=NOW)

    assert journal.is_flushed


def test_a_run_that_takes_over_goes_on_where_the_log_ends() -> None:
    """Numbers, progress and the moment of the first start come from the checkpoint."""
    journal = JobJournal(a_start(), writer="w")
    snapshot = a_snapshot(41, state=JobState.PENDING, started_at=NOW)
    journal.resume(Claimed(snapshot=snapshot, items=(an_item(),)))
    journal.advance(JobState.PROCESSING, at=NOW + timedelta(hours=1))
    journal.note(EventKind.JOB_STARTED, at=NOW)

    assert journal.batch().events[0].seq == 42
    assert journal.snapshot.started_at == NOW
    with pytest.raises(IllegalTransition):
        journal.advance(JobState.PENDING, at=NOW)
