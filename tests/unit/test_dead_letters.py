"""What a dead letter says, and when operators are told of it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.domain.audit import DETAIL_BYTES, detail_text
from darkroom.domain.dead_letters import letter_of
from darkroom.domain.errors import DarkroomError, Disposition
from darkroom.domain.escalation import level_due
from darkroom.domain.events import EventKind
from darkroom.domain.job import JobKind
from darkroom.domain.lifecycle import JobState
from darkroom.domain.remedies import REMEDIES, TRY_AGAIN, UNKNOWN_CODE, remedy_for
from darkroom.domain.stages import Stage
from tests.architecture.drawings import error_leaves
from tests.support.builders import ADA, a_batch, a_failed_end, a_failure, an_event

QUARTER, HOUR = timedelta(minutes=15), timedelta(hours=1)
AGES = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30))


@pytest.mark.parametrize("leaf", error_leaves())
def test_every_error_has_a_remedy_of_its_own(leaf: type[DarkroomError]) -> None:
    """Whoever looks at a dead letter is told what to do, whatever went wrong."""
    assert leaf.code in REMEDIES
    assert list(REMEDIES.values()).count(REMEDIES[leaf.code]) == 1


def test_failure_without_a_remedy_of_its_own_gets_a_general_one() -> None:
    """A later version's code is no reason to say nothing."""
    fatal = a_failure(code="of_the_future", disposition=Disposition.FATAL)
    passing = a_failure(code="of_the_future", disposition=Disposition.RETRYABLE)

    assert remedy_for(fatal) == UNKNOWN_CODE
    assert remedy_for(passing) == TRY_AGAIN


def test_letter_takes_its_stage_from_the_progress_when_the_event_names_none() -> None:
    """An end that no stage can be blamed for still says how far the job came."""
    end = a_failed_end(stage=None, item=None)

    letter = letter_of(a_batch(end), end, owner=ADA, kind=JobKind.IMAGE_GENERATION)

    assert letter is not None
    assert (letter.stage, letter.item, letter.attempts) == (Stage.ANALYZE, None, 0)


@pytest.mark.parametrize("kind", [kind for kind in EventKind if kind is not EventKind.JOB_FAILED])
def test_no_other_event_is_a_letter(kind: EventKind) -> None:
    """Only the end of a failed run is."""
    event = an_event(kind=kind, state=JobState.PROCESSING, failure=a_failure())

    assert letter_of(a_batch(event), event, owner=ADA, kind=JobKind.IMAGE_GENERATION) is None


@pytest.mark.parametrize(
    ("age", "level"),
    [
        (timedelta(0), 1),
        (QUARTER - timedelta(microseconds=1), 1),
        (QUARTER, 2),
        (HOUR, 3),
        (30 * HOUR, 3),
    ],
)
def test_level_rises_once_with_each_rung(age: timedelta, level: int) -> None:
    """The first telling is at once, and the last one with the last rung."""
    assert level_due(age, (QUARTER, HOUR)) == level


@given(younger=AGES, older=AGES, ladder=st.lists(AGES, max_size=6, unique=True))
def test_level_never_falls_as_a_letter_ages(
    younger: timedelta, older: timedelta, ladder: list[timedelta]
) -> None:
    """Whatever the ladder, waiting longer is never told less."""
    younger, older = sorted((younger, older))

    assert 1 <= level_due(younger, ladder) <= level_due(older, ladder) <= 1 + len(ladder)


@given(
    changes=st.dictionaries(
        st.text(max_size=30), st.text(max_size=9000) | st.integers() | st.none(), max_size=8
    )
)
def test_detail_of_a_deed_always_fits(changes: dict[str, object]) -> None:
    """A long prompt in an edit does not make the deed unwritable."""
    assert len(detail_text(changes).encode()) <= DETAIL_BYTES


def test_detail_that_fits_is_kept_whole() -> None:
    """What was changed can be read back to the letter."""
    assert detail_text({"seed": 7, "prompt": "größer"}) == '{"prompt":"größer","seed":7}'


def test_detail_that_is_too_long_keeps_what_is_short() -> None:
    """The long text is cut, and the rest stays."""
    detail = detail_text({"seed": 7, "prompt": "x" * 5000})

    assert '"seed":7' in detail
    assert "xxx..." in detail
