"""Stored bytes as a response: streamed, in parts, cached for ever under their hash."""

from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from gateway.conditional import is_known, part_of
from gateway.deps import StreamedFiles

IMMUTABLE = "private, max-age=31536000, immutable"


def content_answers() -> dict[int | str, dict[str, Any]]:
    """Describe the answers of an address that gives content."""
    picture = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"description": "The whole", "content": picture},
        206: {"description": "The part that was asked for", "content": picture},
        304: {"description": "What the client has is still right"},
        **{problem: {"description": "Problem"} for problem in (401, 404, 416, 422, 503)},
    }


async def content_response(
    request: Request, files: StreamedFiles, *, sha256: str, media_type: str
) -> Response:
    """Answer with the content of a hash, or with the part that was asked for.

    Raises:
        FileMissing: the content is not where it belongs.
        Problem: the range lies outside the content.
    """
    etag = f'"{sha256}"'
    headers = {
        "ETag": etag,
        "Cache-Control": IMMUTABLE,
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if is_known(etag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    size = await files.size(sha256)
    part = part_of(
        size,
        asked=request.headers.get("range"),
        etag=etag,
        if_range=request.headers.get("if-range"),
    )
    if part is None:
        headers["Content-Length"] = str(size)
        return StreamingResponse(files.stream(sha256), media_type=media_type, headers=headers)
    headers |= {"Content-Length": str(part.end - part.start), "Content-Range": part.content_range}
    pieces = files.stream(sha256, part.start, part.end)
    return StreamingResponse(pieces, status_code=206, media_type=media_type, headers=headers)
