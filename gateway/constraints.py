"""Constraints on the wire: what may be wrong with one, what it means, how it is written again.

One is `{"forbid": {"weather": "snowy", "angle": "aerial"}}`, not all of these at once;
`{"require": {"month": ["june", "july"]}}`, one of these in every combination;
`{"if": {"region": "Harbin"}, "then": {"month": "june"}}`, where the first, also the second;
or `{"atMost": 1, "of": [{"weather": "rainy"}, {"timeOfDay": "night"}]}`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, assert_never

from darkroom.domain.difference import AtMost, Condition, Constraint, Forbid, Imply, Require
from gateway.faults import Fault
from gateway.schemas import ConditionBody, ConstraintBody, DimensionBody

Json: TypeAlias = dict[str, Any]
Dimensions: TypeAlias = Mapping[str, DimensionBody]

KINDS = (("forbid",), ("require",), ("if", "then"), ("atMost", "of"))
SHOWN_OPTIONS = 20


def constraint_faults(
    constraint: ConstraintBody, field: str, dimensions: Dimensions
) -> Iterator[Fault]:
    """Find what is wrong with a constraint: of no single kind, or naming what there is not."""
    given = constraint.model_dump(by_alias=True, exclude_none=True).keys()
    if tuple(name for kind in KINDS for name in kind if name in given) not in KINDS:
        yield Fault(
            field=field,
            message=f"is no constraint of one kind: it has {', '.join(given) or 'nothing'}",
            remedy="send forbid, or require, or if with then, or atMost with of",
        )
    for name, option in (constraint.forbid or {}).items():
        yield from named_faults(f"{field}.forbid", {name: (option,)}, dimensions)
    for part in ("require", "when", "then"):
        alias = ConstraintBody.model_fields[part].alias or part
        yield from named_faults(f"{field}.{alias}", getattr(constraint, part) or {}, dimensions)
    for place, condition in enumerate(constraint.of or ()):
        yield from named_faults(f"{field}.of.{place}", condition, dimensions)
    yield from _idle_faults(constraint, field)


def condition_count(constraint: ConstraintBody) -> int:
    """Say how many conditions have to be looked at for a constraint."""
    return max(
        1, len(constraint.of or ()), len(constraint.then or ()), len(constraint.require or ())
    )


def named_faults(
    field: str, condition: Mapping[str, tuple[str, ...]], dimensions: Dimensions
) -> Iterator[Fault]:
    """Find dimensions and options that a request names but does not have."""
    for name, options in condition.items():
        if name not in dimensions:
            known = ", ".join(dimensions)
            yield Fault(
                field=f"{field}.{name}",
                message="is not a dimension",
                remedy=f"name one of: {known}",
            )
            continue
        for option in options:
            if option not in dimensions[name].options:
                yield Fault(
                    field=f"{field}.{name}",
                    message=f"{option!r} is not an option of {name}",
                    remedy=f"name one of: {_some(dimensions[name].options)}",
                )


def _idle_faults(constraint: ConstraintBody, field: str) -> Iterator[Fault]:
    conditions = len(constraint.of or ())
    if conditions and constraint.at_most is not None and constraint.at_most >= conditions:
        yield Fault(
            field=f"{field}.atMost",
            message="is no limit: there are not more conditions than that",
            remedy=f"send at most {conditions - 1}, or leave the constraint out",
        )


def _some(options: tuple[str, ...]) -> str:
    return ", ".join(options[:SHOWN_OPTIONS]) + (", ..." if len(options) > SHOWN_OPTIONS else "")


def constraint_of(body: ConstraintBody) -> Constraint:
    """Read a constraint without faults."""
    if body.forbid is not None:
        return Forbid(forbid=tuple(body.forbid.items()))
    if body.require is not None:
        return Require(require=_condition(body.require))
    if body.when is not None and body.then is not None:
        return Imply(when=_condition(body.when), then=_condition(body.then))
    return AtMost(most=body.at_most or 0, of=tuple(map(_condition, body.of or ())))


def _condition(body: ConditionBody) -> Condition:
    return tuple(body.items())


def constraint_json(constraint: Constraint) -> Json:
    """Write a constraint as it may be sent again."""
    match constraint:
        case Forbid():
            return {"forbid": dict(constraint.forbid)}
        case Require():
            return {"require": _condition_json(constraint.require)}
        case Imply():
            return {
                "if": _condition_json(constraint.when),
                "then": _condition_json(constraint.then),
            }
        case AtMost():
            return {
                "atMost": constraint.most,
                "of": [_condition_json(one) for one in constraint.of],
            }
        case _:
            assert_never(constraint)


def _condition_json(condition: Condition) -> Json:
    """Write a single option as itself, as most callers do."""
    return {name: _one_or_more(options) for name, options in condition}


def _one_or_more(options: tuple[str, ...]) -> list[str] | str:
    return list(options) if len(options) != 1 else next(iter(options))
