"""What operators and schedules did to things, apart from the log that each job writes itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

DETAIL_BYTES = 4096
SHORTENED_CHARS = 200  # of one text in a detail that would be too long as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One deed. `action` is a verb and its object, `target` the id of what was touched."""

    at: datetime
    actor: str
    action: str
    target: str
    reason: str = ""
    detail: str = ""  # canonical JSON of what changed, at most 4 KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """A deed as the log keeps it; a later one has a higher number, with gaps."""

    number: int
    entry: AuditEntry


def detail_text(changes: Mapping[str, object]) -> str:
    """Write what a deed changed as JSON that fits `AuditEntry.detail`.

    Args:
        changes: JSON values by name. What is too long as a whole has its texts cut, and if
            that does not help, only the names are kept.
    """
    whole = _json(changes)
    if _fits(whole):
        return whole
    cut = _json({name: _cut(value) for name, value in changes.items()})
    return cut if _fits(cut) else _json({"changed": [name[:SHORTENED_CHARS] for name in changes]})


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def _fits(text: str) -> bool:
    return len(text.encode()) <= DETAIL_BYTES


def _cut(value: object) -> object:
    text = value if isinstance(value, str) else _json(value)
    return value if len(text) <= SHORTENED_CHARS else f"{text[:SHORTENED_CHARS]}..."
