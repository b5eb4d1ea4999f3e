"""Whether one more job is taken in. Asked after everything else about it was found in order.

What nobody knows is no reason to refuse: without the pool, jobs come in and wait
(durability.md rule 12).
"""

from darkroom.domain.admission import QueueTerms, QueueView
from gateway.errors import QUEUE_DRAINING, QUEUE_FULL, Problem
from gateway.queue_watch import QueueWatch

LATER_SECONDS = 60  # when nothing is known of when it may be better
LONGEST_SECONDS = 3600


async def refusal(watch: QueueWatch, *, most: int) -> Problem | None:
    """Say why no further job is taken in; None if one is."""
    view = await watch.view()
    if view is None:
        return None
    if view.terms.is_draining:
        return _draining(view.terms)
    pending = watch.pending_count(view)
    return _full(view, pending=pending, most=most) if pending >= most else None


def _draining(terms: QueueTerms) -> Problem:
    by = f" by {terms.changed_by}" if terms.changed_by else ""
    return Problem(
        QUEUE_DRAINING,
        f"the queue is being drained{by}: what is in it is worked off, nothing is taken in",
        remedy="submit again when an operator has resumed the queue; with an Idempotency-Key "
        "the job cannot start twice",
        headers={"Retry-After": str(LATER_SECONDS)},
    )


def _full(view: QueueView, *, pending: int, most: int) -> Problem:
    seconds = _until_shorter(view, by=pending - most + 1)
    return Problem(
        QUEUE_FULL,
        f"{pending} jobs wait already, and at most {most} may",
        remedy=f"submit again in about {seconds} s, or cancel jobs that you no longer need",
        more={"retryAfterSeconds": seconds},
        headers={"Retry-After": str(seconds)},
    )


def _until_shorter(view: QueueView, *, by: int) -> int:
    """Guess when so many of those that wait will have begun."""
    listed = view.waiting[by - 1 : by]
    guessed = listed[0].place.eta_p50_seconds if listed else None
    return min(max(1, LATER_SECONDS if guessed is None else guessed), LONGEST_SECONDS)
