"""A word from an activity to its own job's workflow."""

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from darkroom.domain.attempts import PromptsEnhanced
from darkroom.domain.job import JobId
from darkroom.domain.names import PROMPTS_ENHANCED_SIGNAL

log = structlog.get_logger()


class TemporalJobSignals:
    """Signals through the worker's own client. A lost one is made good by the result."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def cancel(self, workflow_id: str, run_id: str) -> None:
        """Ask Temporal to cancel one run; harmless when it is over.

        Raises:
            RPCError: Temporal could not be asked.
        """
        try:
            await self._client.get_workflow_handle(workflow_id, run_id=run_id).cancel()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def prompts_enhanced(self, job_id: JobId, prompts: dict[str, str]) -> None:
        """Tell which items have a prompt now."""
        handle = self._client.get_workflow_handle(job_id)
        try:
            await handle.signal(PROMPTS_ENHANCED_SIGNAL, PromptsEnhanced(prompts=prompts))
        except RPCError as error:
            log.info("signal_lost", job_id=job_id, error=str(error))
