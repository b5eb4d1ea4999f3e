"""The one ASGI application: HTTP, sockets and caps over whatever adapters it is given."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import socketio
from fastapi import FastAPI
from starlette.types import ASGIApp

from darkroom.settings import Settings
from gateway.deps import Gateway
from gateway.errors import install_errors
from gateway.limits import BodyLimit, SlowSocketLimit
from gateway.live.doors import Doors
from gateway.live.server import live, socket_server
from gateway.reference import DescribedApi
from gateway.routes import callbacks, control, files, health, images, jobs
from gateway.routes.admin import audit, dead_letters, providers, queue, reconcile

Opening = Callable[[], AbstractAsyncContextManager[Gateway]]


def face(settings: Settings, opening: Opening) -> ASGIApp:
    """Make the application; its lifespan opens the adapters and closes them."""
    server = socket_server(settings)
    api = described_api(server, opening)
    sockets = socketio.ASGIApp(server, other_asgi_app=api)
    guarded = Doors(sockets, server=server, most=settings.ws_max_connections)
    return SlowSocketLimit(BodyLimit(guarded, file_bytes=settings.max_file_bytes))


def described_api(server: Any, opening: Opening) -> DescribedApi:
    """Make the HTTP part, whose lifespan also runs the sockets of `server`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with opening() as gateway, live(server, gateway) as relay:
            checks = {**gateway.checks, "doorbell": relay.check}
            app.state.gateway = replace(gateway, checks=checks)
            yield

    api = DescribedApi(
        title="Darkroom",
        description="Durable paid image generation.",
        version="0.1.0",
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    install_errors(api)
    for routes in (jobs, control, images, files, callbacks, health):
        api.include_router(routes.router)
    for routes in (queue, providers, dead_letters, audit, reconcile):
        api.include_router(routes.router)
    return api
