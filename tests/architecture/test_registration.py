"""Every workflow and activity that is written is served, and nothing else is."""

import ast
from collections.abc import Iterator

from tests.architecture.source import (
    ROOT,
    SHIPPED_FILE,
    classes,
    decorators,
    functions,
    read_source,
    rooms,
)

WORKER = read_source(ROOT / SHIPPED_FILE)


def test_every_workflow_is_registered() -> None:
    """A workflow without a worker would take jobs and never begin them."""
    written = {
        one.name
        for source in rooms("workflows")
        for one in classes(source)
        if "workflow.defn" in decorators(one)
    }

    assert written
    assert written == set(_registered("workflows"))


def test_every_activity_is_registered() -> None:
    """An activity without a worker would hold up every job that calls it."""
    written = {
        f"{owner.name}.{one.name}"
        for source in rooms("activities")
        for owner in classes(source)
        for one in owner.body
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        and "activity.defn" in decorators(one)
    }

    assert written
    assert written == set(_built_by("_job_steps", "_queue_steps", "_upkeep_steps"))


def test_every_activity_is_a_method() -> None:
    """Ports come in through __init__; a free function could only open its own."""
    loose = [
        source.at(one)
        for source in rooms("activities", "workflows")
        for one in functions(source)
        if "activity.defn" in decorators(one) and one not in _methods(source.tree)
    ]

    assert not loose, "\n".join(loose)


def _methods(tree: ast.Module) -> list[ast.stmt]:
    return [one for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for one in node.body]


def _registered(kind: str) -> Iterator[str]:
    """Read what worker.py hands to its Worker under a keyword."""
    for node in ast.walk(WORKER.tree):
        match node:
            case ast.Call(func=ast.Name(id="Worker"), keywords=keywords):
                for keyword in keywords:
                    if keyword.arg == kind:
                        yield from _names(keyword.value)
            case _:
                pass


def _built_by(*names: str) -> Iterator[str]:
    """Read the activities that functions of worker.py build and hand on."""
    found = [one for one in functions(WORKER) if one.name in names]
    assert {one.name for one in found} == set(names)
    for one in found:
        built = [node.value for node in ast.walk(one) if isinstance(node, ast.Return)]
        match built:
            case [ast.Tuple() as activities]:
                yield from _names(activities)
            case _:
                raise AssertionError(f"{WORKER.at(one)}: cannot read what is registered here")


def _names(value: ast.expr) -> Iterator[str]:
    match value:
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            for element in elements:
                yield from _names(element)
        case ast.Name(id=name) if name[0].isupper():
            yield name
        case ast.Attribute(value=ast.Call(func=ast.Name(id=owner)), attr=method):
            yield f"{owner}.{method}"
        case _:
            raise AssertionError(f"{WORKER.at(value)}: cannot read what is registered here")
