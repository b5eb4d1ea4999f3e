"""Dead letters and deeds as JSON, as operators read them."""

import json

from darkroom.domain.audit import AuditRecord
from darkroom.domain.dead_letters import LetterCount, LetterRecord
from gateway.request_wire import Json
from gateway.wire import cost_json, failure_json, time_text


def letter_json(record: LetterRecord) -> Json:
    """Write a dead letter."""
    letter = record.letter
    return {
        "jobId": letter.job_id,
        "run": letter.run,
        "status": record.state,
        "owner": letter.owner,
        "type": letter.kind,
        "stage": letter.stage,
        "item": letter.item,
        "error": failure_json(letter.failure),
        "attempts": letter.attempts,
        "cost": cost_json(letter.cost),
        "remedy": letter.remedy,
        "parkedAt": time_text(letter.parked_at),
        "level": record.level,
        "escalatedAt": record.escalated_at and time_text(record.escalated_at),
        "closedAt": record.closed_at and time_text(record.closed_at),
        "closedBy": record.closed_by or None,
        "note": record.note or None,
    }


def count_json(counted: LetterCount) -> Json:
    """Write how many letters failed alike."""
    return {
        "code": counted.code,
        "stage": counted.stage,
        "count": counted.count,
        "oldestAt": time_text(counted.oldest_at),
    }


def deed_json(record: AuditRecord) -> Json:
    """Write a deed."""
    entry = record.entry
    return {
        "number": record.number,
        "at": time_text(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "target": entry.target,
        "reason": entry.reason or None,
        "detail": json.loads(entry.detail) if entry.detail else None,
    }
