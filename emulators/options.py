"""Every knob of the emulators, once. Read from the command line, never from the environment."""

from dataclasses import dataclass, field
from typing import Any

MEANING = "meaning"


def _knob(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={MEANING: meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorOptions:
    """Knobs with the values of a pleasant demo; tests and benchmarks set the times to zero."""

    host: str = _knob("127.0.0.1", "address to listen on")
    port: int = _knob(8400, "port to listen on; 0 takes any free one")
    seed: int = _knob(7, "same seed and same calls: same answers, pictures and faults")
    chat_seconds: float = _knob(0.3, "from acceptance of a chat to its answer")
    picture_seconds: float = _knob(1.5, "from acceptance of a picture to its end, +-20 %%")
    picture_pixels: int = _knob(1024, "side of a square 1K picture; 2K and 4K are 2 and 4 times it")
    result_ttl_seconds: float = _knob(600.0, "how long a finished picture can be downloaded")
    api_key: str | None = _knob(None, "the only key let in; without it any key is let in")
    credits: int = _knob(100_000, "picture account before any purchase, in credits")
    chat_balance_micros: int = _knob(100_000_000, "chat account before any purchase, in 1e-6 USD")
