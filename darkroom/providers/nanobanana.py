"""nanobananaapi.ai as a provider of pictures: submit a task, ask about it, fetch the result.

Without idempotency keys there, a lost reply is cured by the callback: its address names our own
purchase, so the task can be adopted instead of bought again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from pydantic import ValidationError

from darkroom.domain.errors import (
    AnswerUnusable,
    ContentRefused,
    GenerationFailed,
    ProviderError,
    RequestRefused,
    ResultGone,
)
from darkroom.domain.job import FileId, ImageSpec
from darkroom.domain.ledger import CallKey
from darkroom.domain.names import CALL_HEADER
from darkroom.domain.ports import PictureOrder, Ready, TaskAccepted
from darkroom.domain.tokens import callback_token, file_token
from darkroom.providers.downloads import MEBIBYTE, DownloadOptions, download
from darkroom.providers.http_client import (
    Answer,
    Outgoing,
    exchange,
    quoted,
    read_as,
    refusal,
    unsigned,
)
from darkroom.providers.nanobanana_wire import (
    ENDPOINTS,
    GENERATING,
    SUCCEEDED,
    SUCCESS,
    Envelope,
    RecordAnswer,
    SubmitAnswer,
    TaskRecord,
)

PROVIDER = "nanobanana"
UNKNOWN_TASK = frozenset({404, 422})


@dataclass(frozen=True, slots=True, kw_only=True)
class NanobananaOptions:
    """Where nanobananaapi.ai is, where we are for it, and what its pictures cost.

    Raises:
        ValueError: a callback could still come when the grace period is over.
    """

    base_url: str  # https://api.nanobananaapi.ai
    api_key: str = field(repr=False)
    callback_base_url: str  # of our gateway, as the provider reaches it
    signing_secret: str = field(repr=False)
    prices: Mapping[tuple[str, str], int]  # (model, size) -> micro-dollars, the highest possible
    download_hosts: tuple[str, ...]  # see DownloadOptions
    post_deadline: timedelta = timedelta(seconds=20)
    ask_deadline: timedelta = timedelta(seconds=10)
    download_deadline: timedelta = timedelta(seconds=60)
    grace: timedelta = timedelta(seconds=90)  # source: providers.md 3.6
    max_bytes: int = 32 * MEBIBYTE

    def __post_init__(self) -> None:
        if self.grace <= self.post_deadline:
            raise ValueError(
                f"{PROVIDER}: grace {self.grace} must be longer than the deadline of a POST, "
                f"{self.post_deadline}, or a purchase is given up while it is being made"
            )


class NanobananaProvider:
    """Each request is sent once; `download` follows at most three redirects.

    Args:
        client: from `open_client`; is sent the key.
        download_client: from `open_client`, another one; is never sent the key.
        options: see there.

    Raises:
        ValueError: an entry of the download hosts cannot be read.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        download_client: httpx.AsyncClient,
        options: NanobananaOptions,
    ) -> None:
        self._client = client
        self._download_client = download_client
        self._options = options
        self._guards = DownloadOptions(
            provider=PROVIDER,
            hosts=options.download_hosts,
            deadline=options.download_deadline,
            max_bytes=options.max_bytes,
        )

    @property
    def grace(self) -> timedelta:
        """How long after a lost reply its callback may still come; longer than a POST."""
        return self._options.grace

    @property
    def calls_back(self) -> bool:
        """Its address names the purchase, so a callback adopts what a lost reply has orphaned."""
        return True

    def price_micros(self, image: ImageSpec) -> int:
        """Highest possible price of one picture.

        Raises:
            RequestRefused: there is no such model or size in the price table.
        """
        price = self._options.prices.get((image.model, image.size))
        if price is None or image.model not in ENDPOINTS:
            raise RequestRefused(
                f"{PROVIDER}: model {image.model} in size {image.size} has no price; choose one "
                f"of {_listed(self._options.prices)}, or add it to the price table",
                provider=PROVIDER,
            )
        return price

    async def prepare(self, order: PictureOrder) -> PictureOrder:
        """Leave it as it is: the provider fetches photos from us by itself."""
        return order

    async def submit(self, order: PictureOrder) -> TaskAccepted:
        """Buy one picture, with one POST.

        Raises:
            ProviderError: `billing` says whether it may have been accepted.
        """
        self.price_micros(order.image)
        answer = await exchange(self._client, self._purchase(order))
        verdict = _verdict(answer)
        if verdict is None:
            raise unsigned(answer)
        if verdict.code != SUCCESS:
            raise refusal(answer, code=verdict.code, told=verdict.msg or "")
        return TaskAccepted(task_id=read_as(SubmitAnswer, answer).content.task_id)

    async def collect(self, task_id: str) -> Ready | None:
        """Ask once; None while the provider is still drawing.

        Raises:
            ProviderError: the task failed, is unknown, or could not be asked about.
        """
        answer = await exchange(self._client, self._question(task_id))
        verdict = _verdict(answer)
        if verdict is None:
            raise unsigned(answer)
        if verdict.code in UNKNOWN_TASK:
            raise _unknown(task_id)
        if verdict.code != SUCCESS:
            raise refusal(answer, code=verdict.code, told=verdict.msg or "")
        record = read_as(RecordAnswer, answer).content
        if record is None:
            raise _unknown(task_id)
        return _outcome(record, task_id)

    async def download(self, url: str) -> bytes:
        """Fetch the result; whether it is a picture is for `PictureCheck` to say.

        Raises:
            ResultGone: the address has expired.
            ResultUnusable: too large, cut short, or from a host we do not trust.
            ProviderUnavailable: try the same address again.
        """
        return await download(self._download_client, url, self._guards)

    def _purchase(self, order: PictureOrder) -> Outgoing:
        endpoint, write = ENDPOINTS[order.image.model]
        photos = [self._photo_url(file_id) for file_id in order.product]
        body: dict[str, Any] = {
            **write(order.prompt, order.image, photos),
            "callBackUrl": self._callback_url(order.call),
        }
        if photos:
            body["imageUrls"] = photos
        return Outgoing(
            provider=PROVIDER,
            method="POST",
            url=self._address(f"/api/v1/nanobanana/{endpoint}"),
            headers=self._key() | {CALL_HEADER: str(order.call)},
            body=body,
            deadline=self._options.post_deadline,
            is_paid=True,
        )

    def _question(self, task_id: str) -> Outgoing:
        return Outgoing(
            provider=PROVIDER,
            method="GET",
            url=self._address("/api/v1/nanobanana/record-info"),
            headers=self._key(),
            query={"taskId": task_id},
            deadline=self._options.ask_deadline,
        )

    def _key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._options.api_key}"}

    def _address(self, path: str) -> str:
        return self._options.base_url.rstrip("/") + path

    def _callback_url(self, call: CallKey) -> str:
        token = callback_token(self._options.signing_secret, call)
        return self._ours(f"/v1/callbacks/{PROVIDER}/{call}?t={token}")

    def _photo_url(self, file_id: FileId) -> str:
        token = file_token(self._options.signing_secret, file_id)
        return self._ours(f"/v1/files/{file_id}/content?t={token}")

    def _ours(self, path: str) -> str:
        return self._options.callback_base_url.rstrip("/") + path


def _verdict(answer: Answer) -> Envelope | None:
    """Read the provider's own word; None when somebody else answered, or HTTP contradicts it."""
    try:
        envelope = Envelope.model_validate_json(answer.content)
    except ValidationError:
        return None
    return None if envelope.code == SUCCESS and not answer.is_success else envelope


def _outcome(record: TaskRecord, task_id: str) -> Ready | None:
    if record.flag == GENERATING:
        return None
    if record.flag != SUCCEEDED:
        raise _failed(record, task_id)
    if record.results is None or record.results.first is None:
        raise AnswerUnusable(
            f"{PROVIDER}: task {task_id} succeeded but names no result", provider=PROVIDER
        )
    return Ready(url=record.results.first)


def _failed(record: TaskRecord, task_id: str) -> ProviderError:
    told = quoted(f"code {record.error_code}: {record.error_message or 'no reason given'}")
    if record.is_refused_by_policy:
        return ContentRefused(
            f"{PROVIDER}: the content policy refuses task {task_id} ({told}); change the prompt "
            "or the photo",
            provider=PROVIDER,
        )
    return GenerationFailed(
        f"{PROVIDER}: task {task_id} failed ({told}); it may be bought again", provider=PROVIDER
    )


def _unknown(task_id: str) -> ResultGone:
    return ResultGone(
        f"{PROVIDER}: task {task_id} is not known there any more; its picture is lost",
        provider=PROVIDER,
    )


def _listed(prices: Mapping[tuple[str, str], int]) -> str:
    return ", ".join(f"{model} {size}" for model, size in sorted(prices)) or "none"
