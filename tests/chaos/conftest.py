"""How a scenario ends: it is told in one line, then held against the promises."""

import sys
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

import pytest

from darkroom.domain.job import JobId
from tests.chaos.aftermath import Aftermath, Blow, aftermath
from tests.chaos.stage import SLOTS
from tests.support.stacks import Running


class Conclude(Protocol):
    """Ends a scenario."""

    def __call__(
        self,
        running: Running,
        scenario: str,
        *,
        jobs: Collection[JobId],
        seconds: float | None = None,
        outcomes: Mapping[JobId, frozenset[str]] | None = None,
        limit: int = SLOTS,
    ) -> Awaitable[Aftermath]: ...


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Write a line where people see it while tests run."""

    def write(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}\n")
            sys.stdout.flush()

    return write


@pytest.fixture
def conclude(say: Callable[[str], None]) -> Conclude:
    """Wait for the end of all jobs, tell the figures, and assert the promises."""

    async def concluded(
        running: Running,
        scenario: str,
        *,
        jobs: Collection[JobId],
        seconds: float | None = None,
        outcomes: Mapping[JobId, frozenset[str]] | None = None,
        limit: int = SLOTS,
    ) -> Aftermath:
        blow = Blow(
            scenario=scenario, jobs=jobs, seconds=seconds, limit=limit, outcomes=outcomes or {}
        )
        after = await aftermath(running, blow)
        say(str(after))
        after.assert_promises_kept()
        return after

    return concluded
