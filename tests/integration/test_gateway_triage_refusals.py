"""Triage refuses whoever may not, what is not there, and what is not bounded."""

from typing import Any

import pytest

from tests.support.builders import JOB
from tests.support.gateways import OPERATOR_KEY, RunningGateway

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

LETTERS = "/v1/admin/dead-letters"


@pytest.mark.parametrize("key", ["ada-key", None])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", LETTERS),
        ("GET", f"{LETTERS}:count"),
        ("GET", f"{LETTERS}/{JOB}"),
        ("POST", f"{LETTERS}/{JOB}/redrive"),
        ("POST", f"{LETTERS}/{JOB}/discard"),
        ("POST", f"{LETTERS}/{JOB}/reopen"),
        ("POST", f"{LETTERS}:redrive"),
        ("POST", f"{LETTERS}:discard"),
        ("GET", "/v1/admin/audit"),
    ],
)
async def test_triage_is_for_operators(
    shared_gateway: RunningGateway, key: str | None, method: str, path: str
) -> None:
    """An owner's key is told that it is not enough, and whoever has none, to bring one."""
    async with shared_gateway.calling(key) as http:
        answer = await http.request(method, path)

    expected = (403, "scope_missing") if key else (401, "unauthenticated")
    assert (answer.status_code, answer.json()["code"]) == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{LETTERS}/{JOB}"),
        ("GET", f"{LETTERS}/slot-pool"),
        ("POST", f"{LETTERS}/{JOB}/redrive"),
    ],
)
async def test_job_without_a_letter_is_not_found(
    shared_gateway: RunningGateway, method: str, path: str
) -> None:
    """Whether the job never failed or never was: there is nothing to triage."""
    async with shared_gateway.calling(OPERATOR_KEY) as http:
        answer = await http.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert LETTERS in answer.json()["remedy"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"cursor": "bm90IGEgcGxhY2U"}, "cursor"),
        ({"cursor": "%%%"}, "cursor"),
        ({"status": "lost"}, "status"),
        ({"stage": "magic"}, "stage"),
        ({"olderThanSeconds": "-1"}, "olderThanSeconds"),
        ({"olderThanSeconds": "99999999999999"}, "olderThanSeconds"),
        ({"limit": "0"}, "limit"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_question_that_makes_no_sense_is_refused(
    shared_gateway: RunningGateway, params: dict[str, str], field: str
) -> None:
    """The field is named, with a remedy."""
    async with shared_gateway.calling(OPERATOR_KEY) as http:
        answer = await http.get(LETTERS, params=params)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["field"] == field
    assert answer.json()["remedy"]


@pytest.mark.parametrize(
    ("deed", "body", "field"),
    [
        ("redrive", {"limit": 5}, "filter"),
        ("redrive", {"filter": {}}, "limit"),
        ("redrive", {"filter": {}, "limit": 0}, "limit"),
        ("redrive", {"filter": {}, "limit": 201}, "limit"),
        ("redrive", {"filter": {}, "limit": "5"}, "limit"),
        ("redrive", {"filter": {"colour": "red"}, "limit": 5}, "filter.colour"),
        ("redrive", {"filter": {}, "limit": 5, "edits": {"count": 3}}, "edits.count"),
        ("discard", {"filter": {}, "limit": 5}, "reason"),
        ("discard", {"filter": {}, "limit": 5, "reason": "\u0000"}, "reason"),
    ],
)
async def test_bulk_deed_that_is_not_bounded_is_refused(
    shared_gateway: RunningGateway, deed: str, body: dict[str, Any], field: str
) -> None:
    """Nobody redrives everything by leaving something out."""
    async with shared_gateway.calling(OPERATOR_KEY) as http:
        answer = await http.post(f"{LETTERS}:{deed}", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["field"] == field
