"""`make demo`: start the stack, run one job over the public API, and show what came of it."""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from darkroom.runtime.exits import leave
from darkroom.settings import EmbeddedSettings
from deploy.embedded.api import Api, DemoFailed, Job
from deploy.embedded.children import NotReady
from deploy.embedded.following import Watched, follow
from deploy.embedded.layout import Layout, plan_layout
from deploy.embedded.ports import is_free, with_free_ports
from deploy.embedded.stack import describe, running_stack
from emulators.sample_product import draw_sample_product

SAMPLE_REQUEST = Path(__file__).parent / "demo_request.json"
MICROS = 1_000_000
BROKEN = 1


def read_arguments() -> Path:
    """Read which request to run."""
    parser = argparse.ArgumentParser(
        prog="make demo", description="Run one job on the embedded stack."
    )
    parser.add_argument("request", nargs="?", type=Path, default=SAMPLE_REQUEST)
    return parser.parse_args().request


def read_request(path: Path) -> dict[str, Any]:
    """Read a job request.

    Raises:
        DemoFailed: the file is missing, or is not a JSON object.
    """
    try:
        request = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DemoFailed(f"{path} cannot be read as a request: {error}") from error
    if not isinstance(request, dict):
        raise DemoFailed(f"{path} must hold one JSON object, as POST /v1/jobs takes it")
    return request  # pyright: ignore[reportUnknownVariableType] -- JSON; the door checks it


def plan_demo(settings: EmbeddedSettings) -> Layout:
    """Use the usual ports and data; beside a stack that is up, free ports and data of our own."""
    layout = plan_layout(settings)
    if all(is_free(port) for port in layout.ports().values()):
        return layout
    moved = with_free_ports(layout)
    apart = settings.var_dir / f"demo-{moved.gateway_port}"
    return with_free_ports(plan_layout(settings.model_copy(update={"var_dir": apart})))


async def run(request_path: Path) -> None:
    """Run one job from a request to files.

    Raises:
        NotReady: the stack did not come up.
        DemoFailed: the request was refused, or the job did not complete.
    """
    began = time.monotonic()
    settings = EmbeddedSettings()
    request = read_request(request_path)
    layout = plan_demo(settings)
    _say("starting Temporal, gateway, worker and emulators")
    async with running_stack(layout, settings), Api(layout) as api:
        _say(describe(layout, settings))
        if request_path == SAMPLE_REQUEST:
            request["product"] = [await api.upload("lamp.png", draw_sample_product())]
        submitted = await api.submit(request)
        _say(f"\n{submitted.job_id}: {submitted.picture_count} pictures")
        watched = await follow(layout, submitted, began=began)
        job = await api.finished(submitted.job_id)
        files = await api.fetch_pictures(job, into=settings.out_dir / job.job_id)
    _say(summary(job, files, watched))


def summary(job: Job, files: list[Path], watched: Watched) -> str:
    """Say what the job left behind."""
    lines = ["", *(str(path) for path in files)]
    lines.append(f"cost           ${job.spent_micros / MICROS:.4f} (emulated; no money was spent)")
    if watched.first_picture_seconds is not None:
        lines.append(
            f"first picture  {watched.first_picture_seconds:.1f} s after the start of the stack"
        )
    lines.append("keep looking   make up")
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the demo; answers the exit code."""
    try:
        asyncio.run(run(read_arguments()))
    except (NotReady, DemoFailed) as error:
        sys.stderr.write(f"make demo: {error}\n")
        return BROKEN
    except KeyboardInterrupt:
        return BROKEN
    return 0


if __name__ == "__main__":
    leave(main())
