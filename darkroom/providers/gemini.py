"""Google's Gemini as a provider of pictures: one synchronous call whose reply is the picture.

It keeps nothing, calls nobody back and knows no idempotency key: of a call whose reply is lost
nobody can ever tell what became of it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import NoReturn

import httpx

from darkroom.domain.errors import FileMissing, RequestRefused, ResultGone
from darkroom.domain.job import FileId, ImageSpec
from darkroom.domain.names import CALL_HEADER
from darkroom.domain.ports import (
    FileCatalog,
    FileStore,
    PictureMade,
    PictureOrder,
    ProductFile,
    ProductPhoto,
    Ready,
)
from darkroom.providers.gemini_verdicts import picture_in, refused
from darkroom.providers.gemini_wire import write_request
from darkroom.providers.http_client import MAX_ANSWER_BYTES, Outgoing, exchange

PROVIDER = "gemini"
MEBIBYTE = 1024 * 1024
MOST_PHOTOS = 14  # source: providers.md 3.1
# A request may have 20 MB, and base64 makes 4 bytes of 3.
MOST_PHOTO_BYTES = 14 * 1000 * 1000
# After the deadline of a POST its sender knows; so long the sender may take to begin it and to
# write down how it ended, and so far two workers' clocks may differ.
GRACE_MARGIN = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiOptions:
    """Where the API is, and what its pictures cost."""

    base_url: str  # https://generativelanguage.googleapis.com
    api_key: str = field(repr=False)
    prices: Mapping[tuple[str, str], int]  # (model, size) -> micro-dollars, the highest possible
    post_deadline: timedelta = timedelta(seconds=120)  # a picture takes 5 to 60 s
    max_bytes: int = 32 * MEBIBYTE  # of a picture

    @property
    def max_answer_bytes(self) -> int:
        """Room for a picture in base64, and for words around it."""
        return self.max_bytes * 4 // 3 + MAX_ANSWER_BYTES


class GeminiProvider:
    """The port `ImageProvider`; `submit` sends one request, nothing else sends any.

    Args:
        client: from `open_client`.
        options: see there.
        catalog: knows the product photos.
        files: has their bytes.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        options: GeminiOptions,
        *,
        catalog: FileCatalog,
        files: FileStore,
    ) -> None:
        self._client = client
        self._options = options
        self._catalog = catalog
        self._files = files

    @property
    def grace(self) -> timedelta:
        """How long after a call its sender may still tell how it ended; longer than a POST."""
        return self._options.post_deadline + GRACE_MARGIN

    @property
    def calls_back(self) -> bool:
        """Say that a lost reply stays lost."""
        return False

    def price_micros(self, image: ImageSpec) -> int:
        """Highest possible price of one picture.

        Raises:
            RequestRefused: there is no such model or size in the price table.
        """
        price = self._options.prices.get((image.model, image.size))
        if price is None:
            known = ", ".join(f"{model} {size}" for model, size in sorted(self._options.prices))
            raise RequestRefused(
                f"{PROVIDER}: model {image.model} in size {image.size} has no price; choose one "
                f"of {known or 'none'}, or add it to the price table",
                provider=PROVIDER,
            )
        return price

    async def prepare(self, order: PictureOrder) -> PictureOrder:
        """Read the product photos, which travel inside the request.

        Raises:
            StoreUnavailable, FilesUnavailable: ask again.
            FileMissing: a photo is not there.
            RequestRefused: too many photos, or too large together.
        """
        if len(order.product) > MOST_PHOTOS:
            _refuse(f"{len(order.product)} photos; send at most {MOST_PHOTOS}")
        known = {file.file_id: file for file in await self._catalog.find(order.product)}
        if sum(file.size_bytes for file in known.values()) > MOST_PHOTO_BYTES:
            _refuse(f"more than {MOST_PHOTO_BYTES} bytes of photos; send fewer or smaller ones")
        photos = [await self._photo(file_id, known) for file_id in order.product]
        return replace(order, photos=tuple(photos))

    async def submit(self, order: PictureOrder) -> PictureMade:
        """Buy one picture, with one POST.

        Raises:
            ProviderError: `billing` says whether it may have been accepted; `cost_micros` is
                what an answer without a picture cost.
        """
        price_micros = self.price_micros(order.image)
        answer = await exchange(self._client, self._purchase(order))
        if not answer.is_success:
            raise refused(answer, secret=self._options.api_key)
        content = await asyncio.to_thread(
            picture_in, answer, provider=PROVIDER, price_micros=price_micros
        )
        return PictureMade(content=content)

    async def collect(self, task_id: str) -> Ready | None:
        """Refuse: there are no tasks here.

        Raises:
            ResultGone: always.
        """
        raise _no_task(task_id)

    async def download(self, url: str) -> bytes:
        """Refuse: pictures come with the reply, never by an address.

        Raises:
            ResultGone: always.
        """
        raise _no_task(url)

    async def _photo(self, file_id: FileId, known: Mapping[FileId, ProductFile]) -> ProductPhoto:
        file = known.get(file_id)
        if file is None:
            raise FileMissing(
                f"product photo {file_id} is not there any more; upload it and submit anew"
            )
        content = await self._files.get(file.sha256)
        return ProductPhoto(media_type=file.media_type, content=content)

    def _purchase(self, order: PictureOrder) -> Outgoing:
        model = f"/v1beta/models/{order.image.model}:generateContent"
        return Outgoing(
            provider=PROVIDER,
            method="POST",
            url=self._options.base_url.rstrip("/") + model,
            headers={"x-goog-api-key": self._options.api_key, CALL_HEADER: str(order.call)},
            body=write_request(order),
            deadline=self._options.post_deadline,
            is_paid=True,
            max_answer_bytes=self._options.max_answer_bytes,
        )


def _refuse(what: str) -> NoReturn:
    raise RequestRefused(f"{PROVIDER}: the order has {what}", provider=PROVIDER)


def _no_task(name: str) -> ResultGone:
    return ResultGone(
        f"{PROVIDER}: {name} cannot be asked for; pictures come with the reply only",
        provider=PROVIDER,
    )
