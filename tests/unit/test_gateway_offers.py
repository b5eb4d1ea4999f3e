"""Which providers and models a job may ask for, and what it is told it will cost."""

from typing import Any

import pytest

from darkroom.settings import Settings
from gateway.acceptance import Accepted, accept
from gateway.errors import Problem
from gateway.schemas import JobBody
from tests.support.gateways import a_body

WITH_KEY = Settings.model_validate({"gemini_api_key": "key"})
WITHOUT_KEY = Settings.model_validate({"gemini_api_key": None})


def accepted(settings: Settings = WITH_KEY, **image: Any) -> Accepted:
    """Accept a body whose image says this."""
    return accept(JobBody.model_validate(a_body(image=image)), settings)


def faults_of(
    image: dict[str, str], settings: Settings = WITH_KEY, *, product_count: int = 0
) -> set[str]:
    """Name the fields that are wrong."""
    product = [f"file_{number}" for number in range(product_count)]
    with pytest.raises(Problem) as refused:
        accept(JobBody.model_validate(a_body(image=image, product=product)), settings)
    return {fault.field for fault in refused.value.faults}


def test_gemini_is_on_offer_when_it_has_a_key() -> None:
    """Who names no model gets the operator's."""
    image = accepted(provider="gemini").request.image

    assert (image.provider, image.model) == ("gemini", WITH_KEY.gemini_model)


def test_gemini_without_a_key_is_refused_at_the_door() -> None:
    """Not by a worker that cannot buy there."""
    assert faults_of({"provider": "gemini"}, WITHOUT_KEY) == {"image.provider"}


def test_who_names_no_provider_gets_the_first_one() -> None:
    """A key more changes nothing for jobs that do not ask for it."""
    image = accepted().request.image

    assert (image.provider, image.model) == ("nanobanana", WITH_KEY.nanobanana_model)


@pytest.mark.parametrize("provider", ["gemini", "nanobanana"])
def test_estimate_is_at_the_price_of_the_provider_that_draws(provider: str) -> None:
    """The tables are not mixed up."""
    plans = accepted(provider=provider).plans

    prices = {
        "gemini": WITH_KEY.gemini_prices_micros["gemini-nano-banana-2.1/1K"],
        "nanobanana": WITH_KEY.nanobanana_prices_micros["nano-banana-2/1K"],
    }
    count = accepted(provider=provider).request.picture_count
    assert prices[provider] < plans.estimated_micros / count < 1.1 * prices[provider]


@pytest.mark.parametrize(
    ("image", "field"),
    [
        ({"model": "nano-banana-2"}, "image.model"),
        ({"size": "512"}, "image.size"),
        ({"aspectRatio": "7:3"}, "image.aspectRatio"),
        ({"model": "gemini-3-pro-image", "aspectRatio": "1:8"}, "image.aspectRatio"),
    ],
)
def test_another_providers_words_are_no_words_of_gemini(image: dict[str, str], field: str) -> None:
    """Models, sizes and ratios belong to a provider."""
    assert faults_of({"provider": "gemini", **image}) == {field}


def test_long_ratios_and_fourteen_photos_are_taken_where_the_model_takes_them() -> None:
    """The bounds are those of the model, not of the smallest one."""
    photos = [f"file_{number}" for number in range(14)]
    image = {"provider": "gemini", "aspectRatio": "1:8", "size": "4K"}

    request = accept(JobBody.model_validate(a_body(image=image, product=photos)), WITH_KEY).request

    assert (request.image.aspect_ratio, len(request.product)) == ("1:8", 14)


def test_a_model_that_takes_fewer_photos_says_so() -> None:
    """Nine are too many for the large model of nanobanana."""
    assert faults_of({"model": "nano-banana-pro"}, product_count=9) == {"product"}
