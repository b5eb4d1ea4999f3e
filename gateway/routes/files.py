"""`/v1/files`: product photos, looked at before they are kept."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, UploadFile
from fastapi import File as FormFile
from fastapi.responses import JSONResponse

from darkroom.domain.errors import PictureFault, PictureUnusable
from darkroom.domain.job import FileId
from darkroom.domain.ports import PreparedPicture, ProductFile
from darkroom.domain.tokens import file_token, is_same_token
from gateway.answers import ProductPhoto, answered
from gateway.deps import Calling, Gateway, MaybeCalling, Served, required_caller
from gateway.errors import TOO_LARGE, UNSUPPORTED_FILE, Problem, not_found
from gateway.faults import Fault
from gateway.idempotency import fresh_file_id
from gateway.routes.contents import content_answers, content_response
from gateway.schemas import FileContentQuery, NoQuery
from gateway.wire import file_json

FILE_ID = re.compile(r"file_[0-9a-z]{1,64}")

router = APIRouter(
    prefix="/v1/files", tags=["files"], form_limits={"max_files": 1, "max_fields": 8}
)


@router.post("", status_code=201, responses=answered(ProductPhoto, 401, 413, 415, status=201))
async def upload(
    gateway: Served,
    caller: Calling,
    file: Annotated[UploadFile, FormFile()],
    _query: Annotated[NoQuery, Query()],
) -> Response:
    """Keep a product photo: decoded, re-checked, and without its metadata."""
    content = await file.read(gateway.settings.max_file_bytes + 1)
    prepared = await _prepared(gateway, content)
    kept = ProductFile(
        file_id=fresh_file_id(),
        owner=caller.owner,
        sha256=await gateway.files.put(prepared.content),
        media_type=prepared.verified.media_type,
        width=prepared.verified.width,
        height=prepared.verified.height,
        size_bytes=len(prepared.content),
        created_at=datetime.now(UTC),
    )
    await gateway.catalog.add(kept)
    headers = {"Location": f"/v1/files/{kept.file_id}"}
    return JSONResponse(file_json(kept), status_code=201, headers=headers)


@router.get("/{file_id}", responses=answered(ProductPhoto, 401, 404))
async def read_file(
    file_id: str, gateway: Served, caller: Calling, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Read what is known of a product photo."""
    file = await _found(gateway, file_id)
    if file.owner != caller.owner:
        raise not_found("file", file_id[:80])
    return JSONResponse(file_json(file))


@router.get("/{file_id}/content", response_class=Response, responses=content_answers())
async def read_file_content(
    request: Request,
    file_id: str,
    gateway: Served,
    caller: MaybeCalling,
    query: Annotated[FileContentQuery, Query()],
) -> Response:
    """Read a product photo: its owner with a key, a provider with the signed address."""
    is_signed = query.t is not None and is_same_token(
        query.t, file_token(gateway.signing_secret, FileId(file_id))
    )
    if query.t is not None and not is_signed:
        raise not_found("file", file_id[:80])
    owner = None if is_signed else required_caller(caller).owner
    file = await _found(gateway, file_id)
    if owner not in {None, file.owner}:
        raise not_found("file", file_id[:80])
    return await content_response(
        request, gateway.files, sha256=file.sha256, media_type=file.media_type
    )


async def _prepared(gateway: Gateway, content: bytes) -> PreparedPicture:
    limit = gateway.settings.max_file_bytes
    try:
        async with gateway.decoding:
            return await asyncio.to_thread(gateway.pictures.prepare, content, max_bytes=limit)
    except PictureUnusable as unusable:
        raise _refused(unusable, limit) from unusable


def _refused(unusable: PictureUnusable, limit: int) -> Problem:
    if unusable.reason is PictureFault.TOO_LARGE:
        return Problem(
            TOO_LARGE,
            str(unusable),
            faults=[
                Fault(field="file", message=str(unusable), remedy=f"send at most {limit} bytes")
            ],
            remedy=f"send at most {limit} bytes",
        )
    remedy = "send a JPEG, PNG, WebP or AVIF picture that an image viewer can open"
    if unusable.reason is PictureFault.TOO_MANY_PIXELS:
        remedy = "scale the picture down"
    return Problem(
        UNSUPPORTED_FILE,
        str(unusable),
        faults=[Fault(field="file", message=str(unusable), remedy=remedy)],
        remedy=remedy,
        more={"reason": unusable.reason},
    )


async def _found(gateway: Gateway, file_id: str) -> ProductFile:
    is_ours = FILE_ID.fullmatch(file_id)
    found = await gateway.catalog.find([FileId(file_id)]) if is_ours else ()
    if not found:
        raise not_found("file", file_id[:80])
    return found[0]
