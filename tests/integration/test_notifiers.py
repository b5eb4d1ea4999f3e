"""Alerts reach an address that somebody gave, signed, and say when they did not."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from darkroom.domain.errors import OperatorsUnreachable
from darkroom.domain.ports import Alert
from darkroom.providers.http_client import open_client
from darkroom.runtime.notifiers import WebhookNotifier, checked_url, signed, signing_key
from tests.support.builders import JOB, NOW
from tests.support.scripted_server import (
    Received,
    ScriptedServer,
    answer_bytes,
    scripted_server,
)
from tests.support.subprocesses import free_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ALERT = Alert(
    key=f"{JOB}/1/1", kind="dead_letter_escalated", at=NOW, facts={"jobId": JOB, "level": 1}
)


def saying(status: int) -> Callable[[Received], bytes]:
    """Answer everything alike."""
    return lambda _: answer_bytes(status)


async def told(server: ScriptedServer, *alerts: Alert, at: datetime = NOW) -> None:
    """Tell a server of alerts."""
    async with open_client() as client:
        notifier = WebhookNotifier(
            client, url=server.address("/alerts?team=7"), secret=SECRET, now=lambda: at
        )
        await notifier.tell(alerts)


def test_signature_is_the_one_that_receivers_check() -> None:
    """The published example of the scheme comes out to the letter."""
    headers = signed(
        signing_key(SECRET),
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=datetime.fromtimestamp(1614265330, UTC),
        body=b'{"test": 2432232314}',
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


async def test_alerts_are_posted_in_one_signed_message() -> None:
    """The receiver can prove who sent it, and reads what happened without asking back."""
    async with scripted_server(saying(204)) as server:
        await told(server, ALERT)

    (request,) = server.requests
    assert request.head.startswith("POST /alerts?team=7 ")
    message = json.loads(request.body)
    assert message["type"] == "operator.alerts"
    assert message["data"]["alerts"] == [
        {
            "key": f"{JOB}/1/1",
            "kind": ALERT.kind,
            "at": "2026-03-14T15:09:26.535Z",
            "jobId": JOB,
            "level": 1,
        }
    ]
    content = f"{request.header('webhook-id')}.{request.header('webhook-timestamp')}.".encode()
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, content + request.body, "sha256")).decode()
    assert request.header("webhook-signature") == f"v1,{expected}"


async def test_the_same_alerts_told_again_have_the_same_id() -> None:
    """A receiver that remembers ids hears of each once, however often a worker died."""
    other = Alert(key="another", kind=ALERT.kind, at=NOW, facts={})
    async with scripted_server(saying(200)) as server:
        await told(server, ALERT)
        await told(server, ALERT, at=NOW + timedelta(minutes=5))
        await told(server, ALERT, other)

    ids = [request.header("webhook-id") for request in server.requests]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("status", [302, 400, 500])
async def test_alert_that_nobody_took_is_owed(status: int) -> None:
    """Any answer but success means that it must be told again; a redirect is not followed."""
    async with scripted_server(saying(status)) as server:
        with pytest.raises(OperatorsUnreachable, match=f"answered {status}"):
            await told(server, ALERT)

    assert len(server.requests) == 1


async def test_alert_to_an_absent_server_is_owed() -> None:
    """Nobody listening is not a reason to forget it."""
    async with open_client() as client:
        notifier = WebhookNotifier(client, url=f"http://127.0.0.1:{free_port()}/", secret=SECRET)
        with pytest.raises(OperatorsUnreachable, match=r"127\.0\.0\.1 did not answer"):
            await notifier.tell([ALERT])


@pytest.mark.parametrize(
    "secret", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_short", "whsec_!!!", ""]
)
def test_secret_that_cannot_be_one_is_refused_at_the_start(secret: str) -> None:
    """The message names the variable and how to make a secret."""
    with pytest.raises(ValueError, match=r"OPERATOR_WEBHOOK_SECRET .*openssl"):
        signing_key(secret)


@pytest.mark.parametrize(
    "url", ["", "ops.example", "ftp://ops.example/", "https://", "http://ops:port"]
)
def test_address_that_cannot_be_one_is_refused_at_the_start(url: str) -> None:
    """The message names the variable and shows an address."""
    with pytest.raises(ValueError, match=r"OPERATOR_WEBHOOK_URL .* https://host/path"):
        checked_url(url)
