"""The unflushed tail: whatever the order of writes, flushes and conflicts, numbers have no gap."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from darkroom.domain.events import EventKind, EventLog, JobEvent, canonical_json
from darkroom.domain.lifecycle import JobState
from darkroom.domain.stages import Progress

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def an_event(message: str = "") -> JobEvent:
    """An event without a number."""
    return JobEvent(
        seq=0,
        run=1,
        at=NOON,
        kind=EventKind.STAGE_STARTED,
        state=JobState.PROCESSING,
        progress=Progress(message=message),
    )


@given(
    steps=st.lists(
        st.one_of(
            st.just("append"),
            st.integers(1, 5).map(lambda n: ("ack", n)),
            st.integers(0, 3).map(lambda n: ("conflict", n)),
        ),
        max_size=40,
    )
)
def test_the_store_sees_every_event_once_under_consecutive_numbers(
    steps: list[str | tuple[str, int]],
) -> None:
    """A model store that appends, repeats and conflicts ends with 1..n and every message."""
    log = EventLog()
    stored: list[JobEvent] = []
    written: list[str] = []
    for step in steps:
        match step:
            case ("ack", count):
                chunk = log.unflushed[:count]
                stored.extend(chunk)
                if chunk:
                    log.acknowledge(chunk[-1].seq)
                    log.acknowledge(chunk[-1].seq)  # a repeated acknowledgement is harmless
            case ("conflict", count):
                for _ in range(count):
                    stored.append(replace(an_event("foreign"), seq=log_head(stored) + 1))
                log.renumber(log_head(stored))
            case _:
                written.append(f"event {len(written)}")
                log.append(an_event(written[-1]))
    stored.extend(log.unflushed)

    assert [event.seq for event in stored] == list(range(1, len(stored) + 1))
    ours = [event.progress.message for event in stored if event.progress.message != "foreign"]
    assert ours == written


def log_head(stored: list[JobEvent]) -> int:
    """Number of the last stored event."""
    return stored[-1].seq if stored else 0


def test_a_chunk_holds_at_most_its_limit_but_never_nothing() -> None:
    """An event larger than the limit still travels, alone."""
    log = EventLog()
    sizes = [10, 400, 10, 10, 10]
    for size in sizes:
        log.append(an_event("x" * size))
    one = len(canonical_json(log.unflushed[0]).encode())

    chunks: list[int] = []
    while chunk := log.chunk(limit_bytes=2 * one):
        chunks.append(len(chunk))
        log.acknowledge(chunk[-1].seq)

    assert chunks == [1, 1, 2, 1]


def test_a_repeated_event_has_the_same_digest_and_another_one_has_not() -> None:
    """A retried record is told from a different event under the same number."""
    event = replace(an_event("one"), seq=4)

    assert event.digest() == replace(an_event("one"), seq=4).digest()
    assert event.digest() != replace(an_event("two"), seq=4).digest()
