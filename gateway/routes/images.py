"""`/v1/images`: pictures of the caller's jobs, by content."""

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway.deps import Calling, Served
from gateway.errors import not_found
from gateway.routes.contents import content_answers, content_response
from gateway.schemas import ImageQuery

SHA256 = re.compile(r"[0-9a-f]{64}")
THUMBNAIL_TYPE = "image/webp"

router = APIRouter(prefix="/v1/images", tags=["images"])


@router.get("/{sha256}", response_class=Response, responses=content_answers())
async def read_image(
    request: Request,
    sha256: str,
    gateway: Served,
    caller: Calling,
    query: Annotated[ImageQuery, Query()],
) -> Response:
    """Read a picture, or its thumbnail: by the picture's hash with `size=thumb`, or by its own."""
    is_hash = SHA256.fullmatch(sha256)
    picture = await gateway.store.owned_picture(caller.owner, sha256) if is_hash else None
    if picture is None:
        raise not_found("image", sha256[:80])
    is_thumbnail = query.size == "thumb" or sha256 == picture.thumbnail_sha256
    return await content_response(
        request,
        gateway.files,
        sha256=picture.thumbnail_sha256 if is_thumbnail else picture.sha256,
        media_type=THUMBNAIL_TYPE if is_thumbnail else picture.media_type,
    )
