"""What every part of a job stands on: why it waits, whether it may spend, when it tries again."""

from dataclasses import dataclass

from workflows.clearance import Clearance
from workflows.parking import Parking
from workflows.retrying import Retrying
from workflows.slot_lease import SlotLease
from workflows.standstill import Standstill


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Made once a run, in image_job.py."""

    standstill: Standstill
    lease: SlotLease
    clearance: Clearance
    parking: Parking
    retrying: Retrying
