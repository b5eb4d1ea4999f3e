"""A request as it was accepted, in the form in which it may be sent again."""

from typing import Any, TypeAlias

from darkroom.domain.job import Dimension, JobRequest
from gateway.constraints import constraint_json

Json: TypeAlias = dict[str, Any]


def request_json(request: JobRequest) -> Json:
    """Write a request as it was accepted, in the form in which it may be sent again."""
    chosen: Json = (
        {"combinations": [dict(combination) for combination in request.combinations]}
        if request.combinations
        else _difference_json(request)
    )
    return {
        "type": request.kind,
        "priority": request.priority,
        "product": list(request.product),
        **chosen,
        "count": request.count,
        "variants": list(request.variants),
        "prompt": {"template": request.prompt.template, "mode": request.prompt.mode},
        "image": {
            "provider": request.image.provider,
            "model": request.image.model,
            "aspectRatio": request.image.aspect_ratio,
            "size": request.image.size,
            "format": request.image.format,
            "seed": request.image.seed,
        },
        "onImageFailure": request.on_image_failure,
        "labels": request.labels,
    }


def _difference_json(request: JobRequest) -> Json:
    return {
        "dimensions": {one.name: _dimension_json(one) for one in request.dimensions},
        "constraints": [constraint_json(one) for one in request.constraints],
        "metric": request.metric,
        "minDifference": _number(request.min_difference),
        "avoidHistory": request.avoid_history,
        **_where_said("historyMinDifference", request.history_min_difference),
        **_where_said("exclude", request.exclusions and list(map(dict, request.exclusions))),
    }


def _dimension_json(dimension: Dimension) -> Json:
    return {
        "options": list(dimension.options),
        "weight": _number(dimension.weight),
        **_where_said("ordinal", dimension.ordinal),
    }


def _where_said(name: str, value: object) -> Json:
    """Write a field that has no default to show."""
    return {} if value is None else {name: value}


def _number(value: float) -> float:
    """Write a whole number as one, as a caller did."""
    return int(value) if value == int(value) else value
