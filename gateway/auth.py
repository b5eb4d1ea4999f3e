"""Who is calling: today one development key with one owner."""

import secrets
from dataclasses import dataclass
from typing import Protocol

from darkroom.domain.job import OwnerId
from darkroom.domain.tokens import is_same_token
from darkroom.settings import Settings

KEY_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever proved to hold a key; sees what this owner owns and nothing else."""

    owner: OwnerId


class Keys(Protocol):
    """Which tokens are valid, and whose they are."""

    def caller(self, token: str) -> Caller | None:
        """Say who holds this token."""
        ...


class DevelopmentKey:
    """The one key of a development gateway."""

    def __init__(self, *, key: str, owner: OwnerId) -> None:
        self._key = key
        self._caller = Caller(owner=owner)

    def caller(self, token: str) -> Caller | None:
        """Say who holds this token; compares in constant time."""
        return self._caller if is_same_token(token, self._key) else None


def development_key(settings: Settings) -> tuple[DevelopmentKey, str | None]:
    """Take the key from the settings, or make one.

    Returns:
        The key's check, and the key itself when it was made here and somebody must see it.
    """
    owner = OwnerId(settings.darkroom_dev_owner)
    given = settings.darkroom_dev_key
    if given is not None:
        return DevelopmentKey(key=given.get_secret_value(), owner=owner), None
    made = f"dk_dev_{secrets.token_urlsafe(KEY_BYTES)}"
    return DevelopmentKey(key=made, owner=owner), made
