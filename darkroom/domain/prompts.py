"""The words a picture is asked for with, and the key under which they are kept."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from darkroom.domain.events import canonical_json
from darkroom.domain.items import Item
from darkroom.domain.job import JobId, PromptMode, PromptSpec

TEMPLATE_VERSION = 1  # of the instructions sent with every template; part of the cache key

# A prompt that nobody enhanced is kept under a key of its own, so that it is never taken for an
# answer of the language model later.
PLAIN = "plain"


class EnhanceFallback(StrEnum):
    """What enhancement does while its provider is away. Source: spec.md 3."""

    TEMPLATE = "template"  # ask for the picture in the caller's own words, marked degraded
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptAsk:
    """One prompt to enhance: the template filled in for one item."""

    key: str  # cache key
    call: str  # travels as X-Darkroom-Call
    text: str
    mode: PromptMode
    user_hash: str  # names the owner to the provider without naming a person
    variation: int = 0  # 1 or more after an unusable answer


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhancedPrompt:
    """An answer, kept the moment it comes."""

    text: str
    model: str
    cost_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPrompt:
    """A row of the prompt cache."""

    key: str
    job_id: JobId
    prompt: EnhancedPrompt


def fill_template(spec: PromptSpec, item: Item) -> str:
    """Put an item's options into the template; a variant without a field is appended.

    The door has checked that every field of the template is a dimension or `variant`.
    """
    fields = dict(item.combination) | {"variant": item.variant}
    filled = spec.template.format_map(fields)
    if item.variant and "{variant}" not in spec.template:
        return f"{filled}, {item.variant}"
    return filled


def prompt_key(*, model: str, spec: PromptSpec, text: str) -> str:
    """Hash what decides an answer: (model, template version, mode, filled template)."""
    parts = (model, TEMPLATE_VERSION, spec.mode, text)
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def plain_key(spec: PromptSpec, text: str) -> str:
    """Name a filled template that is taken as it is."""
    return f"{PLAIN}:{prompt_key(model=PLAIN, spec=spec, text=text)}"


def plain_prompt(text: str) -> EnhancedPrompt:
    """Take a filled template as it is; it costs nothing."""
    return EnhancedPrompt(text=text, model=PLAIN, cost_micros=0)


def is_plain(key: str) -> bool:
    """Say whether a prompt's key names one that nobody enhanced."""
    return key.startswith(f"{PLAIN}:")
