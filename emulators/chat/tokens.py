"""Count tokens, and remember prompt prefixes as a context cache does, in whole units."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator

BYTES_PER_TOKEN = 4  # a rule of thumb for English; a real tokenizer would need a vocabulary
UNIT_TOKENS = 64
UNIT_BYTES = UNIT_TOKENS * BYTES_PER_TOKEN


def token_count(text: str) -> int:
    """Estimate the tokens of a text; a started token counts."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


class PrefixCache:
    """Units of UNIT_TOKENS seen before, each known together with everything that leads to it.

    Args:
        capacity: units remembered; the longest unused go first.
    """

    def __init__(self, capacity: int = 50_000) -> None:
        self._capacity = capacity
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def hit_tokens(self, owner: str, prompt: str) -> int:
        """Count the leading tokens seen before, and remember the whole prompt.

        Args:
            owner: callers with different owners share nothing.
            prompt: the conversation in one piece.

        Returns:
            A multiple of UNIT_TOKENS, at most `token_count(prompt)`.
        """
        hit_units = 0
        unbroken = True
        for unit in _units(owner, prompt):
            unbroken = unbroken and unit in self._seen
            hit_units += unbroken
            self._seen[unit] = None
            self._seen.move_to_end(unit)
        while len(self._seen) > self._capacity:
            self._seen.popitem(last=False)
        return hit_units * UNIT_TOKENS


def _units(owner: str, prompt: str) -> Iterator[bytes]:
    path = hashlib.sha256(owner.encode() + b"\0")
    encoded = prompt.encode()
    for start in range(0, len(encoded) - UNIT_BYTES + 1, UNIT_BYTES):
        path.update(encoded[start : start + UNIT_BYTES])
        yield path.digest()
