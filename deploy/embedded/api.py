"""The public API as the demo uses it: upload, submit, fetch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from darkroom.pictures import contact_sheet
from deploy.embedded.layout import Layout

TIMEOUT_SECONDS = 30.0
SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/avif": "avif"}


class DemoFailed(Exception):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the demo reads of a job record."""

    job_id: str
    status: str
    picture_count: int
    spent_micros: int
    images: tuple[dict[str, Any], ...]


class Api:
    """A caller with the development key."""

    def __init__(self, layout: Layout) -> None:
        self._client = httpx.AsyncClient(
            base_url=layout.gateway_url,
            headers={"Authorization": f"Bearer {layout.dev_key}"},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def upload(self, name: str, content: bytes) -> str:
        """Upload a product photo; answers its file id."""
        answer = await self._client.post("/v1/files", files={"file": (name, content)})
        return str(_checked(answer)["id"])

    async def submit(self, request: dict[str, Any]) -> Job:
        """Start a job.

        Raises:
            DemoFailed: the request was refused; the message is the problem's.
        """
        return _job(_checked(await self._client.post("/v1/jobs", json=request)))

    async def finished(self, job_id: str) -> Job:
        """Read a job that is over.

        Raises:
            DemoFailed: it did not complete.
        """
        record = _checked(await self._client.get(f"/v1/jobs/{job_id}"))
        job = _job(record)
        if job.status != "completed":
            raise DemoFailed(f"{job_id} is {job.status}: {record.get('error')}")
        return job

    async def fetch_pictures(self, job: Job, *, into: Path) -> list[Path]:
        """Download every picture, and lay them out on a contact sheet."""
        contents: list[bytes] = []
        for image in job.images:
            answer = await self._client.get(f"/v1/images/{image['sha256']}")
            answer.raise_for_status()
            contents.append(answer.content)
        return write_pictures(job.images, contents, into=into)


def write_pictures(
    images: Sequence[dict[str, Any]], contents: Sequence[bytes], *, into: Path
) -> list[Path]:
    """Write pictures and their contact sheet to a folder; answers the files."""
    into.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    captioned: list[tuple[str, bytes]] = []
    for image, content in zip(images, contents, strict=True):
        path = into / f"{image['item']}.{SUFFIXES[image['mediaType']]}"
        path.write_bytes(content)
        files.append(path)
        caption = " · ".join(str(option) for option in image["combination"].values())
        captioned.append((caption, content))
    sheet = into / "contact-sheet.jpg"
    sheet.write_bytes(contact_sheet(captioned))
    return [*files, sheet]


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        return answer.json()
    problem: dict[str, Any] = answer.json()
    faults: list[dict[str, Any]] = problem.get("errors") or [problem]
    told = [
        f"\n  {fault.get('field') or ''}: {fault.get('message') or problem.get('detail')}; "
        f"{fault.get('remedy') or ''}"
        for fault in faults
    ]
    raise DemoFailed(f"{problem.get('code')}" + "".join(told))


def _job(record: dict[str, Any]) -> Job:
    result: dict[str, Any] = record.get("result") or {}
    return Job(
        job_id=record["id"],
        status=record["status"],
        picture_count=record["progress"]["images"]["total"],
        spent_micros=record["cost"]["spent"]["amountMicros"],
        images=tuple(result.get("images", ())),
    )
