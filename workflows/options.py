"""The options of every activity, in one place; no timeout is written twice.

The workflow retries what an activity can classify. These policies cover crashes, missed
heartbeats and lost workers only, so their maximum is the poison bound: an activity that
kills its worker this often is given up.
"""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

from activities.heartbeats import HEARTBEAT_EVERY


class StageOptions(TypedDict):
    """Options of an activity that works for a while and can be cancelled."""

    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


class QuickOptions(TypedDict):
    """Options of a local activity."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class PatientOptions(TypedDict):
    """Options of a short activity that is tried for as long as it takes."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


# Recovery after kill -9 is one of these two: durability.md rule 3, measured there.
HEARTBEAT_TIMEOUT = 5 * HEARTBEAT_EVERY
WORKFLOW_TASK_TIMEOUT = timedelta(seconds=3)
STICKY_QUEUE_TIMEOUT = timedelta(seconds=1)

# A job's clock counts in ticks, and a tick credits at most itself.
CLOCK_TICK = timedelta(seconds=30)

# Long enough for the slowest provider; a job's own clock ends it sooner.
_LONGEST = timedelta(hours=24)
_CRASH_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    maximum_interval=timedelta(seconds=5),
    maximum_attempts=8,  # a frozen worker's polls may swallow two, a kill takes one
)
_POISON_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=3)
_ENDLESS_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)
)

ANALYZE = StageOptions(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_POISON_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
ENHANCE = StageOptions(
    start_to_close_timeout=_LONGEST,
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_CRASH_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
GENERATE = StageOptions(
    start_to_close_timeout=_LONGEST,
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_CRASH_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# Writing to the store: one short local attempt (milliseconds, one history event); when that
# fails, a regular activity, because a failing local one holds the workflow task.
QUICK_STORE = QuickOptions(
    start_to_close_timeout=timedelta(seconds=1),
    schedule_to_close_timeout=timedelta(seconds=2),
    retry_policy=RetryPolicy(maximum_attempts=1),
)
PATIENT_STORE = PatientOptions(
    start_to_close_timeout=timedelta(seconds=30),
    retry_policy=_ENDLESS_RETRY,
)

# A scheduled chore: its schedule skips while it is tried, so it is tried as often as that.
CHORE = PatientOptions(
    start_to_close_timeout=timedelta(minutes=1),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)
    ),
)

# One round of reconcile: as long as there is much to look at. A round that keeps failing is
# given up and said so in the report; the next reconciliation goes it again.
ROUND = StageOptions(
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(seconds=10),
        maximum_attempts=6,
    ),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# A pool without a memory asks every job there is, and gives no slot away before it has heard.
CENSUS = StageOptions(
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_ENDLESS_RETRY,
    cancellation_type=ActivityCancellationType.TRY_CANCEL,
)
