"""The command line: `python -m emulators --port 8400 --seed 7`."""

import argparse
import asyncio
import dataclasses
import signal
import socket
import sys
from collections.abc import Mapping, Sequence

from emulators.options import MEANING, EmulatorOptions
from emulators.serving import QuietServer, address_of, bind, server_for

ADDRESS_REFUSED = 2  # exit status
KINDS: Mapping[str, type] = {str(kind): kind for kind in (int, float)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal.

    Returns:
        0 after a signal, 2 when the address cannot be had.
    """
    options = read_options(arguments)
    try:
        listener = bind(options.host, options.port)
    except OSError as refused:
        sys.stderr.write(
            f"emulators: cannot listen on {options.host} port {options.port} "
            f"({refused.strerror}); stop what holds it or choose another with --port\n"
        )
        return ADDRESS_REFUSED
    server = server_for(options)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_serve(server, listener))
    return 0


def read_options(arguments: Sequence[str] | None = None) -> EmulatorOptions:
    """Read the options; each field of EmulatorOptions has a flag of the same name."""
    parser = argparse.ArgumentParser(
        prog="python -m emulators",
        description="Stand-ins for DeepSeek, Gemini and nanobananaapi.ai on one address.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for field in dataclasses.fields(EmulatorOptions):
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            type=KINDS.get(str(field.type), str),
            default=field.default,
            help=field.metadata[MEANING],
        )
    return EmulatorOptions(**vars(parser.parse_args(arguments)))


async def _serve(server: QuietServer, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    sys.stdout.write(f"emulators: listening on {address_of(listener)}\n")
    sys.stdout.flush()
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
