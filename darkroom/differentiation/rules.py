"""Constraints in numbers: which words break them.

Every constraint becomes rules of one form: of some patterns, at most so many may occur. A
pattern occurs in a word that has, in every dimension it names, one of the options it names.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from darkroom.differentiation.measures import Mask
from darkroom.domain.difference import (
    AtMost,
    Condition,
    Constraint,
    Dimension,
    Forbid,
    Imply,
    Require,
)

Column: TypeAlias = NDArray[np.signedinteger[Any]]  # (words,): option numbers of one dimension
Columns: TypeAlias = Mapping[int, Column]  # by dimension number

# Dimension number -> option numbers. Without dimensions it occurs everywhere.
Pattern: TypeAlias = dict[int, frozenset[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Of these patterns, at most `most` may occur in one word."""

    patterns: tuple[Pattern, ...]
    most: int = 0

    @property
    def dimensions(self) -> frozenset[int]:
        """Numbers of the dimensions that decide."""
        return frozenset(dimension for pattern in self.patterns for dimension in pattern)

    def within(self, known: frozenset[int]) -> "Rule | None":
        """Keep what can be judged when only these dimensions are known; None if nothing can."""
        judged = tuple(pattern for pattern in self.patterns if known.issuperset(pattern))
        return Rule(patterns=judged, most=self.most) if len(judged) > self.most else None

    def broken(self, columns: Columns, count: int) -> Mask:
        """Mark which of `count` words break it."""
        if len(self.patterns) == 1:
            return _occurs(self.patterns[0], columns, count)
        occurring = np.zeros(count, dtype=np.int16)
        for pattern in self.patterns:
            occurring += _occurs(pattern, columns, count)
        return occurring > self.most


def _occurs(pattern: Pattern, columns: Columns, count: int) -> Mask:
    found = np.ones(count, dtype=np.bool_)
    for dimension, options in pattern.items():
        column = columns[dimension]
        if len(options) == 1:
            found &= column == next(iter(options))
        else:
            named = np.zeros(max(int(column.max(initial=0)), *options) + 1, dtype=np.bool_)
            named[list(options)] = True
            found &= named[column]
    return found


def breaks_any(columns: Columns, count: int, rules: Sequence[Rule]) -> Mask:
    """Mark which of `count` words break some rule."""
    broken = np.zeros(count, dtype=np.bool_)
    for rule in rules:
        broken |= rule.broken(columns, count)
    return broken


class Numbering:
    """Names of dimensions and options as numbers."""

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self._options = {
            (d.name, option): (i, n)
            for i, d in enumerate(dimensions)
            for n, option in enumerate(d.options)
        }
        self._dimensions = {d.name: (i, len(d.options)) for i, d in enumerate(dimensions)}

    def rules(self, constraints: Sequence[Constraint]) -> list[Rule]:
        """Turn constraints into rules, without those that no word can break."""
        return [rule for constraint in constraints for rule in self._rules(constraint)]

    def _rules(self, constraint: Constraint) -> Iterator[Rule]:
        match constraint:
            case Forbid():
                pairs = tuple((name, (option,)) for name, option in constraint.forbid)
                pattern = self._pattern(pairs) if pairs else None
                yield from () if pattern is None else (Rule(patterns=(pattern,)),)
            case Require():
                yield from self._demand({}, constraint.require)
            case Imply():
                when = self._pattern(constraint.when)
                yield from () if when is None else self._demand(when, constraint.then)
            case AtMost():
                found = (self._pattern(condition) for condition in constraint.of)
                yield from _cap([one for one in found if one is not None], constraint.most)
            case _:
                assert_never(constraint)

    def _pattern(self, condition: Condition) -> Pattern | None:
        """Number a condition; None if it can never be met."""
        pattern: Pattern = {}
        for name, options in condition:
            if name not in self._dimensions:
                return None
            dimension, named = self._named(name, options)
            pattern[dimension] = pattern.get(dimension, named) & named
        return pattern if all(pattern.values()) else None

    def _named(self, name: str, options: Sequence[str]) -> tuple[int, frozenset[int]]:
        known = (self._options.get((name, option)) for option in options)
        numbers = frozenset(number for found in known if found for number in found[1:])
        return self._dimensions[name][0], numbers

    def _demand(self, when: Pattern, condition: Condition) -> Iterator[Rule]:
        """Forbid, where `when` occurs, whatever the condition does not name."""
        for name, options in condition:
            if name not in self._dimensions:
                yield Rule(patterns=(when,))
                continue
            dimension, named = self._named(name, options)
            others = frozenset(range(self._dimensions[name][1])) - named
            others &= when.get(dimension, others)
            if others:
                yield Rule(patterns=({**when, dimension: others},))


def _cap(patterns: Sequence[Pattern], most: int) -> Iterator[Rule]:
    if most <= 0:
        yield from (Rule(patterns=(pattern,)) for pattern in patterns)
    elif len(patterns) > most:
        yield Rule(patterns=tuple(patterns), most=most)


def usable_options(dimensions: Sequence[Dimension], rules: Sequence[Rule]) -> list[tuple[int, ...]]:
    """List the options of each dimension that no rule forbids by themselves."""
    alone = [rule.patterns[0] for rule in rules if len(rule.patterns) == 1]
    if {} in alone:  # what occurs everywhere is forbidden
        return [() for _ in dimensions]
    banned = {
        (dimension, option)
        for pattern in alone
        if len(pattern) == 1
        for dimension, options in pattern.items()
        for option in options
    }
    return [
        tuple(n for n in range(len(dimension.options)) if (i, n) not in banned)
        for i, dimension in enumerate(dimensions)
    ]
