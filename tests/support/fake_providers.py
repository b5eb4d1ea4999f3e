"""Paid APIs and a file store in memory: scripted outcomes first, then a quiet success each time."""

import hashlib
from collections import deque
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import TypeAlias, TypeVar

from darkroom.domain.errors import FileMissing, FilesUnavailable, ProviderError
from darkroom.domain.job import ImageSpec
from darkroom.domain.ports import Bought, PictureMade, PictureOrder, Ready, TaskAccepted
from darkroom.domain.prompts import EnhancedPrompt, PromptAsk

T = TypeVar("T")
Script: TypeAlias = Iterable[T | ProviderError]
PICTURE = b"\x89PNG\r\n\x1a\n a picture, for all a fake knows"


def _next(script: deque[T | ProviderError], otherwise: T) -> T:
    outcome = script.popleft() if script else otherwise
    if isinstance(outcome, ProviderError):
        raise outcome
    return outcome


class FakePromptEnhancer:
    """Enhances by adding a word.

    Args:
        outcomes: texts to answer or errors to raise, one a call, before the quiet successes.
        cost_micros: of each answer.
        model: its name.
    """

    def __init__(
        self, outcomes: Script[str] = (), *, cost_micros: int = 100, model: str = "fake-chat"
    ) -> None:
        self.asks: list[PromptAsk] = []
        self._outcomes = deque(outcomes)
        self._cost_micros = cost_micros
        self._model = model

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._model

    async def enhance(self, ask: PromptAsk) -> EnhancedPrompt:
        """Answer as scripted, or with the text and a word more."""
        self.asks.append(ask)
        text = _next(self._outcomes, f"{ask.text}, enhanced")
        return EnhancedPrompt(text=text, model=self._model, cost_micros=self._cost_micros)


class FakeImageProvider:
    """Accepts, is ready at once, and hands out the same picture.

    Args:
        submits: task ids or pictures to answer or errors to raise, one a call.
        collects: None while drawing, then addresses; or errors.
        downloads: pictures or errors.
        picture: what a quiet download answers.
        price: of every picture, in micro-dollars.
        grace: how long after a call word of it may still come.
    """

    def __init__(
        self,
        *,
        submits: Script[str | PictureMade] = (),
        collects: Script[Ready | None] = (),
        downloads: Script[bytes] = (),
        picture: bytes = PICTURE,
        price: int = 40_000,
        grace: timedelta = timedelta(seconds=90),
    ) -> None:
        self.orders: list[PictureOrder] = []
        self.collected: list[str] = []  # task ids asked about
        self.downloaded: list[str] = []  # addresses fetched
        self._submits = deque(submits)
        self._collects = deque(collects)
        self._downloads = deque(downloads)
        self._picture = picture
        self._price = price
        self._grace = grace

    @property
    def grace(self) -> timedelta:
        """How long after a call word of it may still come."""
        return self._grace

    @property
    def calls_back(self) -> bool:
        """Say whether a callback may still tell what became of a call whose reply was lost."""
        return True

    def price_micros(self, image: ImageSpec) -> int:
        """Price every picture alike."""
        del image
        return self._price

    async def prepare(self, order: PictureOrder) -> PictureOrder:
        """Leave the order as it is."""
        return order

    async def submit(self, order: PictureOrder) -> Bought:
        """Answer as scripted, or accept as task-1, task-2, ..."""
        self.orders.append(order)
        bought = _next(self._submits, self._quietly_bought())
        return TaskAccepted(task_id=bought) if isinstance(bought, str) else bought

    async def collect(self, task_id: str) -> Ready | None:
        """Answer as scripted, or that the picture is ready."""
        self.collected.append(task_id)
        ready = Ready(url=f"https://pictures.test/{task_id}.png")
        return _next(self._collects, ready)

    async def download(self, url: str) -> bytes:
        """Answer as scripted, or with the picture."""
        self.downloaded.append(url)
        return _next(self._downloads, self._picture)

    def _quietly_bought(self) -> str | PictureMade:
        return f"task-{len(self.orders)}"


class FakeSynchronousProvider(FakeImageProvider):
    """Answers a quiet submit with the picture itself, and never calls back."""

    @property
    def calls_back(self) -> bool:
        """Say that a lost reply stays lost."""
        return False

    def _quietly_bought(self) -> str | PictureMade:
        return PictureMade(content=self._picture)


class FakeFileStore:
    """Keeps bytes in a dictionary.

    Args:
        outages: so many calls fail before the store answers.
    """

    def __init__(self, *, outages: int = 0) -> None:
        self.files: dict[str, bytes] = {}
        self._outages = outages

    def fail(self, times: int) -> None:
        """Have so many of the next calls fail."""
        self._outages = times

    async def put(self, content: bytes) -> str:
        """Keep bytes; answers their sha256 in hex."""
        self._answer()
        sha256 = hashlib.sha256(content).hexdigest()
        self.files[sha256] = bytes(content)
        return sha256

    async def get(self, sha256: str) -> bytes:
        """Read bytes whose hash is still right."""
        content = self._kept(sha256)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise FileMissing(f"file {sha256} in the fake store has rotted; put it again")
        return content

    async def has(self, sha256: str) -> bool:
        """Say whether something is kept under that hash."""
        self._answer()
        return sha256 in self.files

    async def size(self, sha256: str) -> int:
        """Count the bytes kept under that hash."""
        return len(self._kept(sha256))

    async def stream(
        self, sha256: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """Read a part in one piece."""
        yield self._kept(sha256)[start:end]

    def _kept(self, sha256: str) -> bytes:
        self._answer()
        if sha256 not in self.files:
            raise FileMissing(f"no file {sha256} in the fake store")
        return self.files[sha256]

    def _answer(self) -> None:
        if self._outages:
            self._outages -= 1
            raise FilesUnavailable("the fake store is out of order; ask again")
