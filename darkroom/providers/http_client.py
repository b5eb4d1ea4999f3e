"""One request to a provider: sent once, bounded in time and size, every end of it classified.

Whether a broken call may have been accepted is not guessed from the name of an exception: httpx
tells when the first byte of the request goes out, and from then on only the provider knows.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from darkroom.domain.errors import (
    CreditsExhausted,
    GenerationFailed,
    KeyRefused,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    ReplyLost,
    RequestRefused,
)
from darkroom.providers.retry_after import read_retry_after

CONNECT_SECONDS = 5.0
MAX_ANSWER_BYTES = 1024 * 1024  # the longest JSON answer without a picture is a few kilobytes
MAX_TOLD_CHARACTERS = 200  # of a provider's own words in our messages
SERVER_ERRORS = 500
UNAVAILABLE = 503  # whoever says so has passed nothing on
OUR_TOKEN = re.compile(r"(?<=[?&]t=)\w+")  # in addresses that a provider may repeat to us

# HTTP statuses and codes in bodies alike. Source: providers.md 2.5, 3.2.
# Of the others, those from 500 on are the provider's fault, and those below ours; but a question
# costs nothing, so it may be asked again even so: giving up would lose what was paid for.
LEAVES: Mapping[int, type[ProviderError]] = {
    401: KeyRefused,
    402: CreditsExhausted,
    403: KeyRefused,
    408: ProviderUnavailable,  # it did not get the whole request in time
    425: ProviderUnavailable,
    429: RateLimited,
    455: ProviderUnavailable,  # nanobananaapi.ai: in maintenance
    501: GenerationFailed,  # nanobananaapi.ai: could not generate
    505: RequestRefused,  # nanobananaapi.ai: feature disabled
}
REMEDIES: Mapping[type[ProviderError], str] = {
    KeyRefused: "give it a valid key",
    CreditsExhausted: "top up the account",
    RateLimited: "it is asked again later",
    ProviderUnavailable: "it is asked again later",
    GenerationFailed: "it is asked again later",
    RequestRefused: "correct the request or the address",
}

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request that has not been sent. The deadline is for all of it, from DNS to last byte."""

    provider: str
    method: Literal["GET", "POST"]
    url: str
    deadline: timedelta
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    is_paid: bool = False  # then a break after the first byte may have cost money
    max_answer_bytes: int = MAX_ANSWER_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whole, with any status."""

    outgoing: Outgoing
    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def is_success(self) -> bool:
        """Say whether the status is one of success."""
        return httpx.codes.is_success(self.status)


def open_client(*, connection_count: int = 100) -> httpx.AsyncClient:
    """Open a client that repeats nothing, follows nothing and reads no environment.

    Args:
        connection_count: requests that may be under way at once; more wait, and their
            deadlines tick meanwhile.
    """
    limits = httpx.Limits(
        max_connections=connection_count, max_keepalive_connections=connection_count
    )
    transport = httpx.AsyncHTTPTransport(retries=0, limits=limits, trust_env=False)
    return httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)


async def exchange(client: httpx.AsyncClient, outgoing: Outgoing) -> Answer:
    """Send a request once and read its answer.

    Raises:
        ProviderUnavailable: no answer, and certainly not accepted or free to ask again.
        ReplyLost: no answer to a paid request whose first byte had gone out.
        RequestRefused: the request cannot be written as HTTP.
    """
    wire = Wire()
    try:
        async with asyncio.timeout(outgoing.deadline.total_seconds()):
            return await _send(client, outgoing, wire)
    except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as unsendable:
        raise RequestRefused(
            f"{outgoing.provider}: {outgoing.method} {outgoing.url} cannot be sent "
            f"({unsendable}); correct the address or the key",
            provider=outgoing.provider,
        ) from unsendable
    except TimeoutError as late:
        seconds = outgoing.deadline.total_seconds()
        raise broken(outgoing, wire, reason=f"no whole answer in {seconds:g} s") from late
    except httpx.HTTPError as error:
        raise broken(outgoing, wire, reason=f"{type(error).__name__}: {error}") from error


class Wire:
    """Watches one request through httpx's trace extension."""

    def __init__(self) -> None:
        self.has_begun = False

    async def watch(self, event: str, _: Mapping[str, Any]) -> None:
        """Note when the first byte of the request may go out; httpcore names the events.

        Anything that is not the making of a connection counts, so an event that is named
        otherwise one day makes us careful, not careless.
        """
        if not event.startswith("connection."):
            self.has_begun = True


def broken(outgoing: Outgoing, wire: Wire, *, reason: str) -> ProviderError:
    """Classify a call without an answer by whether it may have been accepted."""
    call = f"{outgoing.provider}: {outgoing.method} {outgoing.url}"
    if outgoing.is_paid and wire.has_begun:
        return _lost(outgoing, reason)
    return ProviderUnavailable(
        f"{call} got no answer ({reason}); it is asked again later", provider=outgoing.provider
    )


def refusal(answer: Answer, *, code: int | None = None, told: str = "") -> ProviderError:
    """Classify an answer that says no. The one place where codes become leaves.

    Args:
        answer: says no by its status, or by a code in its body.
        code: the code in its body; without it, the status counts.
        told: the provider's own words.
    """
    outgoing = answer.outgoing
    counted = answer.status if code is None else code
    is_ours = counted < SERVER_ERRORS and outgoing.is_paid
    leaf = LEAVES.get(counted, RequestRefused if is_ours else ProviderUnavailable)
    words = f" ({quoted(told)})" if told else ""
    return leaf(
        f"{outgoing.provider}: {outgoing.method} {outgoing.url} was answered {counted}{words}; "
        f"{REMEDIES[leaf]}",
        provider=outgoing.provider,
        retry_after=read_retry_after(answer.headers),
    )


def unsigned(answer: Answer) -> ProviderError:
    """Classify an answer that the provider itself did not write.

    A proxy that says 502 or 504 may have passed a purchase on before.
    """
    is_beyond_us = answer.status >= SERVER_ERRORS and answer.status != UNAVAILABLE
    if answer.is_success or is_beyond_us:
        return unreadable(answer, reason="not in the provider's words")
    return refusal(answer)


def read_as(kind: type[M], answer: Answer) -> M:
    """Read the JSON of a success.

    Raises:
        ReplyLost: a paid call was answered with something else, so it may have been accepted.
        ProviderUnavailable: a free call was.
    """
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError as invalid:
        raise unreadable(answer, reason=_first_fault(invalid)) from invalid


def unreadable(answer: Answer, *, reason: str) -> ProviderError:
    """Classify an answer that does not say what became of the call."""
    outgoing = answer.outgoing
    kind = answer.headers.get("content-type", "no content type")
    told = f"status {answer.status}, {len(answer.content)} bytes of {kind}: {reason}"
    if outgoing.is_paid:
        return _lost(outgoing, told)
    return ProviderUnavailable(
        f"{outgoing.provider}: {outgoing.method} {outgoing.url} was answered unreadably ({told}); "
        "it is asked again later",
        provider=outgoing.provider,
    )


def quoted(told: str) -> str:
    """Shorten a provider's words for our messages, and hide tokens that it repeats."""
    return OUR_TOKEN.sub("...", " ".join(told.split()))[:MAX_TOLD_CHARACTERS]


def without_query(url: str) -> str:
    """Shorten an address for our messages; the query may sign it."""
    return url.partition("?")[0][:MAX_TOLD_CHARACTERS]


async def _send(client: httpx.AsyncClient, outgoing: Outgoing, wire: Wire) -> Answer:
    seconds = outgoing.deadline.total_seconds()
    async with client.stream(
        outgoing.method,
        outgoing.url,
        params=outgoing.query,
        headers=outgoing.headers,
        json=outgoing.body,
        timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
        follow_redirects=False,
        extensions={"trace": wire.watch},
    ) as response:
        content = await _read_capped(response, outgoing.max_answer_bytes)
    answer = Answer(
        outgoing=outgoing, status=response.status_code, headers=response.headers, content=content
    )
    if len(content) > outgoing.max_answer_bytes:
        raise unreadable(answer, reason=f"longer than {outgoing.max_answer_bytes} bytes")
    return answer


async def _read_capped(response: httpx.Response, max_bytes: int) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > max_bytes:
            break
    return bytes(content)


def _lost(outgoing: Outgoing, reason: str) -> ReplyLost:
    return ReplyLost(
        f"{outgoing.provider}: the reply to {outgoing.method} {outgoing.url} is lost ({reason}); "
        "the call may have been accepted and billed",
        provider=outgoing.provider,
    )


def _first_fault(invalid: ValidationError) -> str:
    first = invalid.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
