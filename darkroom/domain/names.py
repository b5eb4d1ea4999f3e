"""Every name that more than one room must agree on, made in one place."""

from dataclasses import dataclass
from typing import Literal

from darkroom.domain.job import JobId
from darkroom.domain.ledger import CallKey, parse_call

TASK_QUEUE = "darkroom"

# Custom search attributes, all of type Keyword except the labels (KeywordList).
STATUS_ATTRIBUTE = "DarkroomStatus"
STAGE_ATTRIBUTE = "DarkroomStage"
KIND_ATTRIBUTE = "DarkroomKind"
OWNER_ATTRIBUTE = "DarkroomOwner"
PRIORITY_ATTRIBUTE = "DarkroomPriority"
LABELS_ATTRIBUTE = "DarkroomLabels"
SEARCH_ATTRIBUTES: dict[str, Literal["Keyword", "KeywordList"]] = {
    STATUS_ATTRIBUTE: "Keyword",
    STAGE_ATTRIBUTE: "Keyword",
    KIND_ATTRIBUTE: "Keyword",
    OWNER_ATTRIBUTE: "Keyword",
    PRIORITY_ATTRIBUTE: "Keyword",
    LABELS_ATTRIBUTE: "KeywordList",
}

REQUEST_DIGEST_MEMO = "requestDigest"

# Workflows beside the jobs: one pool, one gate for each model of a provider.
SLOT_POOL, SLOT_POOL_ID = "slot_pool", "slot-pool"
GATE_PREFIX = "gate"

# Chores that Temporal starts on a schedule; a schedule's id is its workflow's type with hyphens.
ESCALATE_DEAD_LETTERS = "escalate_dead_letters"

# What an operator may type to a job, as an update and (the first three) as a signal.
PAUSE, RESUME, CANCEL = "pause", "resume", "cancel"
SET_PRIORITY = "set_priority"
DECIDE = "decide"  # about a purchase of unknown outcome
PLACE, QUEUE = "place", "queue"  # the pool's queries
CHANGE_QUEUE = "change_queue"  # the pool's update
SLOT = "slot"  # a job's query, for the pool
DESCRIBE = "describe"  # a job's query

# What workflows and activities tell a job.
PROMPTS_ENHANCED_SIGNAL = "prompts_enhanced"
SLOT_GRANTED_SIGNAL = "slot_granted"
GATE_OPENED_SIGNAL = "gate_opened"  # try again, the provider may answer now
CALLED_BACK_SIGNAL = "called_back"  # a purchase of unknown outcome was made after all

# What jobs tell the pool and the gates.
REQUEST_SLOT_SIGNAL, RELEASE_SLOT_SIGNAL = "request_slot", "release_slot"
REFRESH_SIGNAL = "refresh"  # to the pool: a worker has begun, perhaps with other settings
PARK_SIGNAL, LEAVE_SIGNAL, LOOK_SIGNAL = "park", "leave", "look"
PROVIDER_GATE = "provider_gate"  # type of a gate's workflow; `open` and `close` are its updates
OPEN, CLOSE = "open", "close"
CALL_HEADER = "X-Darkroom-Call"


def gate_id(provider: str, model: str) -> str:
    """Name the workflow that guards one model of a provider."""
    return f"{GATE_PREFIX}-{provider}-{model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """One ring of the doorbell; without a topic, anything may have changed."""

    job_id: JobId | None = None
    call: CallKey | None = None


def ring_text(ring: Ring) -> str:
    """Write a ring as a notification payload (PostgreSQL allows 8,000 bytes)."""
    return f"job:{ring.job_id}" if ring.job_id else f"call:{ring.call}" if ring.call else ""


def parse_ring(text: str) -> Ring:
    """Read what `ring_text` wrote; anything else is a ring without a topic."""
    topic, _, rest = text.partition(":")
    match topic:
        case "job":
            return Ring(job_id=JobId(rest))
        case "call":
            return Ring(call=parse_call(rest))
        case _:
            return Ring()
