"""Write the body of a 200: a picture, or one of the many ways to have none."""

import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emulators.chat.tokens import token_count
from emulators.faults.plan import Fired
from emulators.faults.rules import (
    BrokenEncoding,
    Huge,
    NotAnImage,
    OnlyWords,
    PromptBlocked,
    Surrounded,
    Truncated,
    Unfinished,
)
from emulators.gemini.requests import GeminiOrder
from emulators.prices import GEMINI_TOKENS

PHOTO_TOKENS = 258
THOUGHT_TOKENS = 90
WORDS = "Here is a description of the scene that you asked for, in place of a picture of it."
MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of an order, as the faults it met will have it."""

    is_billed: bool
    is_drawn: bool


def outcome_of(fired: Fired) -> Outcome:
    """Say whether a picture is drawn, and whether the call is billed."""
    if fired.first(PromptBlocked):
        return Outcome(is_billed=False, is_drawn=False)
    if ended := fired.first(Unfinished):
        return Outcome(is_billed=ended.billed, is_drawn=ended.has_picture)
    return Outcome(is_billed=True, is_drawn=not fired.first(OnlyWords))


def write_answer(order: GeminiOrder, picture: bytes, *, format_name: str, fired: Fired) -> Json:
    """Write a whole answer.

    Args:
        order: as read at the door.
        picture: empty where none was drawn.
        format_name: jpg or png.
        fired: the faults that shape it.
    """
    usage = _usage(order)
    ends: Json = {"modelVersion": order.model, "responseId": uuid.uuid4().hex}
    if blocked := fired.first(PromptBlocked):
        return {"promptFeedback": {"blockReason": blocked.reason}, "usageMetadata": usage} | ends
    candidate = _candidate(picture, format_name, fired)
    billed = outcome_of(fired).is_billed
    drawn = GEMINI_TOKENS[order.size]
    if fired.first(OnlyWords):
        usage = _with_output(usage, "TEXT", token_count(WORDS))
    elif billed:
        usage = _with_output(usage, "IMAGE", drawn)
    if fired.first(Surrounded):
        usage["thoughtsTokenCount"] = THOUGHT_TOKENS
        usage["totalTokenCount"] += THOUGHT_TOKENS
    return {"candidates": [candidate], "usageMetadata": usage} | ends


def _candidate(picture: bytes, format_name: str, fired: Fired) -> Json:
    ended = fired.first(Unfinished)
    parts = _parts(picture, format_name, fired)
    candidate: Json = {"finishReason": ended.reason if ended else "STOP", "index": 0}
    if ended:
        candidate["finishMessage"] = "The picture could not be generated."
    return {"content": {"parts": parts, "role": "model"}, **candidate} if parts else candidate


def _parts(picture: bytes, format_name: str, fired: Fired) -> Sequence[Json]:
    if fired.first(OnlyWords):
        return [{"text": WORDS}]
    if not picture:
        return []
    encoded = base64.b64encode(_befallen(picture, fired)).decode()
    if fired.first(BrokenEncoding):
        encoded = encoded[:-5] + "*"
    shown: Json = {"inlineData": {"mimeType": MEDIA_TYPES[format_name], "data": encoded}}
    if not fired.first(Surrounded):
        return [shown]
    draft = base64.b64encode(b"only a draft").decode()
    return [
        {"text": "First I think about the light.", "thought": True},
        {"inlineData": {"mimeType": "image/png", "data": draft}, "thought": True},
        {"text": "Here is your picture."},
        {**shown, "thoughtSignature": base64.b64encode(b"signed").decode()},
        {"text": "Shall I change anything?"},
    ]


def _befallen(picture: bytes, fired: Fired) -> bytes:
    if fired.first(NotAnImage):
        return b"this is not a picture"
    if fired.first(Truncated):
        return picture[: len(picture) // 2]
    if huge := fired.first(Huge):
        return picture.ljust(huge.size_bytes, b"\0")
    return picture


def _usage(order: GeminiOrder) -> Json:
    words, seen = token_count(order.prompt), PHOTO_TOKENS * len(order.photos)
    details = [{"modality": "TEXT", "tokenCount": words}]
    if seen:
        details.append({"modality": "IMAGE", "tokenCount": seen})
    total = words + seen
    return {
        "promptTokenCount": total,
        "totalTokenCount": total,
        "promptTokensDetails": details,
    }


def _with_output(usage: Json, modality: str, tokens: int) -> Json:
    return {
        **usage,
        "candidatesTokenCount": tokens,
        "totalTokenCount": usage["totalTokenCount"] + tokens,
        "candidatesTokensDetails": [{"modality": modality, "tokenCount": tokens}],
    }
