"""Wire the emulators into one app."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from emulators.chat.routes import ChatRoutes
from emulators.control import control_routes
from emulators.easel import Easel
from emulators.faults.plan import FaultPlan
from emulators.gemini.routes import GeminiRoutes
from emulators.ledger import Ledger
from emulators.options import EmulatorOptions
from emulators.pictures.callbacks import CallbackSender
from emulators.pictures.photos import PhotoShelf
from emulators.pictures.results import PictureHost
from emulators.pictures.routes import PictureRoutes
from emulators.pictures.tasks import TaskBoard

PHOTO_TIMEOUT_SECONDS = 15.0
OPEN_CONNECTIONS = 200


def build_app(options: EmulatorOptions) -> FastAPI:
    """Build the app; serve it with `emulators.serving`, which also lends it the sockets to reset.

    Args:
        options: host and port are the server's business and not read here.
    """
    limits = httpx.Limits(max_connections=OPEN_CONNECTIONS, max_keepalive_connections=20)
    client = httpx.AsyncClient(timeout=PHOTO_TIMEOUT_SECONDS, limits=limits, trust_env=False)
    faults = FaultPlan(options.seed)
    ledger = Ledger()
    easel = Easel()
    board = TaskBoard(ledger, PhotoShelf(client), CallbackSender(client).announce)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await board.close()
        easel.close()
        await client.aclose()

    app = FastAPI(title="emulators", lifespan=lifespan, docs_url=None, redoc_url=None)
    ChatRoutes(options, faults, ledger).join(app)
    GeminiRoutes(options, faults, ledger, easel).join(app)
    host = PictureHost(options, easel)
    PictureRoutes(options, faults, ledger, board=board, host=host).join(app)
    app.include_router(control_routes(faults, ledger, board))
    return app
