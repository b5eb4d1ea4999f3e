"""One key, one job."""

from darkroom.domain.job import OwnerId, Priority
from gateway.idempotency import fresh_file_id, fresh_job_id, job_id_of, request_digest
from gateway.reading import JOB_ID
from tests.support.builders import ADA, BOB, a_request


def test_same_key_of_the_same_owner_names_the_same_job() -> None:
    """A repeated submit finds the first."""
    assert job_id_of(ADA, "spring-1") == job_id_of(ADA, "spring-1")


def test_keys_of_two_owners_never_meet() -> None:
    """One owner's key cannot name another's job, nor be built from parts to do so."""
    named = {
        job_id_of(ADA, "spring-1"),
        job_id_of(BOB, "spring-1"),
        job_id_of(ADA, "spring-2"),
        job_id_of(OwnerId("adas"), "pring-1"),
    }

    assert len(named) == 4


def test_derived_and_fresh_ids_have_one_form() -> None:
    """Nobody can tell, or needs to tell, how an id was made."""
    for job_id in (job_id_of(ADA, "spring-1"), fresh_job_id()):
        assert JOB_ID.fullmatch(job_id)
        assert len(job_id) == len("job_") + 26


def test_fresh_ids_sort_by_time() -> None:
    """Ids made later sort later, also within a millisecond."""
    made = [fresh_job_id() for _ in range(200)]
    files = [fresh_file_id() for _ in range(200)]

    assert made == sorted(set(made))
    assert files == sorted(set(files))


def test_digest_tells_requests_apart() -> None:
    """Another request under the same key is noticed."""
    digests = {
        request_digest(a_request()),
        request_digest(a_request(count=3)),
        request_digest(a_request(priority=Priority.HIGH)),
        request_digest(a_request(labels={"campaign": "autumn"})),
    }

    assert len(digests) == 4
    assert request_digest(a_request()) in digests
