"""`make bench`: measure, and print one JSON line a figure."""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping

from bench import admission, differentiation, event_latency, makespan, recovery, throughput
from bench.figures import Figure, show
from darkroom.runtime.exits import leave

SCENARIOS: Mapping[str, Callable[[], AsyncGenerator[Figure]]] = {
    "throughput": throughput.measure,
    "event_latency": event_latency.measure,
    "makespan": makespan.measure,
    "recovery": recovery.measure,
    "admission": admission.measure,
    "differentiation": differentiation.measure,
}
ALL = "all"


async def run(chosen: str) -> None:
    """Run one scenario, or all of them one after another."""
    for name, measure in SCENARIOS.items():
        if chosen in {name, ALL}:
            async for figure in measure():
                show(figure)


def main() -> None:
    """Measure; the process fails when it could not, not when a target is missed."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure Darkroom here.")
    parser.add_argument("scenario", nargs="?", choices=(*SCENARIOS, ALL), default=ALL)
    asyncio.run(run(parser.parse_args().scenario))


if __name__ == "__main__":
    main()
    leave(0)
