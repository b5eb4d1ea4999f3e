"""What a fault rule may say: which calls it is for, and the one thing that befalls them.

On the wire a rule is flat: {"endpoint": "chat", "when": {"nth": 2}, "action": "status",
"status": 429, "retry_after": 3}. Each action is a class; its fields are the action's parameters.
"""

from typing import Annotated, Literal

from pydantic import Field

from emulators.faults.gemini_rules import (
    BrokenEncoding,
    KeyInvalid,
    OnlyWords,
    Precondition,
    PromptBlocked,
    QuotaExceeded,
    Surrounded,
    Unfinished,
)
from emulators.faults.rule import BUYING, JSON_ANSWERS, Endpoint, Rule, Seconds

ENVELOPED = frozenset[Endpoint]({"chat", "generate", "record_info", "credit"})
PICTURES = frozenset[Endpoint]({"result", "gemini"})


class Latency(Rule):
    """The call waits before it is looked at; a result is sent late."""

    action: Literal["latency"]
    seconds: Seconds


class LatencyAfterAcceptance(Rule):
    """The call is accepted and billed, and its answer waits."""

    allowed = BUYING
    action: Literal["latency_after_acceptance"]
    seconds: Seconds


class Hang(Rule):
    """Nothing is ever answered and nothing accepted."""

    action: Literal["hang"]


class Status(Rule):
    """An HTTP error with a body in the provider's shape; nothing is accepted."""

    action: Literal["status"]
    status: int = Field(ge=400, le=599)
    message: str = "injected fault"
    retry_after: int | str | None = None


class InBodyError(Rule):
    """HTTP 200 whose body carries the error; nothing is accepted."""

    allowed = ENVELOPED
    action: Literal["in_body_error"]
    code: int
    msg: str = "injected fault"


class ResetBeforeAcceptance(Rule):
    """The connection is reset; nothing is accepted."""

    action: Literal["reset_before_acceptance"]


class ResetAfterAcceptance(Rule):
    """The connection is reset when the call is accepted and billed: the lost answer."""

    allowed = BUYING
    action: Literal["reset_after_acceptance"]


class TruncatedJson(Rule):
    """The answer is the first half of its JSON, sent as if whole; a paid call stays paid."""

    allowed = JSON_ANSWERS
    action: Literal["truncated_json"]


class WrongContentType(Rule):
    """The answer is an HTML page with status 200; a paid call stays paid."""

    action: Literal["wrong_content_type"]


class KeepAliveBlanks(Rule):
    """Headers at once, then blank lines for a while, then the answer."""

    allowed = frozenset[Endpoint]({"chat"})
    action: Literal["keep_alive_blanks"]
    seconds: Seconds


class BlankContent(Rule):
    """The content is blanks and the finish reason still "stop"."""

    allowed = frozenset[Endpoint]({"chat"})
    action: Literal["blank_content"]


class FinishReason(Rule):
    """The answer ends for another reason; "length" cuts it, "content_filter" empties it."""

    allowed = frozenset[Endpoint]({"chat"})
    action: Literal["finish_reason"]
    reason: Literal["length", "insufficient_system_resource", "content_filter"]


class Stuck(Rule):
    """The task stays at successFlag 0 for ever and calls nobody back."""

    allowed = frozenset[Endpoint]({"generate"})
    action: Literal["stuck"]


class CreateFailed(Rule):
    """The task ends with successFlag 2."""

    allowed = frozenset[Endpoint]({"generate"})
    action: Literal["create_failed"]
    code: int = 500
    message: str = "the task could not be created"


class GenerateFailed(Rule):
    """The task ends with successFlag 3; code 400 is the content policy."""

    allowed = frozenset[Endpoint]({"generate"})
    action: Literal["generate_failed"]
    code: Literal[400, 500, 501] = 501
    message: str = "the picture could not be generated"


class Late(Rule):
    """The callback comes so much after the task's end."""

    allowed = frozenset[Endpoint]({"callback"})
    action: Literal["late"]
    seconds: Seconds


class Twice(Rule):
    """The callback comes twice."""

    allowed = frozenset[Endpoint]({"callback"})
    action: Literal["twice"]


class Forged(Rule):
    """Before the true callback, one with an invented task and a foreign picture."""

    allowed = frozenset[Endpoint]({"callback"})
    action: Literal["forged"]


class Never(Rule):
    """The callback does not come."""

    allowed = frozenset[Endpoint]({"callback"})
    action: Literal["never"]


class BeforeReply(Rule):
    """The task ends and calls back before the submit is answered."""

    allowed = frozenset[Endpoint]({"callback"})
    action: Literal["before_reply"]


class Expired(Rule):
    """The result's address has expired."""

    allowed = frozenset[Endpoint]({"result"})
    action: Literal["expired"]
    status: Literal[404, 410] = 404


class Truncated(Rule):
    """Half of the picture: the connection breaks, or with `clean` (and inline) it looks whole."""

    allowed = PICTURES
    action: Literal["truncated"]
    clean: bool = False


class NotAnImage(Rule):
    """Text that calls itself a picture."""

    allowed = PICTURES
    action: Literal["not_an_image"]


class Huge(Rule):
    """Far more bytes than a picture has, without announcing how many."""

    allowed = PICTURES
    action: Literal["huge"]
    size_bytes: int = Field(default=64 * 1024 * 1024, ge=1, le=1024**3)


class Slow(Rule):
    """The picture trickles in."""

    allowed = PICTURES
    action: Literal["slow"]
    seconds: Seconds


AnyRule = Annotated[
    Latency
    | LatencyAfterAcceptance
    | Hang
    | Status
    | InBodyError
    | ResetBeforeAcceptance
    | ResetAfterAcceptance
    | TruncatedJson
    | WrongContentType
    | KeepAliveBlanks
    | BlankContent
    | FinishReason
    | Stuck
    | CreateFailed
    | GenerateFailed
    | Late
    | Twice
    | Forged
    | Never
    | BeforeReply
    | Expired
    | Truncated
    | NotAnImage
    | Huge
    | Slow
    | QuotaExceeded
    | KeyInvalid
    | Precondition
    | PromptBlocked
    | Unfinished
    | OnlyWords
    | Surrounded
    | BrokenEncoding,
    Field(discriminator="action"),
]
