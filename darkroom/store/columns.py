"""How a domain value becomes a column and comes back."""

from typing import Any, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from darkroom.domain.events import canonical_json

T = TypeVar("T")


class JsonOf(TypeDecorator[T]):
    """A column that keeps one kind of domain value as canonical JSON text.

    Text and not a JSON type: both databases then keep the very bytes that were written, and
    one validation reads them without a detour over dictionaries.
    """

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[T]) -> None:
        """Keep values of `kind`, a dataclass of the domain."""
        super().__init__()
        self.kind = kind  # under the parameter's name: part of SQLAlchemy's cache key
        self._adapter = TypeAdapter(kind)

    def process_bind_param(self, value: T | None, dialect: Dialect) -> str | None:
        """Write a value; SQLAlchemy calls this."""
        del dialect
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> T | None:
        """Read a value; SQLAlchemy calls this."""
        del dialect
        return None if value is None else self._adapter.validate_json(value)
