"""Fetch a result from an address that somebody else chose, without being led astray.

Guards: only hosts that were named, TLS, public addresses (checked on the very connection, so no
name server can change its mind in between), few redirects, a deadline and a size.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import httpx

from darkroom.domain.errors import (
    ProviderError,
    ProviderUnavailable,
    ResultGone,
    ResultUnusable,
)
from darkroom.providers.http_client import CONNECT_SECONDS, SERVER_ERRORS, without_query
from darkroom.providers.retry_after import read_retry_after

MEBIBYTE = 1024 * 1024
MAX_REDIRECTS = 3
WHOLE_CONTENT = 200  # 206 would be a part, and nobody asked for one
HOST = re.compile(r"[\w.-]+|\[?[0-9a-fA-F:]+\]?")
ORIGIN = re.compile(r"https?://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?")
ASK_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadOptions:
    """From where, how much and how long.

    An entry of `hosts` is a host name or address, reached by TLS at public addresses only; or
    an origin like `http://emulators:8400`, trusted as it is: without TLS, and in a private
    network. `localhost` and loopback addresses need no origin. Names match whole, subdomains
    have to be named.

    Raises:
        ValueError: an entry is neither of the two.
    """

    provider: str
    hosts: tuple[str, ...]
    deadline: timedelta = timedelta(seconds=60)
    max_bytes: int = 32 * MEBIBYTE  # source: providers.md 3.6

    def __post_init__(self) -> None:
        for entry in self.hosts:
            if not (HOST.fullmatch(entry) or ORIGIN.fullmatch(entry)):
                raise ValueError(
                    f"download host {entry!r} is neither a host name like tempfile.example.com "
                    "nor an origin like http://emulators:8400"
                )


class _ForbiddenAddress(Exception):
    """The host's name led to an address inside; no byte was sent to it."""


async def download(client: httpx.AsyncClient, url: str, options: DownloadOptions) -> bytes:
    """Fetch a result.

    Args:
        client: from `open_client`, and used for downloads only: it must carry no key.
        url: as the provider named it.
        options: the guards.

    Raises:
        ResultGone: the address has expired.
        ResultUnusable: too large, cut short, empty, or from a host that was not named.
        ProviderUnavailable: the same address may answer later.
    """
    try:
        async with asyncio.timeout(options.deadline.total_seconds()):
            return await _follow(client, url, options)
    except TimeoutError as late:
        seconds = options.deadline.total_seconds()
        raise _unavailable(options, url, reason=f"not whole after {seconds:g} s") from late
    except _ForbiddenAddress as inside:
        raise _unusable(options, url, reason=str(inside)) from inside
    except httpx.HTTPError as error:
        raise _unavailable(options, url, reason=f"{type(error).__name__}: {error}") from error


async def _follow(client: httpx.AsyncClient, url: str, options: DownloadOptions) -> bytes:
    place = _checked(url, options)
    for _ in range(MAX_REDIRECTS + 1):
        request = client.build_request(
            "GET",
            place,
            headers={"Accept-Encoding": "identity"},  # a size cap counts what is sent
            timeout=httpx.Timeout(options.deadline.total_seconds(), connect=CONNECT_SECONDS),
            extensions={"trace": _AddressGuard(place, options).watch},
        )
        response = await client.send(request, stream=True, auth=None, follow_redirects=False)
        try:
            if not response.has_redirect_location:
                return await _content_of(response, url, options)
            place = _checked(response.headers["location"], options, base=place)
        finally:
            await response.aclose()
    raise _unusable(options, url, reason=f"more than {MAX_REDIRECTS} redirects")


async def _content_of(response: httpx.Response, url: str, options: DownloadOptions) -> bytes:
    if response.status_code != WHOLE_CONTENT:
        raise _refused(response, url, options)
    content = bytearray()
    try:
        async for piece in response.aiter_raw():
            content += piece
            if len(content) > options.max_bytes:
                raise _unusable(options, url, reason=f"larger than {options.max_bytes} bytes")
    except httpx.RemoteProtocolError as cut:  # ended before the announced length
        raise _unusable(options, url, reason=f"cut short: {cut}") from cut
    if not content:
        raise _unusable(options, url, reason="it is empty")
    return bytes(content)


def _checked(url: str, options: DownloadOptions, base: httpx.URL | None = None) -> httpx.URL:
    try:
        place = httpx.URL(url) if base is None else base.join(url)
    except httpx.InvalidURL as invalid:
        raise _unusable(options, url, reason=f"not an address: {invalid}") from invalid
    if place.userinfo:
        raise _unusable(options, url, reason="the address carries a user name")
    if _is_named_origin(place, options) or (_is_named_host(place, options) and _is_safe(place)):
        return place
    raise _unusable(
        options,
        url,
        reason=f"{place.scheme}://{place.netloc.decode()} is not among the download hosts, "
        "or has no TLS; name it there if it is the provider's",
    )


def _is_safe(place: httpx.URL) -> bool:
    return place.scheme == "https" or (place.scheme == "http" and _is_loopback(place.host))


def _is_named_host(place: httpx.URL, options: DownloadOptions) -> bool:
    return _plain(place.host) in {_plain(host) for host in options.hosts}


def _is_named_origin(place: httpx.URL, options: DownloadOptions) -> bool:
    origins = [httpx.URL(entry) for entry in options.hosts if "://" in entry]
    return (place.scheme, _plain(place.host), place.port) in {
        (origin.scheme, _plain(origin.host), origin.port) for origin in origins
    }


def _plain(host: str) -> str:
    return host.lower().rstrip(".").strip("[]")


def _is_loopback(host: str) -> bool:
    if _plain(host) == "localhost":
        return True
    try:
        return ip_address(_plain(host)).is_loopback
    except ValueError:
        return False


class _AddressGuard:
    """Looks at the address a connection really reached, before anything is sent over it."""

    def __init__(self, place: httpx.URL, options: DownloadOptions) -> None:
        self._host = _plain(place.host)
        self._may_be_inside = _is_named_origin(place, options) or _is_loopback(place.host)

    async def watch(self, event: str, details: Mapping[str, Any]) -> None:
        """Refuse a connection to an address inside; events are named by httpcore."""
        if event != "connection.connect_tcp.complete" or self._may_be_inside:
            return
        stream = details["return_value"]
        reached = stream.get_extra_info("server_addr")[0]
        if not ip_address(reached).is_global and _plain(reached) != self._host:
            await stream.aclose()
            raise _ForbiddenAddress(f"{self._host} is at {reached}, which is not public")


def _refused(response: httpx.Response, url: str, options: DownloadOptions) -> ProviderError:
    status = response.status_code
    if response.is_success:
        return _unusable(options, url, reason=f"status {status} is not a whole result")
    if status >= SERVER_ERRORS or status in ASK_AGAIN:
        return ProviderUnavailable(
            f"{options.provider}: the result at {without_query(url)} was answered {status}; "
            "the same address is asked again",
            provider=options.provider,
            retry_after=read_retry_after(response.headers),
        )
    return ResultGone(
        f"{options.provider}: the result at {without_query(url)} is gone (status {status}); "
        "ask the provider for a fresh address",
        provider=options.provider,
    )


def _unavailable(options: DownloadOptions, url: str, *, reason: str) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"{options.provider}: the result at {without_query(url)} did not come ({reason}); "
        "the same address is asked again",
        provider=options.provider,
    )


def _unusable(options: DownloadOptions, url: str, *, reason: str) -> ResultUnusable:
    return ResultUnusable(
        f"{options.provider}: the result at {without_query(url)} is not taken: {reason}",
        provider=options.provider,
    )
