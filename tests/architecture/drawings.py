"""Tables that the pages show, made from the code they describe."""

import ast
import inspect
import io
import json
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from darkroom.domain import errors, ledger, lifecycle, names
from darkroom.domain.events import EventKind
from darkroom.domain.items import StoredPicture
from darkroom.domain.job import JobId, OwnerId
from darkroom.domain.ledger import CallKey, LedgerRow, LedgerState
from darkroom.domain.lifecycle import JobState
from darkroom.settings import EmbeddedSettings, Settings
from gateway import errors as problems
from gateway.live.messages import type_of
from tests.architecture.source import ROOT

Moved = TypeVar("Moved", bound=StrEnum)


def job_states() -> str:
    """Draw which state of a job may follow which."""
    rows = [
        (f"`{state}`", *("yes" if to in lifecycle.TRANSITIONS[state] else "" for to in JobState))
        for state in JobState
    ]
    return _table(("from \\ to", *(f"`{state}`" for state in JobState)), rows)


def job_diagram() -> str:
    """Draw the same table as a picture."""
    return _diagram(JobState.PENDING, lifecycle.TRANSITIONS)


def ledger_states() -> str:
    """Draw the states of a purchase: meaning, what may follow, what an attempt does there."""
    meanings = _remarks(LedgerState)
    rows = [
        (
            f"`{state}`",
            meanings[state.name].beside,
            _listed(ledger.MOVES[state]),
            f"`{_next_step_name(state)}`",
            _money(state),
        )
        for state in LedgerState
    ]
    head = ("state", "means", "may become", "an attempt that finds it", "money")
    return _table(head, rows)


def ledger_diagram() -> str:
    """Draw the same moves as a picture."""
    return _diagram(LedgerState.INTENT, ledger.MOVES)


def settings_table() -> str:
    """Draw every environment variable of worker and gateway."""
    return _settings(Settings)


def embedded_settings_table() -> str:
    """Draw every environment variable of the embedded stack."""
    return _settings(EmbeddedSettings)


def search_attributes() -> str:
    """Draw the attributes that jobs carry in Temporal."""
    rows = [(f"`{name}`", f"`{kind}`") for name, kind in names.SEARCH_ATTRIBUTES.items()]
    return _table(("attribute", "type"), rows)


def error_map() -> str:
    """Draw every leaf of the error tree: what it means, what follows, what it cost."""
    rows = [
        (f"`{leaf.code}`", f"`{leaf.__name__}`", _idea(leaf), *_classified(leaf))
        for leaf in error_leaves()
    ]
    return _table(("code", "class", "means", "what follows", "money"), rows)


def problem_map() -> str:
    """Draw every problem the HTTP door answers with."""
    kinds = [kind for kind in vars(problems).values() if isinstance(kind, problems.ProblemKind)]
    ordered = sorted(kinds, key=lambda kind: (kind.status, kind.code))
    rows = [(f"`{kind.code}`", str(kind.status), kind.title) for kind in ordered]
    return _table(("code", "status", "title"), rows)


def message_types() -> str:
    """Draw which message carries which event of the log."""
    rows = [(f"`{kind}`", f"`{type_of(kind)}`", f"`{type_of(kind).lower()}`") for kind in EventKind]
    return _table(("event of the log", "`type` of the message", "Socket.IO event"), rows)


def error_leaves() -> list[type[errors.DarkroomError]]:
    """List the errors that nothing is derived from, in the order of their definition."""
    known = [one for one in vars(errors).values() if inspect.isclass(one)]
    tree = [one for one in known if issubclass(one, errors.DarkroomError)]
    return [one for one in tree if not any(one in other.__bases__ for other in tree)]


def _classified(leaf: type[errors.DarkroomError]) -> tuple[str, str]:
    if issubclass(leaf, errors.ProviderError):
        return leaf.disposition.value, leaf.billing.value
    return "depends on who hears it", "none"


def _idea(kind: type) -> str:
    return (inspect.getdoc(kind) or "").splitlines()[0]


def _listed(states: Iterable[LedgerState]) -> str:
    return ", ".join(f"`{state}`" for state in LedgerState if state in states) or "nothing"


def _money(state: LedgerState) -> str:
    if state in ledger.PAID:
        return "spent"
    return "unknown" if state in ledger.ADOPTABLE else "none"


def _next_step_name(state: LedgerState) -> str:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    row = LedgerRow(
        key=CallKey(job=JobId("job"), item="0001", take=1),
        owner=OwnerId("owner"),
        provider="provider",
        model="model",
        price_micros=1,
        state=state,
        fence=1,
        called_at=now,
        task_id="task",
        result_url="url",
        picture=StoredPicture(
            sha256="", thumbnail_sha256="", media_type="", width=1, height=1, size_bytes=1
        ),
    )
    return type(ledger.next_step(row, grace=timedelta(seconds=1))).__name__


def _settings(kind: type[BaseSettings]) -> str:
    remarks = _remarks(kind)
    rows: list[tuple[str, str, str]] = []
    for name, field in kind.model_fields.items():
        remark = remarks[name]
        if remark.above:
            rows.append((f"**{remark.above}**", "", ""))
        rows.append((f"`{name.upper()}`", _default(field), remark.beside))
    return _table(("variable", "default", "note"), rows)


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    match value:
        case None:
            return "unset"
        case bool():
            return f"`{str(value).lower()}`"
        case timedelta():
            return f"`{_milliseconds(value)}` ms"
        case SecretStr():
            return "secret"
        case dict() | list() | tuple():
            return f"`{json.dumps(value, default=_milliseconds)}`"
        case Path():
            return f"`{value.as_posix()}`"
        case _:
            return f"`{str(value).replace(str(Path.cwd()), '$PWD')}`"


def _milliseconds(value: timedelta) -> int:
    return value // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What the source says of a field: beside it, and in a line of its own just above."""

    beside: str
    above: str


def _remarks(kind: type) -> dict[str, Remark]:
    """Read what the source says of each field of a class, by the field's name."""
    lines = inspect.getsource(kind)
    comments = {token.start[0]: token for token in _comments(lines)}
    found: dict[str, Remark] = {}
    for node in ast.walk(ast.parse(lines)):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                inside = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                beside = [_words(comments[at]) for at in inside if at in comments]
                above = comments.get(node.lineno - 1)
                stands_alone = above is not None and above.line.strip().startswith("#")
                heading = _words(above) if above and stands_alone else ""
                found[name] = Remark(beside=" ".join(beside), above=heading)
            case _:
                pass
    return found


def _comments(lines: str) -> list[tokenize.TokenInfo]:
    tokens = tokenize.generate_tokens(io.StringIO(lines).readline)
    return [token for token in tokens if token.type == tokenize.COMMENT]


def _words(comment: tokenize.TokenInfo) -> str:
    return comment.string.lstrip("# ")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


# Which drawing stands on which page, under which name.
def _diagram(first: Moved, moves: Mapping[Moved, frozenset[Moved]]) -> str:
    """Draw which state leads where; one that leads nowhere is an end."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for state, following in moves.items():
        lines += [f"    {state} --> {to}" for to in moves if to in following]
        lines += [] if following else [f"    {state} --> [*]"]
    return "\n".join([*lines, "```", ""])


DRAWINGS = {
    (ROOT / "docs/lifecycle.md", "job-states"): job_states,
    (ROOT / "docs/lifecycle.md", "job-diagram"): job_diagram,
    (ROOT / "docs/architecture.md", "ledger-states"): ledger_states,
    (ROOT / "docs/architecture.md", "ledger-diagram"): ledger_diagram,
    (ROOT / "docs/live-protocol.md", "message-types"): message_types,
    (ROOT / "docs/operations.md", "settings"): settings_table,
    (ROOT / "docs/operations.md", "embedded-settings"): embedded_settings_table,
    (ROOT / "docs/operations.md", "search-attributes"): search_attributes,
    (ROOT / "docs/troubleshooting.md", "errors"): error_map,
    (ROOT / "docs/troubleshooting.md", "problems"): problem_map,
}
