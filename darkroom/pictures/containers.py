"""What files are made of: PNG chunks, JPEG segments, RIFF chunks, ISO boxes.

Each format can be asked whether a file is complete, and those that allow it can be written
again without metadata while every byte of the pixels stays.
Sources: PNG third edition; ITU T.81 annex B; RFC 9649; ISO/IEC 14496-12.
"""

import re
from collections.abc import Iterator

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Chunks a decoder may skip but that say how pixels look. Others are text, time, EXIF or private.
PNG_LOOKS = frozenset(
    {b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"sBIT", b"bKGD"}
    | {b"pHYs", b"hIST", b"sPLT"}
)

JPEG_MARKER = 0xFF  # the first byte of every marker
JPEG_START, JPEG_END, JPEG_SCAN, JPEG_COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
JPEG_APPS = range(0xE0, 0xF0)
JPEG_BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a length: fill and restarts
JFIF, ICC, ADOBE = b"JFIF\0", b"ICC_PROFILE\0", b"Adobe"
JFIF_WITHOUT_THUMBNAIL = 12  # then come the thumbnail's width, height and pixels

WEBP_METADATA = {b"EXIF", b"XMP "}
WEBP_METADATA_FLAGS = 0b1100  # bits of VP8X that announce them
WEBP_CHUNKS = {b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L"}

# The end of entropy-coded bytes: a marker that is neither a stuffed zero nor a restart.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def is_complete_png(content: bytes) -> bool:
    """Say whether the last chunk is there."""
    return any(name == b"IEND" for name, _ in png_chunks(content))


def is_complete_jpeg(content: bytes) -> bool:
    """Say whether the end marker is there, where a marker may be."""
    return any(marker == JPEG_END for marker, _ in jpeg_segments(content))


def is_complete_webp(content: bytes) -> bool:
    """Say whether all the bytes are there that the header counts."""
    return len(content) >= 8 + int.from_bytes(content[4:8], "little")


def is_complete_avif(content: bytes) -> bool:
    """Say whether every top-level box ends inside the file."""
    start = 0
    while start < len(content):
        size, wide_size = (content[start + a : start + b] for a, b in ((0, 4), (8, 16)))
        length = int.from_bytes(size, "big")
        if length == 1:  # the size did not fit and stands after the name
            length = int.from_bytes(wide_size, "big")
        if length == 0:  # the box goes to the end, wherever that is
            return True
        start += max(length, 8)
    return start == len(content)


def png_without_metadata(content: bytes) -> bytes:
    """Keep the chunks that make pixels or say how they look."""
    return PNG_SIGNATURE + b"".join(
        chunk for name, chunk in png_chunks(content) if name in PNG_LOOKS or name[:1].isupper()
    )


def jpeg_without_metadata(content: bytes) -> bytes:
    """Keep the segments that make pixels, the colour profile, and JFIF without a thumbnail."""
    return b"".join(_kept(marker, segment) for marker, segment in jpeg_segments(content))


def webp_without_metadata(content: bytes) -> bytes:
    """Keep the chunks that make pixels, and the colour profile."""
    chunks = [
        _without_flags(chunk) if name == b"VP8X" else chunk
        for name, chunk in webp_chunks(content)
        if name in WEBP_CHUNKS
    ]
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, whole chunk), up to the end chunk or the first incomplete one."""
    start, name = len(PNG_SIGNATURE), b""
    while name != b"IEND":
        name = content[start + 4 : start + 8]
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        if end > len(content) or not name:
            return
        yield name, content[start:end]
        start = end


def jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, whole segment), up to the end marker or the first incomplete segment.

    A scan comes with its entropy-coded bytes.
    """
    start = 0
    while start + 2 <= len(content) and content[start] == JPEG_MARKER:
        marker = content[start + 1]
        if marker == JPEG_MARKER:  # padding before the marker proper
            start += 1
            continue
        end = _segment_end(content, start, marker)
        if end > len(content):
            return
        yield marker, content[start:end]
        if marker == JPEG_END:
            return
        start = end


def webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, whole chunk with its padding), up to the end of the RIFF."""
    start = 12
    riff_end = min(len(content), 8 + int.from_bytes(content[4:8], "little"))
    while start + 8 <= riff_end:
        length = int.from_bytes(content[start + 4 : start + 8], "little")
        end = start + 8 + length + length % 2
        yield content[start : start + 4], content[start:end]
        start = end


def _segment_end(content: bytes, start: int, marker: int) -> int:
    if marker in JPEG_BARE or marker in {JPEG_START, JPEG_END}:
        return start + 2
    end = start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")
    if marker != JPEG_SCAN:
        return end
    following = _AFTER_SCAN.search(content, end)
    return following.start() if following else len(content)


def _kept(marker: int, segment: bytes) -> bytes:
    payload = segment[4:]
    if marker == JPEG_APPS[0] and payload.startswith(JFIF):
        kept = payload[:JFIF_WITHOUT_THUMBNAIL] + b"\0\0"
        return segment[:2] + (2 + len(kept)).to_bytes(2, "big") + kept
    if marker == JPEG_COMMENT:
        return b""
    if marker in JPEG_APPS:
        return segment if payload.startswith((ICC, ADOBE)) else b""
    return segment


def _without_flags(chunk: bytes) -> bytes:
    flags = chunk[8] & ~WEBP_METADATA_FLAGS
    return chunk[:8] + bytes([flags]) + chunk[9:]
