"""The API reference: OpenAPI 3.1, with every refusal described as the problem it is."""

from typing import Any

from fastapi import FastAPI

from gateway.answers import ProblemAnswer
from gateway.errors import MEDIA_TYPE

FIRST_REFUSAL = 400
SCHEMAS = "#/components/schemas/"


class DescribedApi(FastAPI):
    """FastAPI whose description knows our problems instead of its own."""

    def openapi(self) -> dict[str, Any]:
        """Describe every address."""
        if self.openapi_schema is None:
            self.openapi_schema = _with_problems(super().openapi())
        return self.openapi_schema


def _with_problems(described: dict[str, Any]) -> dict[str, Any]:
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    for foreign in ("HTTPValidationError", "ValidationError"):
        schemas.pop(foreign, None)
    problem = ProblemAnswer.model_json_schema(by_alias=True, ref_template=f"{SCHEMAS}{{model}}")
    schemas.update(problem.pop("$defs"))
    schemas[ProblemAnswer.__name__] = problem
    content = {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}{ProblemAnswer.__name__}"}}}
    for operations in described["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= FIRST_REFUSAL and _is_undescribed(response):
                    response |= {"description": "Problem", "content": content}
    return described


def _is_undescribed(response: dict[str, Any]) -> bool:
    return "content" not in response or "HTTPValidationError" in str(response["content"])
