"""The one ASGI application: HTTP, sockets and caps over whatever adapters it is given."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import socketio
from fastapi import FastAPI
from starlette.types import ASGIApp

from darkroom.settings import Settings
from gateway.deps import Gateway
from gateway.errors import install_errors
from gateway.limits import BodyLimit, SlowSocketLimit
from gateway.live.server import live, socket_server
from gateway.routes import callbacks, files, health, images, jobs

Opening = Callable[[], AbstractAsyncContextManager[Gateway]]


def face(settings: Settings, opening: Opening) -> ASGIApp:
    """Make the application; its lifespan opens the adapters and closes them."""
    server = socket_server(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with opening() as gateway, live(server, gateway) as relay:
            checks = {**gateway.checks, "doorbell": relay.check}
            app.state.gateway = replace(gateway, checks=checks)
            yield

    app = FastAPI(
        title="Darkroom",
        description="Durable paid image generation.",
        version="0.1.0",
        docs_url=None,  # its page would come from somebody else's server
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    install_errors(app)
    for routes in (jobs, images, files, callbacks, health):
        app.include_router(routes.router)
    everything = socketio.ASGIApp(server, other_asgi_app=app)
    return SlowSocketLimit(BodyLimit(everything, file_bytes=settings.max_file_bytes))
