"""Fetching results on real sockets: what is taken, what is refused, and who is never asked."""

from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from darkroom.domain.errors import (
    Billing,
    ProviderError,
    ProviderUnavailable,
    ResultGone,
    ResultUnusable,
)
from darkroom.domain.job import ImageSpec, JobId
from darkroom.domain.ledger import CallKey
from darkroom.domain.ports import PictureOrder
from darkroom.providers.downloads import DownloadOptions, download
from darkroom.providers.http_client import open_client
from darkroom.providers.nanobanana import NanobananaOptions, NanobananaProvider
from tests.support.emulated import Emulated, Rule, running_emulators
from tests.support.scripted_server import Received, answer_bytes, scripted_server
from tests.support.subprocesses import free_port
from tests.support.waiting import eventually

PICTURE = b"\x89PNG picture"
LOOPBACK_IN_DISGUISE = "2130706433"  # one number, which resolvers read as 127.0.0.1
GUARDS = DownloadOptions(provider="nanobanana", hosts=("127.0.0.1",))


def on_result(action: str, **parameters: Any) -> Rule:
    return {"endpoint": "result", "action": action, **parameters}


@pytest.fixture(scope="module")
def provider() -> Generator[Emulated]:
    with running_emulators() as emulated:
        yield emulated


@pytest.fixture
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    async with open_client() as opened:
        yield opened


@pytest.fixture
async def result_url(provider: Emulated, client: httpx.AsyncClient) -> str:
    """Buy a picture and say where it is."""
    await provider.forget()
    options = NanobananaOptions(
        base_url=provider.address,
        api_key="test-key",
        callback_base_url="https://darkroom.test",
        signing_secret="secret",
        prices={("nano-banana-2", "1K"): 20_000},
        download_hosts=(),
    )
    nanobanana = NanobananaProvider(client, client, options)
    order = PictureOrder(
        call=CallKey(job=JobId("job_1"), item="0001", take=1),
        prompt="a lamp",
        image=ImageSpec(model="nano-banana-2"),
        product=(),
    )
    accepted = await nanobanana.submit(order)
    ready = await eventually(lambda: nanobanana.collect(accepted.task_id), what="the picture")
    return ready.url if ready else ""


async def failure_of_fetching(
    client: httpx.AsyncClient, url: str, guards: DownloadOptions = GUARDS
) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await download(client, url, guards)
    return failed.value


@pytest.mark.parametrize(
    ("rule", "leaf"),
    [
        (on_result("expired", status=404), ResultGone),
        (on_result("expired", status=410), ResultGone),
        (on_result("status", status=403), ResultGone),
        (on_result("truncated"), ResultUnusable),
        (on_result("huge", size_bytes=200_000), ResultUnusable),
        (on_result("status", status=500), ProviderUnavailable),
        (on_result("status", status=503), ProviderUnavailable),
        (on_result("status", status=429), ProviderUnavailable),
        (on_result("reset_before_acceptance"), ProviderUnavailable),
        (on_result("slow", seconds=5), ProviderUnavailable),
        (on_result("hang"), ProviderUnavailable),
    ],
    ids=[
        "expired 404",
        "expired 410",
        "forbidden",
        "cut short",
        "huge",
        "500",
        "503",
        "429",
        "reset",
        "slow",
        "hang",
    ],
)
async def test_a_result_that_cannot_be_had_is_classified(
    provider: Emulated,
    client: httpx.AsyncClient,
    result_url: str,
    rule: Rule,
    leaf: type[ProviderError],
) -> None:
    """Gone, unusable, or worth the same question again; asked once in any case."""
    await provider.befall(rule)
    guards = replace(GUARDS, deadline=timedelta(seconds=1.5), max_bytes=100_000)

    failed = await failure_of_fetching(client, result_url, guards)

    assert type(failed) is leaf
    assert (failed.billing is Billing.NONE) == (leaf is ProviderUnavailable)
    assert await provider.met_counts() == (1,)


@pytest.mark.parametrize(
    "rule",
    [on_result("truncated", clean=True), on_result("not_an_image")],
    ids=["half a picture", "text"],
)
async def test_what_arrives_whole_is_judged_elsewhere(
    provider: Emulated, client: httpx.AsyncClient, result_url: str, rule: Rule
) -> None:
    """Whether bytes are a picture is PictureCheck's business."""
    whole = await download(client, result_url, GUARDS)
    await provider.befall(rule)

    assert await download(client, result_url, GUARDS) not in {whole, b""}


async def test_a_pause_asked_for_is_passed_on(
    provider: Emulated, client: httpx.AsyncClient, result_url: str
) -> None:
    """Who says when to come back is believed."""
    await provider.befall(on_result("status", status=503, retry_after=4))

    failed = await failure_of_fetching(client, result_url)

    assert failed.retry_after == timedelta(seconds=4)


async def test_a_host_that_is_down_has_lost_nothing(client: httpx.AsyncClient) -> None:
    """The same address may answer later."""
    failed = await failure_of_fetching(client, f"http://127.0.0.1:{free_port()}/1.png")

    assert type(failed) is ProviderUnavailable


async def test_no_key_is_sent_along(client: httpx.AsyncClient) -> None:
    """A file host is not the API."""
    async with scripted_server(lambda _: answer_bytes(200, PICTURE)) as server:
        assert await download(client, server.address("/1.png?sign=x"), GUARDS) == PICTURE

    (request,) = server.requests
    assert request.path == "/1.png?sign=x"
    assert request.header("authorization") is None
    assert request.header("cookie") is None


@pytest.mark.parametrize("status", [201, 204, 206])
async def test_only_the_whole_result_is_taken(client: httpx.AsyncClient, status: int) -> None:
    """A part is not a picture."""
    async with scripted_server(lambda _: answer_bytes(status, PICTURE)) as server:
        failed = await failure_of_fetching(client, server.address())

    assert type(failed) is ResultUnusable


async def test_an_empty_result_is_unusable(client: httpx.AsyncClient) -> None:
    """It would only fail later and say less."""
    async with scripted_server(lambda _: answer_bytes(200)) as server:
        failed = await failure_of_fetching(client, server.address())

    assert type(failed) is ResultUnusable


async def test_a_redirect_to_a_named_host_is_followed(client: httpx.AsyncClient) -> None:
    """Absolute or relative, it leads to the picture."""

    def says(request: Received) -> bytes:
        follows = {"/1": "/2", "/2": server.address("/3")}
        if request.path in follows:
            return answer_bytes(302, headers=[("Location", follows[request.path])])
        return answer_bytes(200, PICTURE)

    async with scripted_server(says) as server:
        picture = await download(client, server.address("/1"), GUARDS)

    assert picture == PICTURE
    assert [request.path for request in server.requests] == ["/1", "/2", "/3"]


@pytest.mark.parametrize("host", ["localhost", LOOPBACK_IN_DISGUISE])
async def test_a_redirect_to_another_host_is_not_followed(
    client: httpx.AsyncClient, host: str
) -> None:
    """The host that was not named is not even connected to."""
    async with scripted_server(lambda _: answer_bytes(200, b"secret")) as inside:
        location = [("Location", inside.address("/", host=host))]
        async with scripted_server(lambda _: answer_bytes(302, headers=location)) as server:
            failed = await failure_of_fetching(client, server.address())

    assert type(failed) is ResultUnusable
    assert "not among the download hosts" in str(failed)
    assert inside.connection_count == 0


async def test_redirects_come_to_an_end(client: httpx.AsyncClient) -> None:
    """Three are followed, a fourth is not."""
    around = answer_bytes(302, headers=[("Location", "/again")])
    async with scripted_server(lambda _: around) as server:
        failed = await failure_of_fetching(client, server.address())

    assert type(failed) is ResultUnusable
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "url",
    [
        "http://pictures.test/1.png",  # named, but without TLS
        "https://evil.test/1.png",
        "https://sub.pictures.test/1.png",
        "https://pictures.test.evil.test/1.png",
        "https://pictures.test@evil.test/1.png",
        "https://user@pictures.test/1.png",
        "https://[::1]/1.png",
        "https://169.254.169.254/latest",
        "file:///etc/passwd",
        "ftp://pictures.test/1.png",
        "//pictures.test/1.png",
        "pictures.test/1.png",
        "https://",
        "https://[1.png",
        "",
    ],
)
async def test_an_address_that_was_not_named_is_refused(
    client: httpx.AsyncClient, url: str
) -> None:
    """Providers choose the address, so only what an operator named is believed."""
    guards = replace(GUARDS, hosts=("pictures.test",))

    failed = await failure_of_fetching(client, url, guards)

    assert type(failed) is ResultUnusable


async def test_a_named_host_inside_our_network_gets_no_byte(client: httpx.AsyncClient) -> None:
    """Whatever a name server says: the address that was reached is what counts."""
    async with scripted_server(lambda _: answer_bytes(200, b"secret")) as inside:
        guards = replace(GUARDS, hosts=(LOOPBACK_IN_DISGUISE,))
        url = inside.address("/", host=LOOPBACK_IN_DISGUISE, scheme="https")
        failed = await failure_of_fetching(client, url, guards)
        await eventually(lambda: inside.connection_count, what="the connection")

    assert type(failed) is ResultUnusable
    assert "127.0.0.1, which is not public" in str(failed)
    assert inside.received_bytes == 0


async def test_a_named_origin_is_trusted_as_it_is(client: httpx.AsyncClient) -> None:
    """Without TLS and in a private network, but on that very port only."""
    async with scripted_server(lambda _: answer_bytes(200, PICTURE)) as inside:
        url = inside.address("/1.png", host=LOOPBACK_IN_DISGUISE)
        trusting = replace(GUARDS, hosts=(inside.address(host=LOOPBACK_IN_DISGUISE),))
        other_port = replace(GUARDS, hosts=(f"http://{LOOPBACK_IN_DISGUISE}:1",))

        assert await download(client, url, trusting) == PICTURE
        assert type(await failure_of_fetching(client, url, other_port)) is ResultUnusable


@pytest.mark.parametrize(
    "host", ["", "a.test:443", "a.test/x", "*.a.test", "ftp://a.test", "http://"]
)
def test_a_host_that_cannot_be_read_is_refused_at_the_start(host: str) -> None:
    """A worker that would refuse every picture does not start."""
    with pytest.raises(ValueError, match="is neither a host name"):
        DownloadOptions(provider="nanobanana", hosts=("127.0.0.1", host))


@pytest.mark.parametrize(
    "host", ["a.test", "::1", "[::1]", "http://a.test", "http://a-b.test:8400", "http://[::1]:1/"]
)
def test_a_host_or_an_origin_is_understood(host: str) -> None:
    """Names and addresses, with a scheme where the operator trusts that very origin."""
    assert DownloadOptions(provider="nanobanana", hosts=(host,)).hosts == (host,)


async def test_messages_hide_what_signs_an_address(client: httpx.AsyncClient) -> None:
    """They end up in events that callers read."""
    async with scripted_server(lambda _: answer_bytes(404)) as server:
        failed = await failure_of_fetching(client, server.address("/1.png?signature=abc"))

    assert "/1.png" in str(failed)
    assert "signature" not in str(failed)
