"""What operators are answered about drift, and how it is written."""

from pydantic import TypeAdapter

from darkroom.domain.audit import AuditEntry
from darkroom.domain.drift import DriftExample, DriftKind, DriftReport, ReconcileReport
from gateway.request_wire import Json
from gateway.schemas import Wire
from gateway.wire import time_text

_REPORT = TypeAdapter(ReconcileReport)


class Example(Wire):
    """One disagreement; `repaired` says what was done, null when nothing was."""

    target: str
    why: str
    repaired: str | None


class Drift(Wire):
    """What was found of one kind; `failed` counts repairs that did not work."""

    kind: DriftKind
    looked_at: int
    found: int
    repaired: int
    failed: int
    examples: list[Example]


class Reconciliation(Wire):
    """A reconciliation; `unfinished` names the kinds that could not be looked for, and why."""

    by: str
    dry_run: bool
    started_at: str
    ended_at: str
    drifts: list[Drift]
    unfinished: list[Example]


def report_json(report: ReconcileReport) -> Json:
    """Write a report as operators read it."""
    return {
        "by": report.by,
        "dryRun": report.dry_run,
        "startedAt": time_text(report.started_at),
        "endedAt": time_text(report.ended_at),
        "drifts": [_drift_json(one) for one in report.rounds],
        "unfinished": [_example_json(one) for one in report.unfinished],
    }


def report_of(entry: AuditEntry) -> ReconcileReport:
    """Read a report as the audit log keeps it: with fewer examples, where they were many."""
    return _REPORT.validate_json(entry.detail)


def _drift_json(one: DriftReport) -> Json:
    return {
        "kind": one.kind,
        "lookedAt": one.looked_at,
        "found": one.found,
        "repaired": one.repaired,
        "failed": one.failed,
        "examples": [_example_json(example) for example in one.examples],
    }


def _example_json(one: DriftExample) -> Json:
    return {"target": one.target, "why": one.why, "repaired": one.repaired or None}
