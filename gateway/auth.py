"""Who is calling: today one development key with one owner, and one key of the operator."""

import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from darkroom.domain.job import OwnerId
from darkroom.domain.tokens import is_same_token
from darkroom.settings import Settings

KEY_BYTES = 24
OPERATOR = OwnerId("operator")  # owns the jobs that the operator's key submits


class Role(StrEnum):
    """What the holder of a key may do."""

    USER = "user"  # submit jobs, and see and steer their own
    OPERATOR = "operator"  # also see and steer everybody's, and run the house


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever proved to hold a key."""

    owner: OwnerId
    roles: frozenset[Role] = frozenset({Role.USER})

    @property
    def may_operate(self) -> bool:
        """Say whether they may intervene in what is not theirs."""
        return Role.OPERATOR in self.roles

    @property
    def sees(self) -> OwnerId | None:
        """Name the owner whose jobs they may look at and steer; None for everybody's."""
        return None if self.may_operate else self.owner


class Keys(Protocol):
    """Which tokens are valid, and whose they are."""

    def caller(self, token: str) -> Caller | None:
        """Say who holds this token."""
        ...


class DevelopmentKeys:
    """The keys of a development gateway."""

    def __init__(self, callers: dict[str, Caller]) -> None:
        self._callers = callers

    def caller(self, token: str) -> Caller | None:
        """Say who holds this token; compares with every key, in constant time."""
        matching = [one for key, one in self._callers.items() if is_same_token(token, key)]
        return matching[0] if matching else None


def development_keys(settings: Settings) -> tuple[DevelopmentKeys, dict[str, str]]:
    """Take the keys from the settings, or make them.

    Returns:
        The keys' check, and by their name those that were made here and somebody must see.

    Raises:
        ValueError: one key would open both doors.
    """
    given = {
        "development key": settings.darkroom_dev_key,
        "operator key": settings.darkroom_operator_key,
    }
    made = {name: f"dk_{_fresh()}" for name, key in given.items() if key is None}
    known = {name: key.get_secret_value() for name, key in given.items() if key} | made
    owner = Caller(owner=OwnerId(settings.darkroom_dev_owner))
    operator = Caller(owner=OPERATOR, roles=frozenset({Role.USER, Role.OPERATOR}))
    callers = {known["development key"]: owner, known["operator key"]: operator}
    if len(callers) < len(known):
        raise ValueError(
            "DARKROOM_DEV_KEY and DARKROOM_OPERATOR_KEY are the same; set one of them to another"
        )
    return DevelopmentKeys(callers), made


def _fresh() -> str:
    return secrets.token_urlsafe(KEY_BYTES)
