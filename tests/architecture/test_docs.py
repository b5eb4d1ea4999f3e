"""The pages say what is so: drawn parts are fresh, links resolve, named files exist."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture.drawings import DRAWINGS
from tests.architecture.pages import Page, pages, read_page
from tests.architecture.source import ROOT, Source, shipped

PAGES = pages()
PLACES = [page.place for page in PAGES]

ELSEWHERE = ("http://", "https://", "mailto:")
# A word in code that names a file of ours: a path with a known ending.
OUR_FILE = re.compile(r"^[\w.-]+(?:/[\w.-]+)+\.(?:py|md|toml|json|txt|mako)$|^\w+\.(?:py|toml)$")
OUR_TEST = re.compile(r"^test_\w+$")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|tmp|home|root|Users|opt|mnt|srv)/")
PACKAGE_INDEX = re.compile(
    r"pypi\.org|pythonhosted\.org|--(?:extra-)?index-url|--find-links|registry\.npmjs|devpi"
)
TEXT_FILES = ("*.md", "*.py", "*.toml", "*.txt", "*.json", "*.mako", "Makefile", ".ci/run")


@pytest.mark.parametrize(
    ("place", "draw"),
    [
        pytest.param(place, draw, id=f"{place[0].name}-{place[1]}")
        for place, draw in DRAWINGS.items()
    ],
)
def test_what_is_made_from_the_code_is_fresh(
    place: tuple[Path, str], draw: Callable[[], str]
) -> None:
    """A table drawn from the code says what the code says; `make docs` redraws it."""
    path, name = place

    assert read_page(path).drawn(name) == draw()


@pytest.mark.parametrize("page", PAGES, ids=PLACES)
def test_every_link_leads_somewhere(page: Page) -> None:
    """A link inside the house opens a file, and its anchor a heading there."""
    inside = [link for link in page.links() if not link.startswith(ELSEWHERE)]
    lost = [link for link in inside if not _leads_somewhere(page, link)]

    assert not lost, "\n".join(lost)


@pytest.mark.parametrize("page", PAGES, ids=PLACES)
def test_every_file_a_page_names_exists(page: Page) -> None:
    """What a page calls a file of ours can be opened under that name."""
    named = {code for code in page.codes() if OUR_FILE.match(code)}
    missing = sorted(name for name in named if not (ROOT / name).exists())

    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("page", PAGES, ids=PLACES)
def test_every_test_a_page_names_exists(page: Page) -> None:
    """What a page calls a test can be run under that name."""
    named = {code for code in page.codes() if OUR_TEST.match(code)}
    written = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text())
    }

    missing = sorted(named - written)

    assert not missing, "\n".join(missing)


def test_every_event_in_the_logs_is_explained() -> None:
    """Whoever reads a log finds each of its words in docs/operations.md."""
    page = read_page(ROOT / "docs/operations.md").text
    logged = {word for source in shipped() for word in _logged(source)}
    unexplained = sorted(word for word in logged if f"`{word}`" not in page)

    assert logged
    assert not unexplained, f"docs/operations.md does not explain {unexplained}"


def test_no_text_names_this_machine() -> None:
    """A page or a file that works only where it was written does not work."""
    found = _finds(MACHINE_PATH)

    assert not found, "\n".join(found)


def test_no_text_names_a_package_index() -> None:
    """Where packages come from is the business of whoever installs them."""
    found = _finds(PACKAGE_INDEX)

    assert not found, "\n".join(found)


def _leads_somewhere(page: Page, link: str) -> bool:
    target, _, anchor = link.partition("#")
    path = (page.path.parent / target).resolve() if target else page.path
    if not path.is_relative_to(ROOT) or not path.exists():
        return False
    return not anchor or anchor in read_page(path).anchors()


def _logged(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="log")),
                args=[ast.Constant(value=str(word)), *_],
            ):
                yield word
            case _:
                pass


def _finds(forbidden: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT).as_posix()}:{number}: {line.strip()[:80]}"
        for path in _texts()
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if forbidden.search(line)
    ]


def _texts() -> list[Path]:
    """List the text files of the house, except this one, which names what it forbids."""
    hidden = {".venv", "var", "out", ".git", "build", "dist"}
    found = [path for pattern in TEXT_FILES for path in ROOT.rglob(pattern)]
    return [
        path
        for path in sorted(found)
        if path.is_file()
        and not hidden.intersection(path.relative_to(ROOT).parts)
        and path != Path(__file__)
    ]
