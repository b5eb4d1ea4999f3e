"""What became of a call to generateContent: a picture, or which leaf of the error tree.

An answer with status 200 is billed by what it put out. Assumed, because nowhere promised: a
prompt that was blocked, or an answer whose own usage counts no output, costs no picture; and
any other answer without a picture is booked at the price of one, the most it can have cost.
Errors with a status of their own are free, says the provider's page on billing.
"""

import binascii
from typing import NamedTuple

from pydantic import ValidationError

from darkroom.domain.errors import (
    AnswerUnusable,
    ContentRefused,
    CreditsExhausted,
    GenerationFailed,
    KeyRefused,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
)
from darkroom.providers.gemini_wire import (
    STOPPED,
    Candidate,
    ErrorInside,
    GeminiRefusal,
    GeminiReply,
)
from darkroom.providers.http_client import (
    REMEDIES,
    SERVER_ERRORS,
    Answer,
    quoted,
    read_as,
    unreadable,
    unsigned,
)
from darkroom.providers.retry_after import LONGEST_WAIT, read_retry_after

# The same input will be refused again. Source: providers.md 3.1.
REFUSED_PROMPTS = frozenset(
    {
        *("SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT"),
        *("IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK"),
    }
)
REFUSED_ANSWERS = frozenset(
    {
        *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
    }
)
PRECONDITION = "FAILED_PRECONDITION"
WRONG_PLACE = "location"  # in the words of a precondition: the house stands in the wrong country
MAY_HAVE_DRAWN = frozenset({499, 504})  # cancelled, out of time: perhaps only the answer was
LEAVES: dict[int, type[ProviderError]] = {
    401: KeyRefused,
    403: KeyRefused,
    429: RateLimited,
}


class Reason(NamedTuple):
    """Why there is no picture, in the provider's words."""

    code: str
    told: str

    def __str__(self) -> str:
        return quoted(f"{self.code}: {self.told}" if self.told else self.code)


def picture_in(answer: Answer, *, provider: str, price_micros: int) -> bytes:
    """Take the picture out of an answer with status 200; may take a moment.

    Raises:
        ContentRefused: a policy refuses the prompt, a photo or the picture.
        AnswerUnusable: something else was put out, and is billed.
        GenerationFailed: nothing was put out.
        ReplyLost: the answer does not say what became of the call.
    """
    reply = read_as(GeminiReply, answer)
    if not reply.candidates:
        raise _without_candidates(answer, reply, provider)
    candidate = reply.candidates[0]
    picture = candidate.content.picture
    if picture is None or candidate.reason != STOPPED:
        is_drawn = picture is not None
        has_output = reply.usage is None or reply.usage.has_output
        raise _without_picture(
            candidate, provider=provider, cost_micros=price_micros if is_drawn or has_output else 0
        )
    try:
        return picture.decoded()
    except binascii.Error as broken:
        raise _spent(
            AnswerUnusable(
                f"{provider}: the picture in the answer is not base64 ({broken}); it was paid for, "
                "and is bought again",
                provider=provider,
            ),
            price_micros,
        ) from broken


def refused(answer: Answer, *, secret: str) -> ProviderError:
    """Classify an answer with any other status.

    Args:
        answer: as it came.
        secret: hidden in messages; the provider repeats the key of a suspended project.
    """
    try:
        fault = GeminiRefusal.model_validate_json(answer.content).error
    except ValidationError:
        return unsigned(answer)
    if answer.status in MAY_HAVE_DRAWN:
        return unreadable(answer, reason=f"{fault.status}: {quoted(fault.message)}")
    leaf = _leaf(answer.status, fault)
    told = quoted(fault.message.replace(secret, "..."))
    outgoing = answer.outgoing
    return leaf(
        f"{outgoing.provider}: {outgoing.method} {outgoing.url} was answered {answer.status} "
        f"{fault.status} ({told}); {REMEDIES[leaf]}",
        provider=outgoing.provider,
        retry_after=LONGEST_WAIT
        if fault.is_daily
        else fault.retry_delay or read_retry_after(answer.headers),
    )


def _without_candidates(answer: Answer, reply: GeminiReply, provider: str) -> ProviderError:
    reason = reply.feedback.reason
    if reason is None and reply.usage is None:
        return unreadable(answer, reason="neither a candidate nor a reason why there is none")
    why = Reason(reason or "no candidate", reply.feedback.told)
    if reason in REFUSED_PROMPTS:
        return ContentRefused(
            f"{provider}: the prompt or a photo was blocked ({why}); change it", provider=provider
        )
    return _not_drawn(provider, why)


def _without_picture(candidate: Candidate, *, provider: str, cost_micros: int) -> ProviderError:
    why = Reason(candidate.reason or "no finish reason", candidate.told)
    if candidate.reason in REFUSED_ANSWERS:
        refused_content = ContentRefused(
            f"{provider}: the content policy withholds the picture ({why}); change the prompt or "
            "the photo",
            provider=provider,
        )
        return _spent(refused_content, cost_micros)
    if not cost_micros:
        return _not_drawn(provider, why)
    without = AnswerUnusable(
        f"{provider}: the answer holds no picture we can use ({why}); it was paid for, and is "
        "bought again",
        provider=provider,
    )
    return _spent(without, cost_micros)


def _not_drawn(provider: str, why: Reason) -> GenerationFailed:
    return GenerationFailed(
        f"{provider}: nothing was drawn ({why}); it may be bought again", provider=provider
    )


def _spent(error: ProviderError, cost_micros: int) -> ProviderError:
    error.cost_micros = cost_micros
    return error


def _leaf(status: int, fault: ErrorInside) -> type[ProviderError]:
    if fault.is_bad_key:
        return KeyRefused
    if fault.status == PRECONDITION:
        return KeyRefused if WRONG_PLACE in fault.message.lower() else CreditsExhausted
    return LEAVES.get(status, ProviderUnavailable if status >= SERVER_ERRORS else RequestRefused)
