"""Who on this gateway listens to which job, and up to which number they have heard."""

from dataclasses import dataclass, field

from darkroom.domain.job import JobId


@dataclass(slots=True, eq=False)
class Subscription:
    """One socket's ear for one job.

    `cursor` is the last number sent, and the relay sends only the one after it: that is why
    no number is sent twice and none is left out. `is_open` is false until the acknowledgement
    is on its way; until then the log itself is the buffer.
    """

    sid: str
    job_id: JobId
    cursor: int = 0
    is_open: bool = field(default=False)


class Subscriptions:
    """All ears of this gateway, by job and by socket."""

    def __init__(self) -> None:
        self._by_job: dict[JobId, dict[str, Subscription]] = {}
        self._by_socket: dict[str, set[JobId]] = {}

    def add(self, sid: str, job_id: JobId) -> Subscription:
        """Begin to listen; an earlier ear of the same socket for the same job falls deaf."""
        subscription = Subscription(sid, job_id)
        self._by_job.setdefault(job_id, {})[sid] = subscription
        self._by_socket.setdefault(sid, set()).add(job_id)
        return subscription

    def remove(self, sid: str, job_id: JobId) -> bool:
        """Stop listening; False if the socket did not listen."""
        listeners = self._by_job.get(job_id, {})
        if listeners.pop(sid, None) is None:
            return False
        if not listeners:
            del self._by_job[job_id]
        jobs = self._by_socket[sid]
        jobs.discard(job_id)
        if not jobs:
            del self._by_socket[sid]
        return True

    def remove_socket(self, sid: str) -> None:
        """Forget a socket that is gone."""
        for job_id in tuple(self._by_socket.get(sid, ())):
            self.remove(sid, job_id)

    def is_current(self, subscription: Subscription) -> bool:
        """Say whether this ear still listens: it was not removed, nor replaced."""
        listeners = self._by_job.get(subscription.job_id, {})
        return listeners.get(subscription.sid) is subscription

    def of_job(self, job_id: JobId) -> tuple[Subscription, ...]:
        """List the open ears for a job."""
        listeners = self._by_job.get(job_id, {})
        return tuple(one for one in listeners.values() if one.is_open)

    def jobs(self) -> tuple[JobId, ...]:
        """List the jobs that somebody listens to."""
        return tuple(self._by_job)

    def has_job(self, job_id: JobId) -> bool:
        """Say whether somebody listens to a job."""
        return job_id in self._by_job

    def count_of(self, sid: str) -> int:
        """Count the jobs that a socket listens to."""
        return len(self._by_socket.get(sid, ()))

    def listens(self, sid: str, job_id: JobId) -> bool:
        """Say whether a socket listens to a job."""
        return sid in self._by_job.get(job_id, {})
