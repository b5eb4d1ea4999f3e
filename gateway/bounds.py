"""What a request may break beyond the bounds of its single fields.

Here stand the rules that depend on settings, prices or other fields. Whatever is wrong is
said at once, not one fault per try.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from string import Formatter

from darkroom.domain.job import JobKind, Metric
from darkroom.domain.retries import IMMEDIATE, RetryStrategy
from darkroom.settings import Settings
from gateway.constraints import condition_count, constraint_faults, named_faults
from gateway.faults import Fault
from gateway.offers import offers
from gateway.schemas import JobBody

FORMATS = ("jpg", "png")  # a wish: Gemini's models choose for themselves
ONCE = IMMEDIATE.max_retries
MOST_CONDITIONS = 400  # of all constraints together; a second for two million combinations
# What a choice is asked for; explicit combinations leave no choice.
DIFFERENCE_FIELDS = (
    "constraints",
    "metric",
    "min_difference",
    "avoid_history",
    "history_min_difference",
    "exclude",
)


def faults_in(body: JobBody, settings: Settings) -> Iterator[Fault]:
    """Find everything that is wrong with a body."""
    yield from _source_faults(body)
    yield from _dimension_faults(body)
    yield from _constraint_faults(body)
    yield from _combination_faults(body)
    yield from _count_faults(body, settings)
    yield from _template_faults(body)
    yield from _image_faults(body, settings)
    yield from _product_faults(body, settings)
    yield from _plan_faults(body, settings)


def _source_faults(body: JobBody) -> Iterator[Fault]:
    if bool(body.dimensions) == bool(body.combinations):
        both = "are both given" if body.combinations else "and combinations are both missing"
        yield Fault(
            field="dimensions",
            message="and combinations exclude each other" if body.combinations else both,
            remedy="send either dimensions to choose from or the combinations themselves",
        )
    if not body.combinations:
        return
    for name in DIFFERENCE_FIELDS:
        if name in body.model_fields_set:
            field = JobBody.model_fields[name].alias or name
            yield Fault(
                field=field,
                message="means nothing beside explicit combinations",
                remedy=f"leave {field} out, or send dimensions instead of combinations",
            )


def _dimension_faults(body: JobBody) -> Iterator[Fault]:
    for name, dimension in body.dimensions.items():
        if name == "variant":
            yield Fault(
                field="dimensions.variant",
                message="has the name under which a template asks for variants",
                remedy="rename the dimension, or send its options as variants",
            )
        yield from _repeats(f"dimensions.{name}.options", dimension.options)
    differences = (
        ("minDifference", body.min_difference),
        ("historyMinDifference", body.history_min_difference or 0.0),
    )
    for field, difference in differences:
        if body.metric is Metric.HAMMING and difference != int(difference):
            yield Fault(
                field=field,
                message="counts whole dimensions under the metric hamming",
                remedy="send a whole number, or the metric weighted_hamming",
            )
    yield from _repeats("variants", body.variants)


def _constraint_faults(body: JobBody) -> Iterator[Fault]:
    if not body.dimensions:
        return
    for place, constraint in enumerate(body.constraints):
        yield from constraint_faults(constraint, f"constraints.{place}", body.dimensions)
    conditions = sum(map(condition_count, body.constraints))
    if conditions > MOST_CONDITIONS:
        yield Fault(
            field="constraints",
            message=f"hold {conditions} conditions, more than can be looked at in time",
            remedy=f"send at most {MOST_CONDITIONS}, counting each part of then, require and of",
        )
    for place, combination in enumerate(body.exclude):
        field = f"exclude.{place}"
        named = {name: (option,) for name, option in combination.items()}
        yield from named_faults(field, named, body.dimensions)
        if missing := ", ".join(name for name in body.dimensions if name not in combination):
            yield Fault(
                field=field,
                message=f"leaves {missing} open",
                remedy="name an option of every dimension, or send a constraint with forbid",
            )


def _combination_faults(body: JobBody) -> Iterator[Fault]:
    names = set(body.combinations[0]) if body.combinations else set[str]()
    seen: dict[frozenset[tuple[str, str]], int] = {}
    for place, combination in enumerate(body.combinations):
        field = f"combinations.{place}"
        if set(combination) != names or "variant" in names:
            yield Fault(
                field=field,
                message="has other dimensions than the first one, or one called variant",
                remedy="give every combination the same dimensions, none of them variant",
            )
        first = seen.setdefault(frozenset(combination.items()), place)
        if first != place:
            yield Fault(
                field=field,
                message=f"repeats combinations.{first}",
                remedy="leave it out, or ask for variants",
            )


def _count_faults(body: JobBody, settings: Settings) -> Iterator[Fault]:
    if body.combinations and body.count not in {None, len(body.combinations)}:
        yield Fault(
            field="count",
            message=f"is not the number of combinations, {len(body.combinations)}",
            remedy="leave count out",
        )
    pictures = count_of(body) * max(1, len(body.variants))
    if pictures > settings.queue_max_images:
        yield Fault(
            field="count",
            message=f"times variants makes {pictures} pictures, more than one job may have",
            remedy=f"ask for at most {settings.queue_max_images} pictures, in several jobs",
        )


def _template_faults(body: JobBody) -> Iterator[Fault]:
    names = {*body.dimensions, *(body.combinations[0] if body.combinations else ())}
    known = sorted(names | ({"variant"} if body.variants else set()))
    fields = ", ".join(f"{{{name}}}" for name in known)
    try:
        parts = list(Formatter().parse(body.prompt.template))
    except ValueError as malformed:
        yield Fault(
            field="prompt.template",
            message=f"has malformed braces: {malformed}",
            remedy="write fields as {name}, and a brace that is meant as such twice",
        )
        return
    for _, name, form, conversion in parts:
        if name is not None and (name not in known or form or conversion):
            asked = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            yield Fault(
                field="prompt.template",
                message=f"asks for {{{asked}}}, which is not a plain field of this job",
                remedy=f"use only {fields}" if fields else "use no fields",
            )


def _image_faults(body: JobBody, settings: Settings) -> Iterator[Fault]:
    image, known = body.image, offers(settings)
    yield from _unknown("image.provider", image.provider, tuple(known))
    yield from _unknown("image.format", image.format, FORMATS)
    if (offer := known.get(image.provider)) is None:
        return
    model = image.model or offer.default_model
    yield from _unknown("image.model", model, offer.models)
    if model in offer.models:
        yield from _unknown("image.size", image.size, offer.sizes(model))
        yield from _unknown("image.aspectRatio", image.aspect_ratio, offer.ratios(model))


def _product_faults(body: JobBody, settings: Settings) -> Iterator[Fault]:
    yield from _repeats("product", body.product)
    offer = offers(settings).get(body.image.provider)
    if offer is None:
        return
    model = body.image.model or offer.default_model
    most = offer.most_photos(model)
    if len(body.product) > most:
        yield Fault(
            field="product",
            message=f"has {len(body.product)} photos; {model} takes fewer",
            remedy=f"send at most {most}",
        )


def _plan_faults(body: JobBody, settings: Settings) -> Iterator[Fault]:
    longest = int(settings.timeout_of(JobKind(body.type)).total_seconds())
    if (body.timeout_seconds or 0) > longest:
        yield Fault(
            field="timeoutSeconds",
            message="is longer than the operator allows",
            remedy=f"send at most {longest}",
        )
    if (body.max_retries or 0) > settings.max_retry_attempts:
        yield Fault(
            field="maxRetries",
            message="is more than the operator allows",
            remedy=f"send at most {settings.max_retry_attempts}",
        )
    elif body.retry_strategy is RetryStrategy.IMMEDIATE and (body.max_retries or 0) > ONCE:
        yield Fault(
            field="maxRetries",
            message="is more than the one retry that the strategy immediate has",
            remedy="send at most 1, or the strategy linear or exponential",
        )


def _repeats(field: str, values: tuple[str, ...]) -> Iterator[Fault]:
    composed = [unicodedata.normalize("NFC", value) for value in values]
    for place, value in enumerate(values):
        if composed[place] in composed[:place]:
            yield Fault(
                field=f"{field}.{place}",
                message=f"{value!r} is already there",
                remedy="name every value once",
            )


def _unknown(field: str, value: str, known: Sequence[str]) -> Iterator[Fault]:
    if value not in known:
        yield Fault(
            field=field,
            message=f"{value!r} is not known",
            remedy=f"send one of: {_some(known)}",
        )


def _some(values: Sequence[str]) -> str:
    shown = 20
    return ", ".join(values[:shown]) + (", ..." if len(values) > shown else "")


def count_of(body: JobBody) -> int:
    """Say how many combinations a body asks for."""
    return body.count or len(body.combinations) or 1


def model_of(body: JobBody, settings: Settings) -> str:
    """Say which model is to draw, of a body without faults."""
    return body.image.model or offers(settings)[body.image.provider].default_model
