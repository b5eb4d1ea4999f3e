"""The tree of rooms in docs/architecture.md is the tree on the disk."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tests.architecture.pages import read_page
from tests.architecture.source import ROOT

DEPTH = 3
INDENT = 2
TREE = re.compile(r"^```tree\n(?P<lines>.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^(?P<indent> *)(?P<name>\S+)(?: +(?P<idea>\S.*))?$")
# Hidden rooms belong to tools, except this one, which is ours.
OUR_HIDDEN_ROOMS = frozenset({".ci"})
IGNORED = tuple(line.strip("/ ") for line in (ROOT / ".gitignore").read_text().split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One line of the tree."""

    place: str  # from the root; a room ends in a slash
    idea: str


def test_every_room_on_the_disk_is_in_the_tree() -> None:
    """Whoever opens a room must tell the map."""
    drawn = {branch.place for branch in _drawn()}

    forgotten = sorted(set(_on_disk()) - drawn)

    assert not forgotten, f"add to the tree in docs/architecture.md: {forgotten}"


def test_every_room_in_the_tree_is_on_the_disk() -> None:
    """The map promises no room that is not built."""
    drawn = {branch.place for branch in _drawn()}

    gone = sorted(drawn - set(_on_disk()))

    assert not gone, f"take out of the tree in docs/architecture.md: {gone}"


def test_every_line_of_the_tree_says_what_lives_there() -> None:
    """A name alone is no map."""
    silent = [branch.place for branch in _drawn() if not branch.idea]

    assert not silent, "\n".join(silent)


def _drawn() -> list[Branch]:
    found = TREE.search(read_page(ROOT / "docs/architecture.md").text)
    assert found, "docs/architecture.md has no ```tree block"
    above: list[str] = []
    branches: list[Branch] = []
    for text in found["lines"].splitlines():
        line = LINE.match(text)
        assert line, f"not a line of a tree: {text!r}"
        above = [*above[: len(line["indent"]) // INDENT], line["name"]]
        branches.append(Branch(place="".join(above), idea=line["idea"] or ""))
    return branches


def _on_disk() -> Iterator[str]:
    for path in sorted(ROOT.iterdir()):
        if _is_ours(path) and path.is_file():
            yield path.name
        elif _is_ours(path):
            yield from _rooms(path, depth=DEPTH)


def _rooms(path: Path, *, depth: int) -> Iterator[str]:
    """Name a room and those inside it; a room without any file is none, as for git."""
    inside = [one for one in sorted(path.iterdir()) if one.is_dir() and _is_ours(one)]
    deeper = [name for one in inside for name in _rooms(one, depth=depth - 1)] if depth > 1 else []
    if deeper or any(one.is_file() for one in path.rglob("*") if _is_ours(one)):
        yield f"{path.relative_to(ROOT).as_posix()}/"
    yield from deeper


def _is_ours(path: Path) -> bool:
    if path.name.startswith(".") and path.name not in OUR_HIDDEN_ROOMS:
        return False
    return not any(fnmatch(path.name, pattern) for pattern in IGNORED)
