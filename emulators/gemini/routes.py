"""The HTTP face of the Gemini stand-in: it answers when the picture is drawn, and keeps nothing."""

import asyncio
import hashlib
import hmac

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from emulators.connections import trickled
from emulators.easel import Easel
from emulators.faults.carrying_out import befall_after, befall_before
from emulators.faults.plan import FaultPlan, Fired
from emulators.faults.rules import KeyInvalid, Precondition, QuotaExceeded, Slow
from emulators.gemini.answers import Json, outcome_of, write_answer
from emulators.gemini.errors import (
    RefusedGemini,
    answer_refused,
    error_body,
    failed_precondition,
    invalid_key,
    quota_exceeded,
)
from emulators.gemini.requests import GeminiOrder, read_order
from emulators.ledger import Ledger, Purchase
from emulators.options import EmulatorOptions
from emulators.pace import jittered
from emulators.prices import GEMINI_PRICES
from emulators.sizes import picture_size
from emulators.studio import PictureOrder

ENDPOINT = "gemini"
JPEG_MODELS = frozenset({"gemini-3-pro-image"})  # the model chooses; the others send png


class GeminiRoutes:
    """The one call that draws."""

    def __init__(
        self, options: EmulatorOptions, faults: FaultPlan, ledger: Ledger, easel: Easel
    ) -> None:
        self._options = options
        self._faults = faults
        self._ledger = ledger
        self._easel = easel

    def join(self, app: FastAPI) -> None:
        """Open the route, in both versions that Google serves."""
        for version in ("v1", "v1beta"):
            path = f"/{version}/models/{{model}}:generateContent"
            app.router.add_route(path, self.generate, methods=["POST"])
        app.add_exception_handler(RefusedGemini, answer_refused)

    async def generate(self, request: Request) -> Response:
        """Draw, or say why not; `gemini` faults befall valid requests only."""
        body = await request.body()
        self._let_in(request)
        order = await asyncio.to_thread(read_order, request.path_params["model"], body)
        call = request.headers.get("x-darkroom-call")
        fired = self._faults.meet(ENDPOINT, order.prompt, call)
        if instead := await befall_before(fired, request, error_body):
            return instead
        _refuse(order, fired)
        with self._ledger.open_call(ENDPOINT):
            sequence = self._accept(order, body, call=call, fired=fired)
            answer = JSONResponse(await self._draw(order, fired, sequence=sequence))
            befallen = await befall_after(fired, request, answer)
        slow = fired.first(Slow)
        if slow is None or befallen is not answer:
            return befallen
        pieces = trickled(bytes(answer.body), seconds=slow.seconds)
        return StreamingResponse(pieces, media_type="application/json")

    def _let_in(self, request: Request) -> None:
        key = request.headers.get("x-goog-api-key") or request.query_params.get("key")
        if not key:
            raise RefusedGemini(
                403, "Method doesn't allow unregistered callers. Please use API Key."
            )
        only = self._options.api_key
        if only is not None and not hmac.compare_digest(key.encode(), only.encode()):
            raise invalid_key()

    def _accept(self, order: GeminiOrder, body: bytes, *, call: str | None, fired: Fired) -> int:
        purchase = Purchase(
            endpoint=ENDPOINT,
            model=order.model,
            call=call,
            task_id=None,
            request_sha256=hashlib.sha256(body).hexdigest(),
            amount_micros=GEMINI_PRICES[order.model][order.size],
            units=1,
        )
        sequence = self._ledger.accept(purchase)
        if not outcome_of(fired).is_billed:
            self._ledger.withdraw_bill(sequence)
        return sequence

    async def _draw(self, order: GeminiOrder, fired: Fired, *, sequence: int) -> Json:
        pace, seed = self._options.picture_seconds, self._options.seed
        format_name = "jpg" if order.model in JPEG_MODELS else "png"
        picture = b""
        if outcome_of(fired).is_drawn:
            await asyncio.sleep(jittered(pace, seed=seed, sequence=sequence))
            width, height = picture_size(order.size, order.ratio, self._options.picture_pixels)
            picture = await self._easel.draw(
                PictureOrder(
                    prompt=order.prompt,
                    seed=f"{seed}/{order.model}/{order.seed}",
                    width=width,
                    height=height,
                    format=format_name,
                    photo=order.photos[0] if order.photos else None,
                )
            )
        return write_answer(order, picture, format_name=format_name, fired=fired)


def _refuse(order: GeminiOrder, fired: Fired) -> None:
    if quota := fired.first(QuotaExceeded):
        raise quota_exceeded(order.model, per=quota.per, retry_delay=quota.retry_delay)
    if fired.first(KeyInvalid):
        raise invalid_key()
    if precondition := fired.first(Precondition):
        raise failed_precondition(precondition.about)
