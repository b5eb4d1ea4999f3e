"""One time-skipping server for the folder."""

from collections.abc import AsyncGenerator

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from darkroom.runtime.temporal import HOUSE_DATA_CONVERTER, ensure_search_attributes
from tests.support.workers import TEST_SERVER


@pytest.fixture
async def env() -> AsyncGenerator[WorkflowEnvironment]:
    """A server that skips time whenever nobody works."""
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=HOUSE_DATA_CONVERTER, test_server_existing_path=str(TEST_SERVER)
    ) as started:
        await ensure_search_attributes(started.client)
        yield started


@pytest.fixture
def client(env: WorkflowEnvironment) -> Client:
    """A client of that server."""
    return env.client
