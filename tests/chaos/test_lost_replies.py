"""A purchase of which nobody ever hears again: neither its reply comes nor its callback."""

from pathlib import Path
from typing import Any

import httpx

from darkroom.domain.job import JobId
from darkroom.domain.ledger import LedgerState
from tests.chaos.conftest import Conclude
from tests.chaos.stage import an_order, breakable_stack
from tests.support.stacks import Running
from tests.support.waiting import eventually

PICTURE = "cavern 1"
SILENCE = (
    {"endpoint": "generate", "action": "reset_after_acceptance", "match": PICTURE, "times": 1},
    {"endpoint": "callback", "action": "never", "match": PICTURE},
)
TUNING = {"NANOBANANA_POST_DEADLINE": "1000", "NANOBANANA_GRACE": "2000"}
SLOWER_SECONDS = 3.0  # the picture beside it is still being drawn when the grace is over
PRICE_MICROS = 20_000


async def waiting_for_an_operator(running: Running, job_id: JobId) -> dict[str, Any] | None:
    """Read a job's record once it says that it waits for an operator."""
    record = await running.job(job_id)
    return record if record["waiting"] and record["waiting"]["on"] == "operator" else None


async def test_a_lost_purchase_is_never_bought_again_silently(
    tmp_path: Path, conclude: Conclude
) -> None:
    """The job asks an operator, who has it bought again; the doubtful money is shown apart."""
    async with breakable_stack(
        tmp_path / "var", tuning=TUNING, emulators_picture_seconds=SLOWER_SECONDS
    ) as running:
        await running.emulated.befall(*SILENCE)
        doubtful = await running.submit(**an_order("cavern"))

        await eventually(
            lambda: waiting_for_an_operator(running, doubtful),
            within_seconds=20,
            what="the job asking an operator",
        )
        others = [await running.submit(**an_order(word)) for word in ("plaza", "kiosk", "depot")]
        for job_id in others:
            await running.closed(job_id)
        assert len(await running.bought()) == 2 + 2 * len(others)
        answer = await running.api.post(f"/v1/jobs/{doubtful}/decide", json={"decision": "rebuy"})
        assert answer.status_code == httpx.codes.OK, answer.text

        await conclude(running, "reply and callback lost, rebought", jobs=[doubtful, *others])
        record = await running.job(doubtful)
        assert record["cost"]["unknown"]["amountMicros"] == PRICE_MICROS
        states = {str(row.key): row.state for row in await running.ledger.of_job(doubtful)}
        assert sorted(states.values()) == [
            LedgerState.SETTLED,
            LedgerState.SETTLED,
            LedgerState.UNKNOWN,
        ]
