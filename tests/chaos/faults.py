"""Every way in which an emulated provider can go wrong, and what must become of the job it meets.

Source: providers.md 2.5, 2.6, 3.1, 3.2 and 5. The one picture that a fault is for is matched by
its prompt; the job asks for another one beside it, which must always be delivered.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.aftermath import FULL

PARTIAL = frozenset({"partial"})

UNTOLD = frozenset({"endpoint", "times"})
NANOBANANA: dict[str, Any] = {"provider": "nanobanana"}
GEMINI: dict[str, Any] = {"provider": "gemini"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule of the emulators' plan without its `match`, and the job's expected end."""

    rule: dict[str, Any]
    outcome: frozenset[str] = FULL
    image: dict[str, Any] = field(default_factory=lambda: NANOBANANA)
    order: dict[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        told = [str(value) for name, value in self.rule.items() if name not in UNTOLD]
        return f"{self.rule['endpoint']}: {' '.join(told)}"


def _once(endpoint: str, action: str, **terms: Any) -> dict[str, Any]:
    return {"endpoint": endpoint, "action": action, "times": 1, **terms}


def _chat() -> Iterator[Fault]:
    for status in (400, 422):
        yield Fault(rule=_once("chat", "status", status=status), outcome=PARTIAL)
    for status in (429, 500, 503):
        yield Fault(rule=_once("chat", "status", status=status))
    yield Fault(rule=_once("chat", "status", status=429, retry_after=1))
    yield Fault(rule=_once("chat", "in_body_error", code=500))
    yield Fault(rule=_once("chat", "latency", seconds=0.5))
    yield Fault(rule=_once("chat", "latency_after_acceptance", seconds=0.5))
    yield Fault(rule=_once("chat", "hang"))
    yield Fault(rule=_once("chat", "reset_before_acceptance"))
    yield Fault(rule=_once("chat", "reset_after_acceptance"))
    yield Fault(rule=_once("chat", "truncated_json"))
    yield Fault(rule=_once("chat", "wrong_content_type"))
    yield Fault(rule=_once("chat", "keep_alive_blanks", seconds=0.5))
    yield Fault(rule=_once("chat", "keep_alive_blanks", seconds=30))
    yield Fault(rule=_once("chat", "blank_content"))
    yield Fault(rule=_once("chat", "finish_reason", reason="length"))
    yield Fault(rule=_once("chat", "finish_reason", reason="insufficient_system_resource"))
    yield Fault(rule=_once("chat", "finish_reason", reason="content_filter"), outcome=PARTIAL)


def _generate() -> Iterator[Fault]:
    for code in (400, 422):
        yield Fault(rule=_once("generate", "status", status=code), outcome=PARTIAL)
    for code in (429, 500, 503):
        yield Fault(rule=_once("generate", "status", status=code))
    for code in (422, 505):
        yield Fault(rule=_once("generate", "in_body_error", code=code), outcome=PARTIAL)
    for code in (429, 455, 500, 501):
        yield Fault(rule=_once("generate", "in_body_error", code=code))
    yield Fault(rule=_once("generate", "latency", seconds=0.5))
    yield Fault(rule=_once("generate", "latency_after_acceptance", seconds=0.5))
    yield Fault(rule=_once("generate", "hang"), order={"onUnknown": "rebuy_once"})
    yield Fault(
        rule=_once("generate", "reset_before_acceptance"), order={"onUnknown": "rebuy_once"}
    )
    yield Fault(rule=_once("generate", "reset_after_acceptance"))
    yield Fault(rule=_once("generate", "truncated_json"))
    yield Fault(rule=_once("generate", "wrong_content_type"))
    yield Fault(rule=_once("generate", "stuck"), outcome=PARTIAL, order={"maxRetries": 0})
    yield Fault(rule=_once("generate", "create_failed"))
    yield Fault(rule=_once("generate", "generate_failed", code=400), outcome=PARTIAL)
    for code in (500, 501):
        yield Fault(rule=_once("generate", "generate_failed", code=code))


def _collecting() -> Iterator[Fault]:
    asked = {"endpoint": "record_info", "times": 1}
    yield Fault(rule={**asked, "action": "latency", "seconds": 0.5})
    yield Fault(rule={**asked, "action": "hang"})
    yield Fault(rule={**asked, "action": "reset_before_acceptance"})
    yield Fault(rule={**asked, "action": "truncated_json"})
    yield Fault(rule={**asked, "action": "wrong_content_type"})
    for status in (429, 500, 503):
        yield Fault(rule={**asked, "action": "status", "status": status})
    for code in (429, 455, 500):
        yield Fault(rule={**asked, "action": "in_body_error", "code": code})
    result = {"endpoint": "result", "times": 1}
    for action in ("reset_before_acceptance", "wrong_content_type", "not_an_image", "truncated"):
        yield Fault(rule={**result, "action": action})
    yield Fault(rule={**result, "action": "truncated", "clean": True})
    yield Fault(rule={**result, "action": "latency", "seconds": 0.5})
    yield Fault(rule={**result, "action": "slow", "seconds": 0.5})
    yield Fault(rule={**result, "action": "huge"})
    for status in (404, 410):
        yield Fault(rule={**result, "action": "expired", "status": status})
    for status in (429, 500, 503):
        yield Fault(rule={**result, "action": "status", "status": status})
    for action in ("twice", "forged", "never", "before_reply"):
        yield Fault(rule={"endpoint": "callback", "action": action})
    yield Fault(rule={"endpoint": "callback", "action": "late", "seconds": 1.0})


def _gemini() -> Iterator[Fault]:
    for status in (429, 500, 503):
        yield Fault(rule=_once("gemini", "status", status=status), image=GEMINI)
    for status in (400, 404):
        yield Fault(rule=_once("gemini", "status", status=status), image=GEMINI, outcome=PARTIAL)
    yield Fault(rule=_once("gemini", "quota_exceeded", retry_delay="1s"), image=GEMINI)
    for reason in ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST"):
        rule = _once("gemini", "prompt_blocked", reason=reason)
        yield Fault(rule=rule, image=GEMINI, outcome=PARTIAL)
    for reason in ("NO_IMAGE", "IMAGE_OTHER", "OTHER"):
        yield Fault(rule=_once("gemini", "unfinished", reason=reason), image=GEMINI)
    rule = _once("gemini", "unfinished", reason="IMAGE_SAFETY")
    yield Fault(rule=rule, image=GEMINI, outcome=PARTIAL)
    for action in ("only_words", "surrounded", "broken_encoding", "not_an_image", "truncated"):
        yield Fault(rule=_once("gemini", action), image=GEMINI)
    # Nobody can tell whether these were made: its reply is all that Gemini ever says.
    rebuy = {"onUnknown": "rebuy_once"}
    yield Fault(rule=_once("gemini", "status", status=504), image=GEMINI, order=rebuy)
    for action in ("truncated_json", "wrong_content_type", "hang"):
        yield Fault(rule=_once("gemini", action), image=GEMINI, order=rebuy)
    for action in ("reset_before_acceptance", "reset_after_acceptance"):
        yield Fault(rule=_once("gemini", action), image=GEMINI, order=rebuy)


# Refusals of the key or of the account hold everybody's calls back until an operator acts.
OPERATOR_FAULTS = (
    Fault(rule=_once("chat", "status", status=401)),
    Fault(rule=_once("chat", "status", status=402)),
    Fault(rule=_once("generate", "status", status=401)),
    Fault(rule=_once("generate", "in_body_error", code=401)),
    Fault(rule=_once("generate", "in_body_error", code=402)),
    Fault(rule=_once("gemini", "key_invalid"), image=GEMINI),
    Fault(rule=_once("gemini", "failed_precondition"), image=GEMINI),
)
FAULTS = (*_chat(), *_generate(), *_collecting(), *_gemini())
