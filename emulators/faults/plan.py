"""The plan in force: counts the calls each rule matches and says which rules fire."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from emulators.faults.rule import Endpoint, Rule, When
from emulators.faults.rules import AnyRule

R = TypeVar("R", bound=Rule)


@dataclass(frozen=True, slots=True)
class Fired:
    """The rules that befall one call; all of them do, and of two alike the first."""

    rules: tuple[Rule, ...] = ()

    def and_also(self, other: "Fired") -> "Fired":
        """Add the rules that befell the same call elsewhere."""
        return Fired(self.rules + other.rules)

    def first(self, kind: type[R]) -> R | None:
        """Find the rule of this kind."""
        return next((rule for rule in self.rules if isinstance(rule, kind)), None)


NOTHING = Fired()


@dataclass(slots=True, kw_only=True)
class _Counted:
    rule: Rule
    chance: random.Random
    matched_count: int = 0
    fired_count: int = 0

    def meets(self, call_text: str) -> bool:
        """Count a call of the rule's endpoint and decide whether the rule fires."""
        if self.rule.match is not None and self.rule.match not in call_text:
            return False
        self.matched_count += 1
        if not _is_due(self.rule.when, nth=self.matched_count, chance=self.chance):
            return False
        if self.rule.times is not None and self.fired_count >= self.rule.times:
            return False
        self.fired_count += 1
        return True


class FaultPlan:
    """Rules in order, with their counts since they were put.

    Args:
        seed: of the rules that fire by probability; each rule has its own stream.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counted: list[_Counted] = []

    def put(self, rules: Sequence[AnyRule]) -> None:
        """Replace the plan; every count starts at zero."""
        self._counted = [
            _Counted(rule=rule, chance=random.Random(f"{self._seed}/{place}"))  # noqa: S311  (seeded faults, no secret)
            for place, rule in enumerate(rules)
        ]

    def meet(self, endpoint: Endpoint, *call_texts: str | None) -> Fired:
        """Let a call meet the plan.

        Args:
            endpoint: where the call came in.
            call_texts: what `match` searches: the prompt and X-Darkroom-Call.
        """
        if not self._counted:
            return NOTHING
        call_text = "\n".join(text for text in call_texts if text)
        mine = [counted for counted in self._counted if counted.rule.endpoint == endpoint]
        return Fired(tuple(counted.rule for counted in mine if counted.meets(call_text)))

    def report(self) -> list[dict[str, Any]]:
        """Show each rule as it was put, with how many calls it matched and befell."""
        return [
            {
                **counted.rule.model_dump(exclude_none=True),
                "matched": counted.matched_count,
                "fired": counted.fired_count,
            }
            for counted in self._counted
        ]


def _is_due(when: When, *, nth: int, chance: random.Random) -> bool:
    if when.probability is not None:
        return chance.random() < when.probability
    if when.nth is None:
        return True
    return nth in (when.nth if isinstance(when.nth, tuple) else (when.nth,))
