"""`/v1/admin/reconcile`: compare what the house's memories say, and mend what differs."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from temporalio.client import WorkflowFailureError

from darkroom.domain.drift import RECONCILE, ReconcileOrder
from gateway.answers import answered
from gateway.deps import Operating, Served
from gateway.errors import NOT_FOUND, Problem, unheard
from gateway.reconcile_answers import Reconciliation, report_json, report_of
from gateway.schemas import Unasked, Wire

router = APIRouter(prefix="/v1/admin", tags=["reconcile"], default_response_class=JSONResponse)


class ReconcileQuery(Wire):
    """`POST /v1/admin/reconcile`."""

    dry_run: bool = False


@router.get("/reconcile", responses=answered(Reconciliation, 401, 403, 404))
async def read_last_report(gateway: Served, _operator: Operating, _query: Unasked) -> Response:
    """Read the report of the last reconciliation, scheduled or asked for."""
    known = await gateway.audit.entries(RECONCILE, limit=1)
    if not known:
        raise Problem(
            NOT_FOUND,
            "nothing has been reconciled yet",
            remedy="reconcile now with POST /v1/admin/reconcile",
        )
    return JSONResponse(report_json(report_of(known[0].entry)))


@router.post("/reconcile", responses=answered(Reconciliation, 401, 403))
async def reconcile(
    gateway: Served, operator: Operating, query: Annotated[ReconcileQuery, Query()]
) -> Response:
    """Reconcile now, and answer the report; with dryRun nothing is mended, only reported."""
    order = ReconcileOrder(by=operator.owner, dry_run=query.dry_run)
    try:
        begun = await gateway.reconciling.reconcile(order)
    except WorkflowFailureError as ended:
        raise unheard(
            f"the reconciliation was ended before it had a report: {ended.cause}",
            remedy="repeat this; what was mended stays mended",
        ) from ended
    if begun.report is None:
        raise unheard(
            f"the reconciliation {begun.workflow_id} is not done yet",
            remedy="read its report with GET /v1/admin/reconcile in a while, or see that a worker "
            "runs; repeated, this joins the one that is under way",
        )
    return JSONResponse(report_json(begun.report))
