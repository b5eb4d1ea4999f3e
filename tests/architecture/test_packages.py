"""The wheel holds every package that ships, and nothing else."""

import tomllib
from typing import Any

from tests.architecture.source import OTHER_ROOMS, ROOT, SHIPPED_FILE, SHIPPED_ROOMS


def test_the_packages_of_the_wheel_are_the_packages_on_the_disk() -> None:
    """A forgotten room would be missing from the wheel, and found out at its first import."""
    on_disk = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for room in SHIPPED_ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }

    assert sorted(_setuptools()["packages"]) == sorted(on_disk)
    assert _setuptools()["py-modules"] == [SHIPPED_FILE.removesuffix(".py")]


def test_every_directory_with_python_files_is_a_package() -> None:
    """A directory without __init__.py imports from a checkout and not from the wheel."""
    without = {
        path.parent.relative_to(ROOT).as_posix()
        for room in (*SHIPPED_ROOMS, *OTHER_ROOMS)
        for path in (ROOT / room).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }

    assert not without, "\n".join(sorted(without))


def test_every_package_is_known_to_these_tests() -> None:
    """A room that neither ships nor is named as staying behind would escape every check here."""
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    unknown = sorted(rooms - {*SHIPPED_ROOMS, *OTHER_ROOMS})

    assert not unknown, f"name these in tests/architecture/source.py: {unknown}"


def _setuptools() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
