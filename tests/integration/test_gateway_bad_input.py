"""Every wrong request is a problem that names the field and the remedy, and does nothing."""

import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from temporalio.service import RPCError, RPCStatusCode

from gateway.idempotency import job_id_of
from tests.support.builders import ADA, a_product_file
from tests.support.gateways import House, RunningGateway, a_body

pytestmark = pytest.mark.asyncio(loop_scope="module")
pytest_plugins = ["tests.support.databases", "tests.support.gateways"]

FOUR = {"options": ["a", "b", "c", "d"]}
NAMED = [{"weather": "sunny"}, {"weather": "rainy"}]


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """One wrong request: what differs from a right one, and the field to blame."""

    name: str
    blames: str
    changes: dict[str, Any] = field(default_factory=dict[str, Any])
    without: str = ""

    def body(self) -> dict[str, Any]:
        """Write it."""
        body = a_body(**self.changes)
        body.pop(self.without, None)
        return body


def _image(**changes: Any) -> dict[str, Any]:
    return {"image": changes}


def _template(template: str) -> dict[str, Any]:
    return {"prompt": {"template": template}}


def _dimensions(**dimensions: Any) -> dict[str, Any]:
    return {"dimensions": dimensions, **_template("a lamp"), "count": 1, "minDifference": 1}


def _combinations(*combinations: dict[str, str], **changes: Any) -> dict[str, Any]:
    return {"combinations": list(combinations), **_template("a lamp"), **changes}


WRONG = [
    Wrong(name="no type", without="type", blames="type"),
    Wrong(name="unknown type", changes={"type": "video"}, blames="type"),
    Wrong(name="batch", changes={"type": "batch_processing"}, blames="type"),
    Wrong(name="analysis", changes={"type": "combination_analysis"}, blames="type"),
    Wrong(name="type a list", changes={"type": []}, blames="type"),
    Wrong(name="unknown priority", changes={"priority": "urgent"}, blames="priority"),
    Wrong(name="count zero", changes={"count": 0}, blames="count"),
    Wrong(name="count negative", changes={"count": -3}, blames="count"),
    Wrong(name="count a text", changes={"count": "8"}, blames="count"),
    Wrong(name="count a fraction", changes={"count": 1.5}, blames="count"),
    Wrong(name="count too large", changes={"count": 201}, blames="count"),
    Wrong(name="count huge", changes={"count": 10**30}, blames="count"),
    Wrong(
        name="count times variants too large",
        changes={"count": 101, "variants": ["by day", "by night"]},
        blames="count",
    ),
    Wrong(name="no options", changes=_dimensions(x={"options": []}), blames="dimensions.x.options"),
    Wrong(
        name="empty option",
        changes=_dimensions(x={"options": ["a", " "]}),
        blames="dimensions.x.options.1",
    ),
    Wrong(
        name="option twice",
        changes=_dimensions(x={"options": ["a", "b", "a"]}),
        blames="dimensions.x.options.2",
    ),
    Wrong(
        name="option a number",
        changes=_dimensions(x={"options": [1, 2]}),
        blames="dimensions.x.options.0",
    ),
    Wrong(
        name="control character",
        changes=_dimensions(x={"options": ["a\u0000b"]}),
        blames="dimensions.x.options.0",
    ),
    Wrong(
        name="name not identifier",
        changes=_dimensions(**{"time of day": FOUR}),
        blames="dimensions.time of day",
    ),
    Wrong(name="reserved name", changes=_dimensions(variant=FOUR), blames="dimensions.variant"),
    Wrong(
        name="weight zero",
        changes=_dimensions(x=FOUR | {"weight": 0}),
        blames="dimensions.x.weight",
    ),
    Wrong(
        name="weight negative",
        changes=_dimensions(x=FOUR | {"weight": -1}),
        blames="dimensions.x.weight",
    ),
    Wrong(
        name="misspelt field",
        changes=_dimensions(x={"option": ["a"]}),
        blames="dimensions.x.options",
    ),
    Wrong(
        name="too many dimensions",
        changes=_dimensions(**{f"d{n}": FOUR for n in range(17)}),
        blames="dimensions",
    ),
    Wrong(name="nothing to choose from", without="dimensions", blames="dimensions"),
    Wrong(name="both", changes={"combinations": NAMED}, blames="dimensions"),
    Wrong(
        name="combinations of other dimensions",
        changes=_combinations({"weather": "sunny"}, {"angle": "aerial"}, dimensions={}),
        blames="combinations.1",
    ),
    Wrong(
        name="combination twice",
        changes=_combinations(*NAMED, NAMED[0], dimensions={}),
        blames="combinations.2",
    ),
    Wrong(
        name="combinations beside constraints",
        changes=_combinations(
            *NAMED, dimensions={}, constraints=[{"forbid": {"weather": "sunny"}}]
        ),
        blames="constraints",
    ),
    Wrong(
        name="combinations and another count",
        changes=_combinations(*NAMED, dimensions={}, count=3),
        blames="count",
    ),
    Wrong(
        name="constraint on unknown dimension",
        changes={"constraints": [{"forbid": {"season": "winter"}}]},
        blames="constraints.0.forbid.season",
    ),
    Wrong(
        name="constraint on unknown option",
        changes={"constraints": [{"forbid": {"weather": "foggy"}}]},
        blames="constraints.0.forbid.weather",
    ),
    Wrong(
        name="empty constraint",
        changes={"constraints": [{"forbid": {}}]},
        blames="constraints.0.forbid",
    ),
    Wrong(name="unknown metric", changes={"metric": "jaccard"}, blames="metric"),
    Wrong(name="difference zero", changes={"minDifference": 0}, blames="minDifference"),
    Wrong(name="difference a fraction", changes={"minDifference": 1.5}, blames="minDifference"),
    Wrong(name="no prompt", without="prompt", blames="prompt"),
    Wrong(name="empty template", changes=_template(""), blames="prompt.template"),
    Wrong(
        name="unknown template field",
        changes=_template("a {colour} lamp"),
        blames="prompt.template",
    ),
    Wrong(name="open brace", changes=_template("a {weather lamp"), blames="prompt.template"),
    Wrong(name="closing brace", changes=_template("a weather} lamp"), blames="prompt.template"),
    Wrong(name="empty template field", changes=_template("a {} lamp"), blames="prompt.template"),
    Wrong(name="attribute", changes=_template("{weather.__class__}"), blames="prompt.template"),
    Wrong(name="index", changes=_template("{weather[0]}"), blames="prompt.template"),
    Wrong(name="conversion", changes=_template("{weather!r}"), blames="prompt.template"),
    Wrong(name="format", changes=_template("{weather:>999999999}"), blames="prompt.template"),
    Wrong(name="nested format", changes=_template("{weather:{angle}}"), blames="prompt.template"),
    Wrong(
        name="variant without variants", changes=_template("{variant}"), blames="prompt.template"
    ),
    Wrong(name="template too long", changes=_template("x" * 4001), blames="prompt.template"),
    Wrong(
        name="unknown mode",
        changes={"prompt": {"template": "x", "mode": "wild"}},
        blames="prompt.mode",
    ),
    Wrong(name="unknown provider", changes=_image(provider="dalle"), blames="image.provider"),
    Wrong(name="unknown model", changes=_image(model="nano-banana-9"), blames="image.model"),
    Wrong(name="unknown ratio", changes=_image(aspectRatio="7:5"), blames="image.aspectRatio"),
    Wrong(
        name="ratio of another model",
        changes=_image(model="nano-banana-pro", aspectRatio="1:8"),
        blames="image.aspectRatio",
    ),
    Wrong(name="unknown size", changes=_image(size="8K"), blames="image.size"),
    Wrong(name="unknown format", changes=_image(format="tiff"), blames="image.format"),
    Wrong(name="negative seed", changes=_image(seed=-1), blames="image.seed"),
    Wrong(
        name="unknown file",
        changes={"product": ["file_01jd0000000000000000000009"]},
        blames="product.0",
    ),
    Wrong(name="file twice", changes={"product": ["file_a", "file_a"]}, blames="product.1"),
    Wrong(
        name="too many files",
        changes={"product": [f"file_{n}" for n in range(15)]},
        blames="product",
    ),
    Wrong(
        name="too many files for the model",
        changes={"product": [f"file_{n}" for n in range(9)], **_image(model="nano-banana-pro")},
        blames="product",
    ),
    Wrong(name="label key", changes={"labels": {"a b": "c"}}, blames="labels.a b"),
    Wrong(name="label value", changes={"labels": {"a": ""}}, blames="labels.a"),
    Wrong(
        name="too many labels",
        changes={"labels": {f"k{n}": "v" for n in range(17)}},
        blames="labels",
    ),
    Wrong(name="variant twice", changes={"variants": ["by day", "by day"]}, blames="variants.1"),
    Wrong(name="empty variant", changes={"variants": [""]}, blames="variants.0"),
    Wrong(name="timeout zero", changes={"timeoutSeconds": 0}, blames="timeoutSeconds"),
    Wrong(name="timeout too long", changes={"timeoutSeconds": 601}, blames="timeoutSeconds"),
    Wrong(name="too many retries", changes={"maxRetries": 4}, blames="maxRetries"),
    Wrong(name="unknown strategy", changes={"retryStrategy": "hopeful"}, blames="retryStrategy"),
    Wrong(
        name="unknown failure rule", changes={"onImageFailure": "shrug"}, blames="onImageFailure"
    ),
    Wrong(name="unknown field", changes={"colour": "red"}, blames="colour"),
    Wrong(name="dependencies", changes={"dependsOn": ["job_1"]}, blames="dependsOn"),
    Wrong(name="delay", changes={"runAt": "2027-01-01T00:00:00Z"}, blames="runAt"),
    Wrong(name="budget", changes={"budget": {"amountMicros": 1}}, blames="budget"),
    Wrong(name="webhook", changes={"callback": "whk_1"}, blames="callback"),
]


@pytest.fixture
def key() -> str:
    """An Idempotency-Key of the test's own."""
    return uuid.uuid4().hex


async def post(gateway: RunningGateway, body: Any, *, key: str) -> httpx.Response:
    """Submit with a key, so that the test knows which job would have been started."""
    async with gateway.calling() as http:
        return await http.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})


async def assert_nothing_happened(gateway: RunningGateway, key: str) -> None:
    """No workflow was started, no row stored, no picture billed."""
    job_id = job_id_of(ADA, key)
    with pytest.raises(RPCError) as absent:
        await gateway.temporal.get_workflow_handle(job_id).describe()
    assert absent.value.status is RPCStatusCode.NOT_FOUND
    assert await gateway.stores.jobs.job(job_id) is None
    assert await gateway.stores.ledger.of_job(job_id) == ()


@pytest.mark.parametrize("wrong", [pytest.param(one, id=one.name) for one in WRONG])
async def test_wrong_job_is_refused_by_name_and_nothing_is_done(
    shared_gateway: RunningGateway, key: str, wrong: Wrong
) -> None:
    """The problem names the field and what to do; nothing is started, stored or billed."""
    answer = await post(shared_gateway, wrong.body(), key=key)

    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == "validation_failed"
    assert wrong.blames in [error["field"] for error in problem["errors"]]
    assert all(error["remedy"] and error["message"] for error in problem["errors"])
    await assert_nothing_happened(shared_gateway, key)


async def test_right_job_is_started(shared_gateway: RunningGateway, key: str) -> None:
    """The same way of looking does see a job that was started."""
    answer = await post(shared_gateway, a_body(), key=key)

    assert answer.status_code == 202
    described = await shared_gateway.temporal.get_workflow_handle(job_id_of(ADA, key)).describe()
    assert described.workflow_type == "image_generation"
    await shared_gateway.temporal.get_workflow_handle(job_id_of(ADA, key)).terminate()


async def test_difference_that_cannot_be_had_is_refused_with_what_can(
    shared_gateway: RunningGateway,
    key: str,
) -> None:
    """The caller learns the largest count and what to relax."""
    answer = await post(shared_gateway, a_body(count=65), key=key)

    problem = answer.json()
    assert answer.status_code == 422
    assert problem["code"] == "difference_infeasible"
    assert problem["largestFeasibleCount"] == 64
    assert problem["field"] == "count"
    assert "64" in problem["remedy"]
    await assert_nothing_happened(shared_gateway, key)


async def test_kinds_of_later_versions_are_refused_in_words(
    shared_gateway: RunningGateway, key: str
) -> None:
    """A kind the specification knows is not called unknown."""
    answer = await post(shared_gateway, {"type": "batch_processing", "jobs": []}, key=key)

    faults = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert faults["type"] == "batch_processing jobs are not available in this version"


async def test_misspelt_field_is_answered_with_the_nearest_name(
    shared_gateway: RunningGateway, key: str
) -> None:
    """A remedy that helps."""
    answer = await post(shared_gateway, a_body(**_image(aspect_ratio="1:1")), key=key)

    assert "did you mean aspectRatio?" in answer.json()["errors"][0]["remedy"]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"{'type': 'image_generation'}",
        b"[" * 100_000,
        b'{"count": ' + b"9" * 5000 + b"}",
        b'{"type": "image_generation", "count": NaN}',
        b'{"type": "\\ud800"}',
        b"\xff\xfe",
    ],
)
async def test_body_that_is_no_json_mapping_is_refused(
    shared_gateway: RunningGateway, content: bytes
) -> None:
    """Broken, nested, endless or mistyped: the answer is the same problem."""
    async with shared_gateway.calling() as http:
        answer = await http.post(
            "/v1/jobs", content=content, headers={"Content-Type": "application/json"}
        )

    assert answer.status_code == 422
    assert answer.json()["code"] == "validation_failed"
    assert answer.json()["remedy"]


async def test_body_of_another_type_is_refused_with_the_right_type(
    shared_gateway: RunningGateway,
) -> None:
    """The remedy names the header."""
    async with shared_gateway.calling() as http:
        answer = await http.post("/v1/jobs", content=b"{}", headers={"Content-Type": "text/plain"})

    assert answer.status_code == 422
    assert "application/json" in answer.json()["remedy"]


@pytest.mark.parametrize("is_announced", [True, False])
async def test_body_beyond_one_mebibyte_is_refused(
    shared_gateway: RunningGateway,
    is_announced: bool,  # noqa: FBT001 -- a parameter of the example
) -> None:
    """Whether its length is announced or not."""
    content = b'{"type": "' + b"x" * 1024 * 1024 + b'"}'

    async def pieces() -> AsyncGenerator[bytes]:
        for start in range(0, len(content), 65_536):
            yield content[start : start + 65_536]

    async with shared_gateway.calling() as http:
        answer = await http.post(
            "/v1/jobs",
            content=content if is_announced else pieces(),
            headers={"Content-Type": "application/json"},
        )

    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"
    assert answer.json()["remedy"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "schl\u00fcssel"])
async def test_wrong_idempotency_key_is_refused(shared_gateway: RunningGateway, key: str) -> None:
    """A key is 1 to 255 visible ASCII characters."""
    async with shared_gateway.calling() as http:
        answer = await http.post(
            "/v1/jobs",
            json=a_body(),
            headers={"Idempotency-Key": key.encode("latin-1")},  # pyright: ignore[reportArgumentType] -- httpx takes bytes
        )

    assert answer.status_code == 422
    assert answer.json()["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("address", "blamed"),
    [
        ("/v1/jobs?limit=0", "limit"),
        ("/v1/jobs?limit=201", "limit"),
        ("/v1/jobs?limit=many", "limit"),
        ("/v1/jobs?status=done", "status"),
        ("/v1/jobs?type=video", "type"),
        ("/v1/jobs?priority=urgent", "priority"),
        ("/v1/jobs?label=spring", "label"),
        ("/v1/jobs?cursor=nonsense", "cursor"),
        ("/v1/jobs?cursor=bm90IGEgY3Vyc29y", "cursor"),
        ("/v1/jobs?q=status:failed", "q"),
        ("/v1/jobs/job_1/events?after=-1", "after"),
        ("/v1/jobs/job_1/events?after=2147483648", "after"),
        ("/v1/jobs/job_1/events?limit=1001", "limit"),
        ("/v1/jobs?label=a:%00", "label"),
        ("/v1/images/a?size=huge", "size"),
    ],
)
async def test_wrong_parameter_is_refused_by_name(
    shared_gateway: RunningGateway, address: str, blamed: str
) -> None:
    """A parameter that is misspelt or out of bounds is not ignored."""
    async with shared_gateway.calling() as http:
        answer = await http.get(address)

    assert answer.status_code == 422
    assert answer.json()["code"] == "validation_failed"
    assert answer.json()["field"] == blamed
    assert answer.json()["remedy"]


@pytest.mark.parametrize(
    ("body", "blamed"),
    [({"mode": "later"}, "mode"), ({"mode": 1}, "mode"), ({"how": "now"}, "how")],
)
async def test_cancel_takes_two_modes_only(
    shared_gateway: RunningGateway, body: dict[str, Any], blamed: str
) -> None:
    """A mode that we do not know is refused, not read as another."""
    async with shared_gateway.calling() as http:
        answer = await http.post("/v1/jobs/job_1/cancel", json=body)

    assert answer.status_code == 422
    assert answer.json()["field"] == blamed


async def test_photo_of_another_owner_is_unknown(shared_gateway: RunningGateway) -> None:
    """A file id that is not the caller's is not there."""
    file = a_product_file()
    await shared_gateway.stores.files.add(file)
    async with shared_gateway.calling("bob-key") as http:
        answer = await http.post("/v1/jobs", json=a_body(product=[file.file_id]))

    assert answer.status_code == 422
    assert answer.json()["field"] == "product.0"


async def test_operator_may_allow_less(house: House, key: str) -> None:
    """Bounds are the operator's, not constants."""
    async with house.running(changes={"queue_max_images": 5}) as gateway:
        answer = await post(gateway, a_body(count=6), key=key)

    assert answer.status_code == 422
    assert "5" in answer.json()["errors"][0]["remedy"]
