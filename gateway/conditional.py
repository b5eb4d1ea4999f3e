"""Answers a client may already have, or wants only a part of (RFC 9110)."""

import re
from dataclasses import dataclass

from gateway.errors import RANGE_NOT_SATISFIABLE, Problem

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Say whether a client's If-None-Match names this version."""
    if if_none_match is None:
        return False
    named = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in named or "*" in named


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Bytes `start` up to, but without, `end` of a content of `size` bytes."""

    start: int
    end: int
    size: int

    @property
    def content_range(self) -> str:
        """The value of the Content-Range header."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def part_of(size: int, *, asked: str | None, etag: str, if_range: str | None) -> Part | None:
    """Read a Range header; None means the whole, which any odd header may be answered with.

    Raises:
        Problem: the range lies outside the content.
    """
    match = RANGE.fullmatch((asked or "").strip())
    if match is None or match.group(0) == "bytes=-" or if_range not in {None, etag}:
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    else:
        start, end = max(0, size - int(last)), size
    if start >= end:
        raise Problem(
            RANGE_NOT_SATISFIABLE,
            f"range {asked!r} lies outside the {size} bytes of the file",
            remedy="ask for a range inside the file",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return Part(start=start, end=end, size=size)
