"""Arithmetic of finite fields: of a prime order, or of a power of two."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Irreducible polynomials over GF(2), as bits, for the fields with 2, 4, ... 256 elements.
IRREDUCIBLE = {
    2: 0b11,
    4: 0b111,
    8: 0b1011,
    16: 0b10011,
    32: 0b100101,
    64: 0b1000011,
    128: 0b10000011,
    256: 0b100011011,
}

Symbols = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FiniteField:
    """The field with `order` elements: a prime, or a power of two in IRREDUCIBLE."""

    order: int

    def add(self, left: Symbols, right: Symbols) -> Symbols:
        """Add element by element."""
        return left ^ right if self.order in IRREDUCIBLE else (left + right) % self.order

    def subtract(self, left: int, right: int) -> int:
        """Subtract one element from another."""
        return left ^ right if self.order in IRREDUCIBLE else (left - right) % self.order

    def multiply(self, left: int, right: int) -> int:
        """Multiply two elements."""
        if self.order not in IRREDUCIBLE:
            return left * right % self.order
        product = 0
        while right:
            product ^= left if right & 1 else 0
            left <<= 1
            left ^= IRREDUCIBLE[self.order] if left & self.order else 0
            right >>= 1
        return product

    def power(self, element: int, exponent: int) -> int:
        """Multiply an element `exponent` times with itself."""
        result = 1
        for _ in range(exponent):
            result = self.multiply(result, element)
        return result

    def invert(self, element: int) -> int:
        """Find what multiplies an element other than zero to one."""
        return self.power(element, self.order - 2)

    def scale(self, symbols: NDArray[np.signedinteger], factor: int) -> Symbols:
        """Multiply every symbol by one element."""
        products = [self.multiply(symbol, factor) for symbol in range(self.order)]
        return np.array(products, dtype=np.int64)[symbols]


def smallest_field(at_least: int) -> FiniteField:
    """Find the smallest field with that many elements."""
    return FiniteField(order=next(_orders(at_least)))


def _orders(at_least: int) -> Iterator[int]:
    order = max(at_least, 2)
    while True:
        if order in IRREDUCIBLE or _is_prime(order):
            yield order
        order += 1


def _is_prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))
