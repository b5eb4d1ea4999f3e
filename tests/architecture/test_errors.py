"""Every leaf of the error tree is used, told apart by its code, and explained to operators."""

import ast
from collections import Counter
from collections.abc import Iterator

import pytest

from darkroom.domain.errors import DarkroomError
from tests.architecture.drawings import error_leaves
from tests.architecture.pages import read_page
from tests.architecture.source import ROOT, Source, shipped

LEAVES = error_leaves()
ERRORS = ROOT / "darkroom/domain/errors.py"


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_leaf_is_raised_or_mapped(leaf: type[DarkroomError]) -> None:
    """A class that nothing makes is a case that somebody handles for nothing."""
    assert leaf.__name__ in MADE, f"{leaf.__name__} is neither raised nor in a table of answers"


def test_every_leaf_has_a_code_of_its_own() -> None:
    """Codes are how callers and operators tell errors apart."""
    counted = Counter(leaf.code for leaf in LEAVES)

    shared = [code for code, count in counted.items() if count > 1]

    assert not shared, f"codes of several leaves: {shared}"
    assert DarkroomError.code not in counted


def test_every_leaf_is_in_the_error_map() -> None:
    """Whoever reads a code in a log or a record finds what it means."""
    page = read_page(ROOT / "docs/troubleshooting.md")

    drawn = page.drawn("errors")
    unexplained = [leaf.code for leaf in LEAVES if f"| `{leaf.code}` |" not in drawn]

    assert not unexplained, f"codes without a row: {unexplained}; run make docs"


def test_every_code_written_by_hand_is_in_troubleshooting() -> None:
    """A Failure may also be made without a leaf; its code must be explained all the same."""
    page = read_page(ROOT / "docs/troubleshooting.md").text
    written = {code for source in shipped() for code in _codes(source)}

    unexplained = [code for code in sorted(written) if f"`{code}`" not in page]

    assert written
    assert not unexplained, f"docs/troubleshooting.md does not explain {unexplained}"


def _made(source: Source) -> Iterator[str]:
    """Name what is constructed, raised, or stands as a value or default of a table."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=arguments):
                yield name
                yield from (one.id for one in arguments if isinstance(one, ast.Name))
            case ast.Raise(exc=ast.Name(id=name)):
                yield name
            case ast.Dict(values=values):
                yield from (one.id for one in values if isinstance(one, ast.Name))
            case _:
                pass


MADE = {name for source in shipped() if source.path != ERRORS for name in _made(source)}


def _codes(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Name(id="Failure"), keywords=keywords):
                for keyword in keywords:
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                        yield str(keyword.value.value)
            case _:
                pass
