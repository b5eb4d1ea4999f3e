"""The gateway as a process: how it starts, what it says, and how it ends."""

import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from darkroom.settings import environment_with
from tests.support.subprocesses import ended, free_port, wait_for_answer

pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

WITHIN_SECONDS = 60


def environment(port: int, *, database_url: str, directory: Path, **changes: str) -> dict[str, str]:
    """Set what a gateway of a test needs, and nothing of the machine's own."""
    return environment_with(
        {
            "WS_PORT": str(port),
            "DATABASE_URL": database_url,
            "FILES_URL": f"file://{directory / 'files'}",
            "SIGNING_SECRET": "a secret of the test",
            "DARKROOM_DEV_KEY": "",
            "DARKROOM_OPERATOR_KEY": "",
            **changes,
        }
    )


@contextmanager
def started(variables: dict[str, str]) -> Generator["subprocess.Popen[bytes]"]:
    """Run `python -m gateway` while the block runs."""
    command = [sys.executable, "-m", "gateway"]
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(command, env=variables, stdout=pipe, stderr=pipe) as process,  # noqa: S603 -- our own program
        ended(process),
    ):
        yield process


@pytest.fixture
def port() -> int:
    """A port that is free."""
    return free_port()


@pytest.fixture
def variables(port: int, sqlite_url: str, temporal_address: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a gateway that can start."""
    return environment(
        port, database_url=sqlite_url, directory=tmp_path, TEMPORAL_ADDRESS=temporal_address
    )


def test_gateway_starts_prints_its_keys_once_and_ends_when_asked(
    variables: dict[str, str], port: int
) -> None:
    """Without keys in the settings it makes both; SIGTERM ends it with success."""
    with started(variables) as process:
        wait_for_answer(f"http://127.0.0.1:{port}/livez", process)
        assert process.stdout
        lines = [process.stdout.readline().decode() for _ in range(2)]
        keys = [line.rpartition(" ")[2].strip() for line in lines]
        answers = [
            httpx.get(f"http://127.0.0.1:{port}{path}", headers={"X-API-Key": key}, trust_env=False)
            for key in keys
            for path in ("/v1/jobs", "/v1/admin/providers")
        ]
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=WITHIN_SECONDS)

    assert "development key" in lines[0]
    assert "operator key" in lines[1]
    assert [answer.status_code for answer in answers] == [200, 403, 200, 200]
    assert process.returncode == 0
    assert not any(key.encode() in printed for key in keys)


def test_one_key_for_two_doors_is_refused(variables: dict[str, str]) -> None:
    """Else everybody who holds it would run the house."""
    same = {"DARKROOM_DEV_KEY": "the-same", "DARKROOM_OPERATOR_KEY": "the-same"}
    with started({**variables, **same}) as process:
        _, logged = process.communicate(timeout=WITHIN_SECONDS)

    assert process.returncode == 2
    assert b"DARKROOM_OPERATOR_KEY" in logged
    assert b"the-same" not in logged


def test_taken_port_is_one_clear_line(variables: dict[str, str], port: int) -> None:
    """Exit code 2, the port, and what to do; a given key is never printed."""
    with started({**variables, "DARKROOM_DEV_KEY": "a-given-key"}) as first:
        wait_for_answer(f"http://127.0.0.1:{port}/livez", first)
        with started(variables) as second:
            printed, logged = second.communicate(timeout=WITHIN_SECONDS)
        first.send_signal(signal.SIGINT)
        said, noted = first.communicate(timeout=WITHIN_SECONDS)

    assert second.returncode == 2
    assert printed == b""
    (line,) = logged.decode().splitlines()
    assert str(port) in line
    assert "WS_PORT" in line
    assert first.returncode == 0
    assert b"a-given-key" not in said + noted


@pytest.mark.parametrize(
    ("name", "value"),
    [("SIGNING_SECRET", ""), ("WS_PORT", "99999"), ("RETRY_STRATEGIES", '{"all": "linear"}')],
)
def test_wrong_setting_is_named(variables: dict[str, str], name: str, value: str) -> None:
    """A value that makes no sense stops the process with a message that names it."""
    with started({**variables, name: value}) as process:
        _, logged = process.communicate(timeout=WITHIN_SECONDS)

    assert process.returncode == 2
    assert name.lower() in logged.decode().lower()
    assert b"Traceback" not in logged
