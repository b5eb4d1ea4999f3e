"""How the house reads, as far as a machine can tell."""

import ast
import re
import tomllib
from collections.abc import Iterator

from tests.architecture.source import (
    ROOT,
    SHIPPED_FILE,
    Function,
    Source,
    classes,
    dotted,
    functions,
    house,
    rooms,
)

LONGEST_FUNCTION_LINES = 40  # without its docstring
MOST_PARAMETERS = 6
VAGUE_WORDS = frozenset(
    {
        *("manager", "helper", "util", "common", "misc", "base", "data", "info"),
        *("do", "service", "object", "new", "old"),
    }
)
VAGUE_VERBS = frozenset({"handle", "process"})
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

# Names that somebody else chose, because they call us by them.
NAMES_OF_OTHERS = {
    "process_bind_param": "SQLAlchemy calls a TypeDecorator by this name",
    "process_result_value": "SQLAlchemy calls a TypeDecorator by this name",
}

EXCUSES = frozenset(
    {
        *("pytest.skip", "pytest.xfail", "pytest.importorskip"),
        *("pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail"),
    }
)
PATCHES = frozenset({"monkeypatch", "mocker"})

SOURCES = list(house())


def test_no_name_is_vague() -> None:
    """A file, class or function is named for what it is, not for being one more of its sort."""
    vague = [
        f"{source.place}: {name}"
        for source in SOURCES
        for name in _names(source)
        if _is_vague(name)
    ]

    assert not vague, "\n".join(vague)


def test_functions_are_short() -> None:
    """What does not fit a screen does more than one thing."""
    long = [
        f"{source.at(one)}: {one.name} has {_line_count(one)} lines"
        for source in SOURCES
        for one in functions(source)
        if _line_count(one) > LONGEST_FUNCTION_LINES
    ]

    assert not long, "\n".join(long)


def test_functions_take_few_parameters() -> None:
    """Whoever needs more has found a value that wants a name."""
    many = [
        f"{source.at(one)}: {one.name} takes {_parameter_count(one)}"
        for source in SOURCES
        for one in functions(source)
        if _parameter_count(one) > MOST_PARAMETERS
    ]

    assert not many, "\n".join(many)


def test_every_test_says_its_promise() -> None:
    """A test without a sentence says what it does and not why anybody would mind."""
    silent = [
        f"{source.at(one)} {one.name}"
        for source in rooms("tests")
        if source.path.name.startswith("test_")
        for one in functions(source)
        if one.name.startswith("test_") and not ast.get_docstring(one)
    ]

    assert not silent, "\n".join(silent)


def test_every_file_with_code_says_its_idea() -> None:
    """A file is one idea, and the docstring says which."""
    silent = [
        source.place
        for source in SOURCES
        if source.tree.body and not ast.get_docstring(source.tree)
    ]

    assert not silent, "\n".join(silent)


def test_no_contract_between_rooms_has_an_exception() -> None:
    """An ignore list is where an architecture begins to end."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    excused = [one["name"] for one in contracts["contracts"] if "ignore_imports" in one]

    assert contracts["contracts"]
    assert not excused, "\n".join(excused)


def test_no_test_is_skipped_or_mocks() -> None:
    """A test that may fail unseen, or that tests its own stand-in, promises nothing."""
    excused = [
        source.at(node)
        for source in rooms("tests")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and dotted(node) in EXCUSES
    ]
    excused += [
        f"{source.at(one)} {one.name}"
        for source in rooms("tests")
        for one in functions(source)
        if any(argument.arg in PATCHES for argument in one.args.args)
    ]

    assert not excused, "\n".join(excused)


def test_every_name_of_others_is_still_in_use() -> None:
    """An exception that nobody needs any more must go."""
    used = {one.name for source in SOURCES for one in functions(source)}

    assert set(NAMES_OF_OTHERS) <= used


def _names(source: Source) -> Iterator[str]:
    if source.place != SHIPPED_FILE:
        yield source.path.stem
    yield from (one.name for one in classes(source))
    yield from (one.name for one in functions(source) if one.name not in NAMES_OF_OTHERS)


def _is_vague(name: str) -> bool:
    words = [word.lower() for word in WORD.findall(name)]
    return bool(VAGUE_WORDS.intersection(words)) or bool(words and words[0] in VAGUE_VERBS)


def _line_count(function: Function) -> int:
    end = function.end_lineno or function.lineno
    count = end - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        count -= (first.end_lineno or first.lineno) - first.lineno + 1
    return count


def _parameter_count(function: Function) -> int:
    given = function.args
    plain = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    named = [one for one in plain if one.arg not in {"self", "cls"}]
    return len(named) + (given.vararg is not None) + (given.kwarg is not None)
