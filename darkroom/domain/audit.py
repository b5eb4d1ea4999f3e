"""What operators and schedules did to things, apart from the log that each job writes itself."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One deed. `action` is a verb and its object, `target` the id of what was touched."""

    at: datetime
    actor: str
    action: str
    target: str
    reason: str = ""
    detail: str = ""  # canonical JSON of what changed, at most 4 KiB
