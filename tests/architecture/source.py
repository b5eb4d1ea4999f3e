"""The house as files: which Python files each room holds, and their syntax trees."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).parents[2]

# Rooms that go into the wheel, and rooms that only surround it.
SHIPPED_ROOMS = ("activities", "darkroom", "gateway", "workflows")
OTHER_ROOMS = ("bench", "deploy", "emulators", "tests")
SHIPPED_FILE = "worker.py"

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One Python file of the house."""

    path: Path
    tree: ast.Module

    @property
    def place(self) -> str:
        """Its path from the root, as people write it."""
        return self.path.relative_to(ROOT).as_posix()

    def at(self, node: ast.stmt | ast.expr) -> str:
        """Say where a piece of syntax stands: file and line."""
        return f"{self.place}:{node.lineno}"


def read_source(path: Path) -> Source:
    """Parse one file."""
    return Source(path=path, tree=ast.parse(path.read_text(), filename=str(path)))


def shipped() -> Iterator[Source]:
    """Parse what goes into the wheel."""
    yield read_source(ROOT / SHIPPED_FILE)
    yield from rooms(*SHIPPED_ROOMS)


def house() -> Iterator[Source]:
    """Parse every Python file of the house, tests included."""
    yield from shipped()
    yield from rooms(*OTHER_ROOMS)


def rooms(*names: str) -> Iterator[Source]:
    """Parse the files of some rooms; a room that is not built yet has none."""
    for name in names:
        for path in sorted((ROOT / name).rglob("*.py")):
            yield read_source(path)


def functions(source: Source) -> Iterator[Function]:
    """Find every function and method, nested ones included."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def classes(source: Source) -> Iterator[ast.ClassDef]:
    """Find every class."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            yield node


def dotted(node: ast.expr) -> str:
    """Write `a.b.c` as text; empty for anything that is not a plain dotted name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=inner, attr=name):
            before = dotted(inner)
            return f"{before}.{name}" if before else ""
        case _:
            return ""


def decorators(node: Function | ast.ClassDef) -> set[str]:
    """Name the decorators, whether they are called or not."""
    called = (one.func if isinstance(one, ast.Call) else one for one in node.decorator_list)
    return {dotted(one) for one in called}
