"""Wait for what a test expects, by asking again instead of sleeping blindly."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

T = TypeVar("T")

ASK_AGAIN_SECONDS = 0.02


async def eventually(
    ask: Callable[[], T | Awaitable[T]], *, within_seconds: float = 10.0, what: str = "it"
) -> T:
    """Ask until the answer is truthy.

    Returns:
        The first truthy answer.

    Raises:
        AssertionError: no truthy answer came in time; the last answer is shown.
    """
    answer: T | None = None
    try:
        async with asyncio.timeout(within_seconds):
            while True:
                asked = ask()
                answer = cast("T", await asked if inspect.isawaitable(asked) else asked)
                if answer:
                    return answer
                await asyncio.sleep(ASK_AGAIN_SECONDS)
    except TimeoutError:
        raise AssertionError(f"{what} did not happen in {within_seconds} s: {answer!r}") from None
