"""A process that used the Temporal SDK ends with its true exit code, every time."""

import asyncio
import sys

from temporalio.testing import WorkflowEnvironment

from tests.support.workers import BINARIES

EXITS = 30
AT_ONCE = 2


async def leave_once(address: str, gate: asyncio.Semaphore) -> tuple[int | None, str]:
    """Run one process; answers its exit code and what it complained about."""
    async with gate:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.brief_worker", address),
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        return process.returncode, errors.decode(errors="replace")


async def test_thirty_exits_in_a_row_are_clean() -> None:
    """No abort in the interpreter's teardown turns a success into a failure."""
    async with await WorkflowEnvironment.start_local(  # pyright: ignore[reportUnknownMemberType] -- the SDK leaves one generic open
        dev_server_existing_path=str(BINARIES / "temporal")
    ) as env:
        address = env.client.service_client.config.target_host
        gate = asyncio.Semaphore(AT_ONCE)

        ends = await asyncio.gather(*(leave_once(address, gate) for _ in range(EXITS)))

    assert [code for code, _ in ends] == [0] * EXITS
    assert not [told for _, told in ends if "Fatal Python error" in told]
