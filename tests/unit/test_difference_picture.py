"""The picture in the documentation is what the engine chooses today."""

from tests.support.difference_picture import PICTURE, draw


def test_the_picture_of_a_chosen_set_is_fresh() -> None:
    """`python -m tests.support.difference_picture` draws it again."""
    assert PICTURE.read_text() == draw()
