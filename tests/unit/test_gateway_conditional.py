"""Conditional and partial reads."""

import pytest

from gateway.conditional import Part, is_known, part_of
from gateway.errors import Problem

ETAG = '"abc"'


@pytest.mark.parametrize("header", ['"abc"', 'W/"abc"', '"x", "abc"', "*"])
def test_version_a_client_has_is_recognised(header: str) -> None:
    """Any form of naming the version counts."""
    assert is_known(ETAG, header)


@pytest.mark.parametrize("header", [None, '"abcd"', "abc", ""])
def test_version_a_client_does_not_have_is_sent(header: str | None) -> None:
    """Other versions do not."""
    assert not is_known(ETAG, header)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=2-5", 2, 6),
        ("bytes=7-", 7, 10),
        ("bytes=-3", 7, 10),
        ("bytes=-99", 0, 10),
        ("bytes=8-99", 8, 10),
    ],
)
def test_single_range_is_cut_out(asked: str, start: int, end: int) -> None:
    """First and last byte are counted as HTTP counts them."""
    assert part_of(10, asked=asked, etag=ETAG, if_range=None) == Part(start=start, end=end, size=10)


@pytest.mark.parametrize(
    "asked", [None, "", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b"]
)
def test_unserved_header_gets_the_whole(asked: str | None) -> None:
    """A range that makes no sense, or several, is answered with everything."""
    assert part_of(10, asked=asked, etag=ETAG, if_range=None) is None


def test_range_of_another_version_gets_the_whole() -> None:
    """If-Range guards a resumed download."""
    assert part_of(10, asked="bytes=0-1", etag=ETAG, if_range='"other"') is None
    assert part_of(10, asked="bytes=0-1", etag=ETAG, if_range=ETAG) is not None


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_range_outside_the_file_is_refused_with_its_size(asked: str) -> None:
    """The answer tells how large the file is."""
    with pytest.raises(Problem) as refused:
        part_of(10, asked=asked, etag=ETAG, if_range=None)

    assert refused.value.kind.status == 416
    assert refused.value.headers["Content-Range"] == "bytes */10"
