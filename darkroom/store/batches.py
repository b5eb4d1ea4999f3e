"""What a batch of events must be before the store looks at it."""

from darkroom.domain.checkpoint import RecordBatch


def check_numbers(batch: RecordBatch) -> None:
    """Refuse a batch that no correct writer makes.

    Raises:
        ValueError: items come without an event that reports them, the numbers have a gap, or
            the snapshot is older than the events.
    """
    if not batch.events:
        if batch.items:
            raise ValueError(f"job {batch.job_id}: items were recorded without an event")
        return
    first, last = batch.events[0].seq, batch.events[-1].seq
    if [event.seq for event in batch.events] != list(range(first, first + len(batch.events))):
        raise ValueError(f"job {batch.job_id}: events {first} to {last} are not in one row")
    if batch.snapshot.seq < last:
        raise ValueError(
            f"job {batch.job_id}: the snapshot stands at {batch.snapshot.seq}, before event {last}"
        )
