"""The HTTP face of the nanobananaapi.ai stand-in."""

import hashlib
import uuid
from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from emulators.bearer import is_authorized
from emulators.faults.carrying_out import befall_after, befall_before
from emulators.faults.plan import FaultPlan, Fired
from emulators.faults.rules import BeforeReply
from emulators.ledger import Ledger, Purchase
from emulators.options import EmulatorOptions
from emulators.pace import jittered
from emulators.pictures.envelopes import (
    NO_ACCESS,
    NO_CREDITS,
    NOT_FOUND,
    SERVER_ERROR,
    RefusedPicture,
    answer_refused,
    envelope,
    success,
)
from emulators.pictures.requests import (
    AnyBody,
    Generate2Body,
    GenerateBody,
    GenerateProBody,
    Order,
    read_order,
)
from emulators.pictures.results import (
    MEDIA_TYPES,
    PictureHost,
    is_available,
    picture_response,
    read_name,
)
from emulators.pictures.tasks import Task, TaskBoard
from emulators.prices import MICROS_PER_CREDIT, picture_credits

PREFIX = "/api/v1/nanobanana"
SUBMIT_PATHS: tuple[tuple[str, type[AnyBody]], ...] = (
    ("/generate", GenerateBody),
    ("/generate-2", Generate2Body),
    ("/generate-pro", GenerateProBody),
)
Endpoint = Callable[[Request], Awaitable[Response]]


class PictureRoutes:
    """Submit, look up, credit and download."""

    def __init__(
        self,
        options: EmulatorOptions,
        faults: FaultPlan,
        ledger: Ledger,
        *,
        board: TaskBoard,
        host: PictureHost,
    ) -> None:
        self._options = options
        self._faults = faults
        self._ledger = ledger
        self._board = board
        self._host = host

    def join(self, app: FastAPI) -> None:
        """Open the routes."""
        routes = app.router
        for path, kind in SUBMIT_PATHS:
            routes.add_route(PREFIX + path, self._submit_of(kind), methods=["POST"])
        routes.add_route(PREFIX + "/record-info", self.show_record, methods=["GET"])
        routes.add_route("/api/v1/common/credit", self.show_credit, methods=["GET"])
        routes.add_route("/results/{name}", self.download, methods=["GET"])
        app.add_exception_handler(RefusedPicture, answer_refused)

    async def submit(self, request: Request, kind: type[AnyBody]) -> Response:
        """Accept a picture task, or say why not; `generate` faults befall valid requests only."""
        body = await request.body()
        self._let_in(request)
        order = read_order(body, kind)
        fired = self._faults.meet("generate", order.prompt, _call_of(request))
        if instead := await befall_before(fired, request, envelope):
            return instead
        self._refuse_without_credits(order)
        task = self._accept(request, order, body, fired=fired)
        life = self._board.start(task)
        if task.fired.first(BeforeReply):
            await life
        return await befall_after(fired, request, success({"taskId": task.task_id}))

    async def show_record(self, request: Request) -> Response:
        """Show how a task stands."""
        self._let_in(request)
        task = self._asked_task(request)
        fired = self._faults.meet("record_info", task.order.prompt, task.call)
        if instead := await befall_before(fired, request, envelope):
            return instead
        return await befall_after(fired, request, success(task.record()))

    async def show_credit(self, request: Request) -> Response:
        """Show the credits left."""
        self._let_in(request)
        fired = self._faults.meet("credit", _call_of(request))
        if instead := await befall_before(fired, request, envelope):
            return instead
        return await befall_after(fired, request, success(self._credits_left()))

    async def download(self, request: Request) -> Response:
        """Send a finished picture; no key is asked for, as with any file host."""
        task_id, place = read_name(request.path_params["name"]) or ("", 0)
        task = self._board.find(task_id)
        if task is None or not is_available(task, place) or self._host.has_expired(task):
            return PlainTextResponse("no such picture, or it has expired", 404)
        fired = self._faults.meet("result", task.order.prompt, task.call)
        if instead := await befall_before(fired, request, envelope):
            return instead
        with self._ledger.open_call("result"):
            picture = await self._host.picture(task, place)
        return picture_response(picture, MEDIA_TYPES[task.order.format], fired)

    def _submit_of(self, kind: type[AnyBody]) -> Endpoint:
        async def submit(request: Request) -> Response:
            return await self.submit(request, kind)

        return submit

    def _let_in(self, request: Request) -> None:
        if not is_authorized(request, self._options.api_key):
            raise RefusedPicture(NO_ACCESS, "You do not have access permissions")

    def _asked_task(self, request: Request) -> Task:
        task_id = request.query_params.get("taskId")
        if not task_id:
            raise RefusedPicture(SERVER_ERROR, "taskId is missing")
        task = self._board.find(task_id)
        if task is None:
            raise RefusedPicture(NOT_FOUND, f"no task {task_id}")
        return task

    def _credits_left(self) -> int:
        return self._options.credits - self._ledger.billed_credits

    def _refuse_without_credits(self, order: Order) -> None:
        if self._credits_left() < picture_credits(order.model, order.resolution, order.count):
            raise RefusedPicture(NO_CREDITS, "Insufficient credits")

    def _accept(self, request: Request, order: Order, body: bytes, *, fired: Fired) -> Task:
        call = _call_of(request)
        task_id = uuid.uuid4().hex  # never seen before, also after a restart
        if order.callback_url:
            fired = fired.and_also(self._faults.meet("callback", order.prompt, call))
        price = picture_credits(order.model, order.resolution, order.count)
        purchase = Purchase(
            endpoint="generate",
            model=order.model,
            call=call,
            task_id=task_id,
            request_sha256=hashlib.sha256(body).hexdigest(),
            amount_micros=price * MICROS_PER_CREDIT,
            credits=price,
            units=order.count,
        )
        sequence = self._ledger.accept(purchase)
        pace, seed = self._options.picture_seconds, self._options.seed
        return Task(
            task_id=task_id,
            order=order,
            param_json=body.decode(),
            call=call,
            results_address=f"{request.base_url}results/",
            sequence=sequence,
            seconds=jittered(pace, seed=seed, sequence=sequence),
            fired=fired,
        )


def _call_of(request: Request) -> str | None:
    return request.headers.get("x-darkroom-call")
