"""One picture of a job, from a combination to stored bytes."""

from dataclasses import dataclass, replace
from enum import StrEnum

from darkroom.domain.errors import Failure
from darkroom.domain.job import Combination, JobRequest


class ItemState(StrEnum):
    """What an item has reached; a finished item is never worked on again."""

    PLANNED = "planned"
    PROMPTED = "prompted"
    STORED = "stored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPicture:
    """What a decoder says of bytes: format is png, jpeg, webp or avif; sizes in pixels."""

    format: str
    media_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPicture:
    """A picture that is ours: content-addressed, with a thumbnail beside it."""

    sha256: str
    thumbnail_sha256: str
    media_type: str
    width: int
    height: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One combination (and variant) on its way to one picture."""

    key: str  # four digits, counted from 0001 in the order of the request
    combination: Combination
    variant: str = ""
    state: ItemState = ItemState.PLANNED
    prompt_key: str = ""  # hash under which the prompt cache holds the text
    take: int = 1
    attempts: int = 0  # failed attempts so far, over all runs
    picture: StoredPicture | None = None
    failure: Failure | None = None

    @property
    def is_finished(self) -> bool:
        """Say whether the item is over, for better or worse."""
        return self.state in {ItemState.STORED, ItemState.FAILED}


def plan_items(request: JobRequest, combinations: tuple[Combination, ...]) -> tuple[Item, ...]:
    """Number one item per combination and variant, in the order of the request."""
    variants = request.variants or ("",)
    pairs = [(combination, variant) for combination in combinations for variant in variants]
    return tuple(
        Item(key=f"{number:04d}", combination=combination, variant=variant)
        for number, (combination, variant) in enumerate(pairs, start=1)
    )


def revived(item: Item, *, renews_prompt: bool = False, opens_take: bool = False) -> Item:
    """Put an item back to where a retry takes it up again.

    Args:
        item: as the run before left it.
        renews_prompt: have it prompted anew.
        opens_take: buy it anew, whatever became of the purchases so far.
    """
    prompt_key = "" if renews_prompt else item.prompt_key
    return replace(
        item,
        state=ItemState.PROMPTED if prompt_key else ItemState.PLANNED,
        prompt_key=prompt_key,
        take=item.take + opens_take,
        picture=None,
        failure=None,
    )
