"""Every setting does something, and every variable of the brief is a setting or explained."""

import ast
from collections.abc import Iterable, Iterator
from datetime import timedelta

import pytest
from pydantic_settings import BaseSettings

from darkroom.settings import EmbeddedSettings, Settings
from tests.architecture.pages import read_page
from tests.architecture.source import ROOT, Source, classes, dotted, read_source, rooms, shipped

SETTINGS = ROOT / "darkroom/settings.py"

# Source: brief, "Environment Variables"; durations there are in milliseconds.
BRIEF_VARIABLES = {
    "REDIS_URL": "redis://localhost:6379",
    "QUEUE_CONCURRENCY": 5,
    "JOB_TIMEOUT": timedelta(milliseconds=600_000),
    "MAX_RETRY_ATTEMPTS": 3,
    "CLEANUP_INTERVAL": timedelta(milliseconds=3_600_000),
    "WS_PORT": 8080,
    "WS_MAX_CONNECTIONS": 100,
    "WS_PING_INTERVAL": timedelta(milliseconds=30_000),
    "RETRY_BASE_DELAY": timedelta(milliseconds=1_000),
    "RETRY_MAX_DELAY": timedelta(milliseconds=60_000),
    "RETRY_BACKOFF_FACTOR": 2,
}


def test_every_setting_is_read_by_worker_or_gateway() -> None:
    """A variable that nobody reads is a promise that nobody keeps."""
    unread = _unread(Settings, [source for source in shipped() if source.path != SETTINGS])

    assert not unread, f"nobody reads {unread}"


def test_every_embedded_setting_is_read_by_the_embedded_stack() -> None:
    """The same for the ports and paths of `make up`."""
    unread = _unread(EmbeddedSettings, rooms("deploy"))

    assert not unread, f"nobody reads {unread}"


@pytest.mark.parametrize("variable", BRIEF_VARIABLES)
def test_every_variable_of_the_brief_is_a_setting_or_explained(variable: str) -> None:
    """The map of the brief has a row for each; one that is no setting yet says so there."""
    rows = [
        line
        for line in read_page(ROOT / "docs/brief-map.md").text.splitlines()
        if line.startswith(f"| `{variable}")
    ]

    assert len(rows) == 1, f"docs/brief-map.md has {len(rows)} rows for {variable}"
    is_setting = variable.lower() in Settings.model_fields
    assert is_setting != ("not a setting" in rows[0]), rows[0]


@pytest.mark.parametrize(
    "variable", [name for name in BRIEF_VARIABLES if name.lower() in Settings.model_fields]
)
def test_a_variable_of_the_brief_has_the_brief_s_default(variable: str) -> None:
    """Whoever sets nothing gets what the brief says."""
    assert Settings.model_fields[variable.lower()].default == BRIEF_VARIABLES[variable]


def test_nothing_but_settings_reads_the_environment() -> None:
    """One place knows which variables there are."""
    readers = [
        source.at(node)
        for source in (*shipped(), *rooms("deploy", "emulators"))
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute)
        and dotted(node) in {"os.environ", "os.getenv", "os.environb"}
        and source.path != SETTINGS
    ]

    assert not readers, "\n".join(readers)


def _unread(kind: type[BaseSettings], sources: Iterable[Source]) -> list[str]:
    """Name the fields that no source reads: as an attribute, by name, or through a method."""
    read = {name for source in sources for name in _reads(source)}
    through = {field for method in read for field in _read_by_method(kind, method)}
    return [name.upper() for name in kind.model_fields if name not in read | through]


def _reads(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        match node:
            case ast.Attribute(value=owner, attr=name) if dotted(owner).endswith("settings"):
                yield name
            case ast.Call(
                func=ast.Attribute(value=owner, attr="secret"),
                args=[ast.Constant(value=str(name))],
            ) if dotted(owner).endswith("settings"):
                yield name
            case _:
                pass


def _read_by_method(kind: type[BaseSettings], method: str) -> Iterator[str]:
    for owner in classes(read_source(SETTINGS)):
        for one in owner.body:
            is_method = isinstance(one, ast.FunctionDef) and one.name == method
            if owner.name == kind.__name__ and is_method:
                yield from (
                    node.attr
                    for node in ast.walk(one)
                    if isinstance(node, ast.Attribute) and dotted(node.value) == "self"
                )
