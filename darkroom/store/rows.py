"""The tables. Their shapes follow the questions asked of them, not the domain's classes.

A class declares the table of its own name in small letters. Statements speak to the constants
at the end: a row never travels further than the adapter that read it.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from darkroom.domain.checkpoint import JobSnapshot
from darkroom.domain.dead_letters import DeadLetter
from darkroom.domain.errors import Failure
from darkroom.domain.events import JobEvent
from darkroom.domain.items import Item, StoredPicture
from darkroom.domain.job import JobStart
from darkroom.store.columns import JsonOf

OF_A_JOB = "jobs.id"

# Conditions of partial indexes. A query must repeat them word for word to be answered by one.
IN_FLIGHT = "state IN ('calling', 'accepted') AND NOT hinted"
IS_WANTED = "wanted_at IS NOT NULL"


class Jobs(SQLModel, table=True):
    """One job: who writes it, how far its log has come, and the state after that number.

    Each index answers one filter of the list, newest first, however rare what is asked for.
    """

    __table_args__ = (
        Index("ix_jobs_owner", "owner", "submitted_at", "id"),
        Index("ix_jobs_owner_state", "owner", "state", "submitted_at", "id"),
        Index("ix_jobs_owner_kind", "owner", "kind", "submitted_at", "id"),
        Index("ix_jobs_owner_priority", "owner", "priority", "submitted_at", "id"),
        Index("ix_jobs_state", "state", "submitted_at", "id"),  # of all owners, for reconcile
    )

    id: str = Field(primary_key=True)
    owner: str
    kind: str
    state: str
    priority: str
    submitted_at: datetime
    run: int
    seq: int  # number of the last event in the outbox; the snapshot's own copy is ignored
    writer: str
    start: JobStart = Field(sa_type=JsonOf(JobStart))
    snapshot: JobSnapshot = Field(sa_type=JsonOf(JobSnapshot))


class Labels(SQLModel, table=True):
    """One label of a job; owner and moment are repeated so that one index finds a page."""

    __table_args__ = (
        Index("ix_labels_owner_label", "owner", "name", "value", "submitted_at", "job_id"),
    )

    job_id: str = Field(primary_key=True, foreign_key=OF_A_JOB, ondelete="CASCADE")
    name: str = Field(primary_key=True)
    value: str
    owner: str
    submitted_at: datetime


class Items(SQLModel, table=True):
    """One picture of a job; the owner is repeated so that a picture is found by its hash."""

    __table_args__ = (
        Index(
            "ix_items_owner_sha256",
            "owner",
            "sha256",
            sqlite_where=text("sha256 IS NOT NULL"),
            postgresql_where=text("sha256 IS NOT NULL"),
        ),
        Index(
            "ix_items_owner_thumbnail",
            "owner",
            "thumbnail_sha256",
            sqlite_where=text("thumbnail_sha256 IS NOT NULL"),
            postgresql_where=text("thumbnail_sha256 IS NOT NULL"),
        ),
    )

    job_id: str = Field(primary_key=True, foreign_key=OF_A_JOB, ondelete="CASCADE")
    key: str = Field(primary_key=True)
    owner: str
    state: str
    sha256: str | None = None
    thumbnail_sha256: str | None = None
    item: Item = Field(sa_type=JsonOf(Item))


class Outbox(SQLModel, table=True):
    """One event of a job's log; the digest tells a repeated record from a different one."""

    job_id: str = Field(primary_key=True, foreign_key=OF_A_JOB, ondelete="CASCADE")
    seq: int = Field(primary_key=True)
    run: int
    kind: str
    at: datetime
    digest: str
    event: JobEvent = Field(sa_type=JsonOf(JobEvent))


class Ledger(SQLModel, table=True):
    """One purchase. No foreign key: what was paid is remembered longer than the job.

    The indexes find what is in flight at a provider, which calls wait for it, and what is
    unsettled.
    """

    __table_args__ = (
        Index(
            "ix_ledger_in_flight",
            "provider",
            "called_at",
            sqlite_where=text(IN_FLIGHT),
            postgresql_where=text(IN_FLIGHT),
        ),
        Index(
            "ix_ledger_wanted",
            "provider",
            "wanted_at",
            sqlite_where=text(IS_WANTED),
            postgresql_where=text(IS_WANTED),
        ),
        Index("ix_ledger_state_called", "state", "called_at"),
    )

    job_id: str = Field(primary_key=True)
    item: str = Field(primary_key=True)
    take: int = Field(primary_key=True)
    owner: str
    provider: str
    model: str
    price_micros: int = Field(sa_type=BigInteger)
    state: str
    fence: int
    called_at: datetime | None = None
    task_id: str | None = None
    result_url: str | None = None
    picture: StoredPicture | None = Field(default=None, sa_type=JsonOf(StoredPicture))
    failure: Failure | None = Field(default=None, sa_type=JsonOf(Failure))
    hinted: bool = False
    abandoned: bool = False
    admitted_at: datetime | None = None  # when the job of a waiting call got its slot
    wanted_at: datetime | None = None  # when a call last said that it waits in line


class Calls(SQLModel, table=True):
    """One call to a provider whose rate is limited, for an hour; the key is also the index."""

    provider: str = Field(primary_key=True)
    called_at: datetime = Field(primary_key=True)
    call: str = Field(primary_key=True)


class Prompts(SQLModel, table=True):
    """One enhanced prompt; the first answer under a key stays."""

    key: str = Field(primary_key=True)
    job_id: str  # that paid for the text
    text: str
    model: str
    cost_micros: int = Field(sa_type=BigInteger)


class Bookings(SQLModel, table=True):
    """What a job paid for answers to one prompt, whether or not their text was kept."""

    job_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    answers: int  # paid ones; more than one means that the same prompt was bought again
    cost_micros: int = Field(sa_type=BigInteger)


class Files(SQLModel, table=True):
    """One uploaded product photo; its bytes are elsewhere, under their hash."""

    id: str = Field(primary_key=True)
    owner: str
    sha256: str
    media_type: str
    width: int
    height: int
    size_bytes: int = Field(sa_type=BigInteger)
    created_at: datetime


class Combinations(SQLModel, table=True):
    """One combination that a job of this owner has for itself; it outlives the job."""

    __table_args__ = (Index("ix_combinations_job", "job_id"),)

    owner: str = Field(primary_key=True)
    key: str = Field(primary_key=True)  # combination_key
    job_id: str
    reserved_at: datetime


class Queues(SQLModel, table=True):
    """How a pool admits jobs; an operator's change outlives restarts."""

    name: str = Field(primary_key=True)
    concurrency: int
    owner_limit: int | None = None
    is_paused: bool = False
    is_draining: bool = False
    changed_at: datetime
    changed_by: str


class Gates(SQLModel, table=True):
    """Whether a provider's model may be called; read in the transaction before each call."""

    provider: str = Field(primary_key=True)
    model: str = Field(primary_key=True)
    state: str
    failures: int = 0  # in a row
    trips: int = 0  # openings in a row; each one cools down for longer
    opened_at: datetime | None = None
    until: datetime | None = None  # of an open gate; none: until an operator closes it
    canary: str | None = None  # the one call that may try a gate that is half open
    lease_until: datetime | None = None  # after which the canary counts as lost
    by: str = ""  # the operator who moved it last by hand
    failure: Failure | None = Field(default=None, sa_type=JsonOf(Failure))


class DeadLetters(SQLModel, table=True):
    """One failed run that somebody must look at. The indexes answer triage and escalation."""

    __table_args__ = (
        Index("ix_deadletters_state", "state", "parked_at", "job_id"),
        Index("ix_deadletters_state_code", "state", "code", "parked_at", "job_id"),
    )

    job_id: str = Field(primary_key=True)
    run: int = Field(primary_key=True)
    owner: str
    kind: str
    code: str
    stage: str
    provider: str | None = None
    state: str
    parked_at: datetime
    level: int = 0  # escalations so far
    escalated_at: datetime | None = None
    closed_at: datetime | None = None
    closed_by: str = ""
    note: str = ""
    letter: DeadLetter = Field(sa_type=JsonOf(DeadLetter))


class Audit(SQLModel, table=True):
    """One deed of an operator or a schedule; only ever added to."""

    __table_args__ = (Index("ix_audit_target", "target", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    at: datetime
    actor: str
    action: str
    target: str
    reason: str = ""
    detail: str = ""


JOBS = SQLModel.metadata.tables["jobs"]
LABELS = SQLModel.metadata.tables["labels"]
ITEMS = SQLModel.metadata.tables["items"]
OUTBOX = SQLModel.metadata.tables["outbox"]
LEDGER = SQLModel.metadata.tables["ledger"]
CALLS = SQLModel.metadata.tables["calls"]
PROMPTS = SQLModel.metadata.tables["prompts"]
BOOKINGS = SQLModel.metadata.tables["bookings"]
FILES = SQLModel.metadata.tables["files"]
COMBINATIONS = SQLModel.metadata.tables["combinations"]
QUEUES = SQLModel.metadata.tables["queues"]
GATES = SQLModel.metadata.tables["gates"]
DEAD_LETTERS = SQLModel.metadata.tables["deadletters"]
AUDIT = SQLModel.metadata.tables["audit"]
