"""Domain values that are kept as JSON come back as they were."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from darkroom.domain.checkpoint import JobSnapshot
from darkroom.domain.errors import Failure
from darkroom.domain.events import JobEvent
from darkroom.domain.items import Item
from darkroom.domain.job import JobStart
from darkroom.store.columns import JsonOf

DIALECT = sqlite.dialect()  # the type does the same on every one
CENTURY = timedelta(days=36_500)  # written as float seconds: exact to the microsecond until 2^53
st.register_type_strategy(timedelta, st.timedeltas(-CENTURY, CENTURY))
st.register_type_strategy(float, st.floats(allow_nan=False))  # the door lets no NaN in

VALUES = st.one_of(
    *(st.from_type(kind) for kind in (JobStart, JobSnapshot, JobEvent, Item, Failure))
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=VALUES)
def test_every_value_comes_back_and_is_written_the_same_again(value: object) -> None:
    """Equal as a value, and equal to the letter: a digest of what was read still matches."""
    column = JsonOf(type(value))
    text = column.process_bind_param(value, DIALECT)

    back = column.process_result_value(text, DIALECT)

    assert back == value
    assert type(back) is type(value)
    assert column.process_bind_param(back, DIALECT) == text


def test_an_empty_column_is_none() -> None:
    """What was not kept is not invented."""
    column = JsonOf(Item)

    assert column.process_bind_param(None, DIALECT) is None
    assert column.process_result_value(None, DIALECT) is None
