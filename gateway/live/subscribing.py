"""The acknowledgement: a snapshot, what was missed, and the number after which deltas begin.

The order is the promise (durability.md rule 8): the workflow is asked first and the log is
read second, so that an event flushed in between is found in the log.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError
from temporalio.service import RPCError

from darkroom.domain.checkpoint import LiveJob
from darkroom.domain.errors import StoreUnavailable
from darkroom.domain.events import JobEvent
from darkroom.domain.job import JobId
from darkroom.domain.ports import Outbox
from gateway.auth import Caller
from gateway.errors import VALIDATION_FAILED, Problem, invalid, unavailable
from gateway.faults import Fault, faults_of
from gateway.live.messages import message_json
from gateway.live.relay import Relay
from gateway.live.subscriptions import Subscription, Subscriptions
from gateway.reading import JobReader
from gateway.schemas import HIGHEST_SEQ, Wire
from gateway.wire import Json, job_json

MOST_EVENTS = 1000  # in one acknowledgement: spec.md 9
MOST_SUBSCRIPTIONS = 100  # of one socket


class SubscribeWish(Wire):
    """`subscribe`."""

    job_id: Annotated[str, StringConstraints(min_length=1, max_length=80)]
    after_seq: Annotated[int, Field(strict=True, ge=0, le=HIGHEST_SEQ)] = 0


class UnsubscribeWish(Wire):
    """`unsubscribe`."""

    job_id: Annotated[str, StringConstraints(min_length=1, max_length=80)]


class Desk:
    """Where sockets say what they want to hear."""

    def __init__(
        self, *, subscriptions: Subscriptions, reader: JobReader, outbox: Outbox, relay: Relay
    ) -> None:
        self._subscriptions = subscriptions
        self._reader = reader
        self._outbox = outbox
        self._relay = relay

    async def subscribe(
        self, sid: str, caller: Caller, asked: Any, *, is_answered: bool = True
    ) -> Json:
        """Begin to listen.

        Args:
            sid: the socket.
            caller: whose jobs it may hear.
            asked: what the client sent.
            is_answered: whether missed events fit into the acknowledgement; else they follow
                as ordinary messages, for a client that asked for no acknowledgement.
        """
        try:
            wish = SubscribeWish.model_validate(asked)
            return await self._subscribed(sid, caller, wish, is_answered=is_answered)
        except ValidationError as wrong:
            return refusal(invalid(_faults(wrong)))
        except Problem as problem:
            return refusal(problem)
        except StoreUnavailable:
            return refusal(unavailable("the database"))
        except RPCError:
            return refusal(unavailable("Temporal"))

    def unsubscribe(self, sid: str, asked: Any) -> Json:
        """Stop listening; doing so twice is no error."""
        try:
            wish = UnsubscribeWish.model_validate(asked)
        except ValidationError as wrong:
            return refusal(invalid(_faults(wrong)))
        self._subscriptions.remove(sid, JobId(wish.job_id))
        return {"ok": True}

    async def _subscribed(
        self, sid: str, caller: Caller, wish: SubscribeWish, *, is_answered: bool
    ) -> Json:
        job_id = JobId(wish.job_id)
        self._check_room(sid, job_id)
        subscription = self._subscriptions.add(sid, job_id)
        try:
            live = await self._reader.live(wish.job_id, caller.owner)
            events, is_truncated = (), False
            if is_answered:
                events, is_truncated = await self._missed(live, wish.after_seq)
            closing = await self._reader.closing(live.record)
        except BaseException:
            self._forget(subscription)
            raise
        subscription.cursor = events[-1].seq if events else wish.after_seq
        # The acknowledgement is queued when this returns; deltas must stand behind it.
        asyncio.get_running_loop().call_soon(self._relay.open, subscription)
        snapshot = job_json(live.record, closing=closing) | {"stale": live.record.is_stale}
        messages = [message_json(job_id, event) for event in events]
        answer: Json = {"ok": True, "snapshot": snapshot, "events": messages}
        return answer | ({"truncated": True} if is_truncated else {})

    def _check_room(self, sid: str, job_id: JobId) -> None:
        is_more = not self._subscriptions.listens(sid, job_id)
        if is_more and self._subscriptions.count_of(sid) >= MOST_SUBSCRIPTIONS:
            message = f"one socket may listen to {MOST_SUBSCRIPTIONS} jobs"
            remedy = "unsubscribe from finished jobs, or open another socket"
            raise invalid([Fault(field="jobId", message=message, remedy=remedy)])

    def _forget(self, subscription: Subscription) -> None:
        if self._subscriptions.is_current(subscription):
            self._subscriptions.remove(subscription.sid, subscription.job_id)

    async def _missed(self, live: LiveJob, after: int) -> tuple[Sequence[JobEvent], bool]:
        """Read what a client has missed: the log, then what is not stored yet."""
        job_id = live.record.start.job_id
        try:
            stored = await self._outbox.events_after(job_id, after, limit=MOST_EVENTS + 1)
        except StoreUnavailable:
            stored = ()
        missed = [*stored]
        for event in live.unflushed:
            if event.seq == (missed[-1].seq if missed else after) + 1:
                missed.append(event)
        return missed[:MOST_EVENTS], len(missed) > MOST_EVENTS


def refusal(problem: Problem) -> Json:
    """Write a problem as an acknowledgement."""
    error: Json = {"code": problem.kind.code, "message": problem.detail}
    if problem.faults:
        error["field"] = problem.faults[0].field
    if problem.remedy:
        error["remedy"] = problem.remedy
    return {"ok": False, "error": error}


def malformed(message: str, remedy: str) -> Json:
    """Answer a client event that is not one we know."""
    error = {"code": VALIDATION_FAILED.code, "message": message, "remedy": remedy}
    return {"ok": False, "error": error}


def _faults(wrong: ValidationError) -> list[Fault]:
    errors = wrong.errors(include_url=False, include_input=False)
    return faults_of({**error, "loc": ("body", *error["loc"])} for error in errors)
