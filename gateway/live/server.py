"""Socket.IO connections: who may connect, what they may say, and when they are dropped."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import engineio.packet
import socketio
import socketio.packet
import structlog
from socketio.exceptions import ConnectionRefusedError as Refused

from darkroom.settings import Settings
from gateway.auth import Caller, Keys
from gateway.deps import Gateway
from gateway.errors import INTERNAL, TOO_MANY_CONNECTIONS, UNAUTHENTICATED, Problem
from gateway.live.messages import socket_event
from gateway.live.relay import Relay
from gateway.live.subscribing import Desk, malformed, refusal
from gateway.live.subscriptions import Subscriptions
from gateway.wire import Json

log = structlog.get_logger()

NAMESPACE = "/jobs"
MESSAGE_BYTES = 16 * 1024  # a client only names jobs and a token
PONG_WITHIN_SECONDS = 20.0
JOIN_WITHIN_SECONDS = 10.0  # a connection that joins no namespace is of no use to anybody


def socket_server(settings: Settings) -> Any:
    """Make the Socket.IO server; untyped, because the library is."""
    return socketio.AsyncServer(
        async_mode="asgi",
        namespaces=[NAMESPACE],
        async_handlers=False,  # a socket's next word waits until the one before is answered
        ping_interval=settings.ws_ping_interval.total_seconds(),
        ping_timeout=PONG_WITHIN_SECONDS,
        max_http_buffer_size=MESSAGE_BYTES,
    )


@asynccontextmanager
async def live(server: Any, gateway: Gateway) -> AsyncGenerator[Relay]:
    """Serve sockets while the context is open."""
    subscriptions = Subscriptions()
    sockets = EngineSockets(server)
    relay = Relay(
        subscriptions=subscriptions,
        outbox=gateway.outbox,
        doorbell=gateway.doorbell,
        workflows=gateway.commands,
        sockets=sockets,
    )
    desk = Desk(
        subscriptions=subscriptions, reader=gateway.reader, outbox=gateway.outbox, relay=relay
    )
    connections = Connections(
        subscriptions=subscriptions,
        desk=desk,
        keys=gateway.keys,
        most=gateway.settings.ws_max_connections,
    )
    connections.serve(server)
    tasks = [asyncio.create_task(relay.run()), asyncio.create_task(sockets.drop_idlers())]
    try:
        yield relay
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.shutdown()


class EngineSockets:
    """The sockets of one server, as the relay sees them."""

    def __init__(self, server: Any) -> None:
        self._server = server

    async def send(self, sids: Sequence[str], message: Json) -> None:
        """Queue a message for each of these sockets that is still there.

        `emit` would make a task for each socket, which runs a moment later: then a message
        could overtake the acknowledgement of an unsubscribe. Here nothing else runs between.
        """
        packet = self._packet(message)
        for sid in sids:
            engine_sid = self._server.manager.eio_sid_from_sid(sid, NAMESPACE)
            if engine_sid in self._server.eio.sockets:
                await self._server.eio.send_packet(engine_sid, packet)

    def _packet(self, message: Json) -> Any:
        """Encode a message once, for however many sockets."""
        event = self._server.packet_class(
            socketio.packet.EVENT,
            namespace=NAMESPACE,
            data=[socket_event(message), message],
            binary=False,
        )
        return engineio.packet.Packet(engineio.packet.MESSAGE, data=event.encode())

    def waiting(self, sid: str) -> int:
        """Count the packets that a socket has not taken yet."""
        engine_sid = self._server.manager.eio_sid_from_sid(sid, NAMESPACE)
        socket = self._server.eio.sockets.get(engine_sid)
        return 0 if socket is None else cast("int", socket.queue.qsize())

    async def drop_idlers(self) -> None:
        """Close connections that were refused, or never asked for our namespace."""
        idle: set[str] = set()
        while True:
            await asyncio.sleep(JOIN_WITHIN_SECONDS)
            still_idle = self._idlers()
            for engine_sid in idle & still_idle:
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await self._server.eio.disconnect(engine_sid)
            idle = still_idle

    def _idlers(self) -> set[str]:
        joined = dict(self._server.manager.get_participants(NAMESPACE, None))
        return set(self._server.eio.sockets) - set(joined.values())


class Connections:
    """Who is connected, and the events they send."""

    def __init__(self, *, subscriptions: Subscriptions, desk: Desk, keys: Keys, most: int) -> None:
        self._subscriptions = subscriptions
        self._desk = desk
        self._keys = keys
        self._most = most
        self._callers: dict[str, Caller] = {}

    def serve(self, server: Any) -> None:
        """Take the events of our namespace."""
        for event in ("connect", "disconnect", "subscribe", "unsubscribe", "message"):
            server.on(event, getattr(self, event), namespace=NAMESPACE)

    async def connect(self, sid: str, _environ: Any, auth: Any = None) -> None:
        """Let a caller in.

        Raises:
            ConnectionRefusedError: without a valid token, or when the house is full.
        """
        if len(self._callers) >= self._most:
            raise _refused(
                TOO_MANY_CONNECTIONS.code,
                f"this gateway already has {self._most} connections; try again later",
            )
        caller = self._keys.caller(_token(auth))
        if caller is None:
            raise _refused(UNAUTHENTICATED.code, "connect with auth {token: API key}")
        self._callers[sid] = caller

    async def disconnect(self, sid: str, _reason: Any = None) -> None:
        """Forget a socket."""
        self._callers.pop(sid, None)
        self._subscriptions.remove_socket(sid)

    async def subscribe(self, sid: str, asked: Any = None) -> Json:
        """Serve `subscribe`."""
        return await self._subscribe(sid, asked, is_answered=True)

    async def unsubscribe(self, sid: str, asked: Any = None) -> Json:
        """Serve `unsubscribe`."""
        return self._desk.unsubscribe(sid, asked)

    async def message(self, sid: str, said: Any = None) -> Json:
        """Serve the brief's raw form: {type: "SUBSCRIBE", jobId}."""
        asked: Json = dict(cast("Json", said)) if isinstance(said, dict) else {}
        match asked.pop("type", None):
            case "SUBSCRIBE" | "subscribe":
                return await self._subscribe(sid, asked, is_answered=False)
            case "UNSUBSCRIBE" | "unsubscribe":
                return self._desk.unsubscribe(sid, asked)
            case other:
                return malformed(
                    f"a message of type {other!r} is not known",
                    'send {type: "SUBSCRIBE", jobId} or {type: "UNSUBSCRIBE", jobId}',
                )

    async def _subscribe(self, sid: str, asked: Any, *, is_answered: bool) -> Json:
        caller = self._callers.get(sid)
        if caller is None:
            return malformed("this socket is already gone", "connect again")
        try:
            return await self._desk.subscribe(sid, caller, asked, is_answered=is_answered)
        except Exception:  # the edge: a client must get an answer
            log.exception("subscribe_failed", sid=sid)
            return refusal(Problem(INTERNAL, "the subscription failed for an unforeseen reason"))


def _token(auth: Any) -> str:
    token = cast("Json", auth).get("token") if isinstance(auth, dict) else None
    is_text = isinstance(token, str) and token.isascii()
    return cast("str", token) if is_text else ""


def _refused(code: str, message: str) -> Exception:
    return Refused(message, {"code": code})
