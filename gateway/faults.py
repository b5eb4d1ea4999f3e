"""What is wrong with a request: field by field, in the caller's own names, with a remedy."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.schemas import NOT_SERVED_YET, field_names

# How pydantic begins what it says of a value.
SUBJECT = re.compile(r"^[A-Z][a-z]+ should ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing to mend; `field` is its camelCase path, e.g. `dimensions.weather.options`."""

    field: str
    message: str
    remedy: str

    def json(self) -> dict[str, str]:
        """Write it as one entry of a problem's `errors`."""
        return {"field": self.field, "message": self.message, "remedy": self.remedy}


def faults_of(errors: Iterable[Any]) -> list[Fault]:
    """Translate what pydantic found."""
    return [_fault(error) for error in errors]


def _fault(error: Mapping[str, Any]) -> Fault:
    path = _path(error["loc"])
    context: Mapping[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "json_invalid":
            return Fault(
                field="body",
                message=f"is not JSON: {context['error']} at character {error['loc'][-1]}",
                remedy="send one JSON object",
            )
        case "extra_forbidden":
            return _unknown_field(path)
        case "missing":
            return Fault(field=path, message="is missing", remedy=f"add {path}")
        case "model_attributes_type" | "model_type" if path == "body":
            return Fault(
                field="body",
                message="is not a JSON object",
                remedy="send a JSON object with Content-Type: application/json",
            )
        case _:
            message = SUBJECT.sub("must ", str(error["msg"]))
            remedy = str(context.get("remedy") or _remedy(path, message))
            return Fault(field=path, message=message[:1].lower() + message[1:], remedy=remedy)


def _path(steps: Sequence[str | int]) -> str:
    """Drop where a value was found (body, query, path, header) and join the rest."""
    named = [str(step) for step in steps[1:] if step != "[key]"]
    return ".".join(named) or str(steps[0])


def _unknown_field(path: str) -> Fault:
    name = path.rpartition(".")[2]
    if path in NOT_SERVED_YET:
        return Fault(
            field=path,
            message="is not available in this version",
            remedy=f"leave {path} out",
        )
    near = difflib.get_close_matches(name, field_names(), n=1)
    hint = f"did you mean {near[0]}? Otherwise leave it out" if near else f"leave {path} out"
    return Fault(field=path, message="is not a field we know", remedy=hint)


def _remedy(path: str, message: str) -> str:
    wish = message.removeprefix("must be ")
    return f"send {path} as {wish}" if wish != message else f"change {path}: it {message}"
