"""Who gets the next free slot. Knows nothing of Temporal; the pool's books ask it.

The order: effective priority, then fair share (the owner who holds fewer slots), then submit
time, then job id. A job counts as one priority higher for each full aging it has waited, up to
high; so whatever is submitted later by an owner who holds as many slots does not pass it for
ever. Priority does not rise above high: a flood that waits long would otherwise shut out an
owner who holds nothing.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TypeAlias

from darkroom.domain.admission import Holder, SlotRequest
from darkroom.domain.job import OwnerId, Priority

LEVELS = (Priority.HIGH, Priority.NORMAL, Priority.LOW)

# (submitted_at, workflow id, first run id) and whose it is.
_Age: TypeAlias = tuple[datetime, str, str]
_Turn: TypeAlias = tuple[int, int, _Age]


def effective_priority(priority: Priority, waited: timedelta, aging: timedelta) -> Priority:
    """Raise a priority by one level for each full `aging` waited."""
    return LEVELS[_level(priority, waited, aging)]


class WaitingLine:
    """Everybody who waits, and how many slots each owner holds.

    Any number may wait: finding the next one costs the logarithm of it, because only owners at
    work are looked at one by one, and those are no more than there are slots.
    """

    def __init__(self, *, aging: timedelta) -> None:
        self.aging = aging
        self._requests: dict[Holder, SlotRequest] = {}
        self._held: Counter[OwnerId] = Counter()
        self._waiting: dict[tuple[OwnerId, Priority], list[_Age]] = {}
        # The eldest of each owner who holds nothing. May hold entries that no longer are.
        self._idle: dict[Priority, list[tuple[_Age, OwnerId]]] = {level: [] for level in LEVELS}

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[SlotRequest]:
        return iter(self._requests.values())

    def __contains__(self, holder: Holder) -> bool:
        return holder in self._requests

    def join(self, request: SlotRequest) -> None:
        """Stand in line; whoever stands there already changes their request."""
        self.leave(request.holder)
        self._requests[request.holder] = request
        age = _age(request)
        heapq.heappush(self._waiting.setdefault((request.owner, request.priority), []), age)
        if self._eldest_of(request.owner, request.priority) == age:
            self._show(request.owner, request.priority)

    def leave(self, holder: Holder) -> SlotRequest | None:
        """Leave the line; answers what was asked, or None if the holder did not stand in it."""
        if holder not in self._requests:
            return None
        request = self._requests[holder]
        was_eldest = self._eldest_of(request.owner, request.priority) == _age(request)
        del self._requests[holder]
        if was_eldest:
            self._show(request.owner, request.priority)
        return request

    def hold(self, owner: OwnerId) -> None:
        """Count one more slot of an owner."""
        self._held[owner] += 1

    def yield_slot(self, owner: OwnerId) -> None:
        """Count one slot of an owner less."""
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
            for priority in LEVELS:
                self._show(owner, priority)

    def held_by(self, owner: OwnerId) -> int:
        """Count an owner's slots."""
        return self._held[owner]

    def next(self, now: datetime, *, owner_limit: int | None = None) -> SlotRequest | None:
        """Say whose turn it is, leaving out owners who hold `owner_limit`; None: nobody's."""
        eldest = (self._at(age) for age in self._eldest(owner_limit) if age)
        return min(eldest, key=lambda request: self._turn(request, now), default=None)

    def copy(self) -> "WaitingLine":
        """Make a line to try things out with."""
        twin = WaitingLine(aging=self.aging)
        twin._requests = dict(self._requests)
        twin._held = Counter(self._held)
        twin._waiting = {key: list(ages) for key, ages in self._waiting.items()}
        twin._idle = {level: list(ages) for level, ages in self._idle.items()}
        return twin

    def _turn(self, request: SlotRequest, now: datetime) -> _Turn:
        level = _level(request.priority, now - request.submitted_at, self.aging)
        return level, self._held[request.owner], _age(request)

    def _eldest(self, owner_limit: int | None) -> Iterator[_Age | None]:
        """Find all who may be next: the eldest of each priority of each owner, or of the idle."""
        for priority in LEVELS:
            yield self._eldest_idle(priority)
            for owner, held in self._held.items():
                if owner_limit is None or held < owner_limit:
                    yield self._eldest_of(owner, priority)

    def _eldest_idle(self, priority: Priority) -> _Age | None:
        idle = self._idle[priority]
        while idle:
            age, owner = idle[0]
            if not self._held[owner] and age == self._eldest_of(owner, priority):
                return age
            heapq.heappop(idle)
        return None

    def _eldest_of(self, owner: OwnerId, priority: Priority) -> _Age | None:
        ages = self._waiting.get((owner, priority), [])
        while ages and not self._is_waiting(ages[0], priority):
            heapq.heappop(ages)
        if not ages:
            self._waiting.pop((owner, priority), None)
            return None
        return ages[0]

    def _is_waiting(self, age: _Age, priority: Priority) -> bool:
        request = self._requests.get(_holder(age))
        return request is not None and (_age(request), request.priority) == (age, priority)

    def _show(self, owner: OwnerId, priority: Priority) -> None:
        """Have an owner's eldest found among the idle, if the owner is one of them."""
        if not self._held[owner] and (eldest := self._eldest_of(owner, priority)):
            heapq.heappush(self._idle[priority], (eldest, owner))

    def _at(self, age: _Age) -> SlotRequest:
        return self._requests[_holder(age)]


def _level(priority: Priority, waited: timedelta, aging: timedelta) -> int:
    raised = max(waited, timedelta(0)) // aging
    return max(LEVELS.index(priority) - raised, 0)


def _age(request: SlotRequest) -> _Age:
    return request.submitted_at, request.holder.workflow_id, request.holder.first_run_id


def _holder(age: _Age) -> Holder:
    _, workflow_id, first_run_id = age
    return Holder(workflow_id=workflow_id, first_run_id=first_run_id)
