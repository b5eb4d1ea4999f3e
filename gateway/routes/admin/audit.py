"""`/v1/admin/audit`: what operators and schedules did."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from gateway.admin_answers import DeedsPage
from gateway.admin_schemas import AuditQuery
from gateway.admin_wire import deed_json
from gateway.answers import answered
from gateway.cursors import cursor_after_number, number_of
from gateway.deps import Operating, Served

router = APIRouter(prefix="/v1/admin", tags=["audit"], default_response_class=JSONResponse)


@router.get("/audit", responses=answered(DeedsPage, 401, 403))
async def list_deeds(
    gateway: Served, _operator: Operating, query: Annotated[AuditQuery, Query()]
) -> Response:
    """List deeds, newest first; with a target, only what was done to it."""
    before = number_of(query.cursor) if query.cursor else None
    found = await gateway.audit.entries(query.target, before=before, limit=query.limit + 1)
    page = found[: query.limit]
    has_more = len(found) > len(page)
    following = cursor_after_number(page[-1].number) if has_more else None
    asked = query.model_dump(mode="json", by_alias=True, exclude_unset=True)
    link = f'</v1/admin/audit?{urlencode(asked | {"cursor": following})}>; rel="next"'
    return JSONResponse(
        {"entries": [deed_json(record) for record in page], "nextCursor": following},
        headers={"Link": link} if following else None,
    )
