"""The control plane of tests and demos: faults in, ledger out. No key is asked for."""

from typing import Any

from fastapi import APIRouter

from emulators.faults.plan import FaultPlan
from emulators.faults.rules import AnyRule
from emulators.ledger import Ledger
from emulators.pictures.tasks import TaskBoard


def control_routes(faults: FaultPlan, ledger: Ledger, board: TaskBoard) -> APIRouter:
    """Open /_control over one fault plan, one ledger and one board of tasks."""
    router = APIRouter(prefix="/_control")

    async def show_health() -> dict[str, str]:
        return {"status": "ok"}

    async def put_faults(rules: list[AnyRule]) -> dict[str, Any]:
        faults.put(rules)
        return {"rules": faults.report()}

    async def show_faults() -> dict[str, Any]:
        return {"rules": faults.report()}

    async def show_ledger() -> dict[str, Any]:
        return ledger.report()

    async def clear_ledger() -> None:
        ledger.clear()

    async def show_state() -> dict[str, int]:
        return board.counts()

    router.add_api_route("/health", show_health, methods=["GET"])
    router.add_api_route("/faults", put_faults, methods=["PUT"])
    router.add_api_route("/faults", show_faults, methods=["GET"])
    router.add_api_route("/ledger", show_ledger, methods=["GET"])
    router.add_api_route("/ledger", clear_ledger, methods=["DELETE"], status_code=204)
    router.add_api_route("/state", show_state, methods=["GET"])
    return router
