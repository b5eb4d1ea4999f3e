"""The way to the people who run the house: one signed POST, if they gave an address.

Signed as Standard Webhooks has it: `webhook-id` names the message, the signature covers id,
time and body. Whoever receives it may drop an id, or an alert's key, that it has seen.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog

from darkroom.domain.errors import OperatorsUnreachable
from darkroom.domain.ports import Alert

log = structlog.get_logger()

DEADLINE_SECONDS = 10.0
SECRET_PREFIX = "whsec_"  # noqa: S105 -- how every such secret begins, not one of them
SHORTEST_KEY_BYTES, LONGEST_KEY_BYTES = 24, 64  # Standard Webhooks, "Signature scheme"
ID_LETTERS = 32


class LogOnlyNotifier:
    """Tells nobody: what there is to tell stands in the log."""

    async def tell(self, alerts: Sequence[Alert]) -> None:
        """Leave it to the log."""


class WebhookNotifier:
    """Posts alerts to one address; the client neither repeats nor redirects."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        url: str,
        secret: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the address and the secret.

        Raises:
            ValueError: one of them cannot be one; the message names the variable.
        """
        self._client = client
        self._url = checked_url(url)
        self._key = signing_key(secret)
        self._now = now

    async def tell(self, alerts: Sequence[Alert]) -> None:
        """Tell all of them at once; at least one.

        Raises:
            OperatorsUnreachable: nobody took them; tell them again.
        """
        sent_at = self._now()
        body = json.dumps(
            _message(alerts, sent_at), ensure_ascii=False, default=_time_text
        ).encode()
        headers = signed(self._key, message_id=_message_id(alerts), at=sent_at, body=body)
        headers["content-type"] = "application/json"
        try:
            answer = await self._client.post(
                self._url, content=body, headers=headers, timeout=DEADLINE_SECONDS
            )
        except httpx.HTTPError as error:
            raise self._unreachable(alerts, f"did not answer ({error!r})") from error
        if not answer.is_success:
            raise self._unreachable(alerts, f"answered {answer.status_code}")

    def _unreachable(self, alerts: Sequence[Alert], how: str) -> OperatorsUnreachable:
        log.warning("operators_unreachable", host=self._url.host, alerts=len(alerts), error=how)
        return OperatorsUnreachable(
            f"OPERATOR_WEBHOOK_URL at {self._url.host} {how}; it is told again, but look at it"
        )


def signed(key: bytes, *, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Sign a message; answers the headers that carry it."""
    timestamp = str(int(at.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }


def signing_key(secret: str) -> bytes:
    """Read a secret as it is written: `whsec_` and 24 to 64 bytes in base64.

    Raises:
        ValueError: it is something else.
    """
    written = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(written, validate=True)
    except binascii.Error:
        key = b""
    if written == secret or not SHORTEST_KEY_BYTES <= len(key) <= LONGEST_KEY_BYTES:
        raise ValueError(
            "OPERATOR_WEBHOOK_SECRET is not a signing secret; make one with: "
            f"echo {SECRET_PREFIX}$(openssl rand -base64 32)"
        )
    return key


def checked_url(url: str) -> httpx.URL:
    """Read an address.

    Raises:
        ValueError: nothing can be posted there.
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in {"http", "https"} or not address.host:
        raise ValueError(f"OPERATOR_WEBHOOK_URL {url!r} is not an address; write https://host/path")
    return address


def _message(alerts: Sequence[Alert], sent_at: datetime) -> dict[str, Any]:
    return {
        "type": "operator.alerts",
        "timestamp": sent_at,
        "data": {
            "alerts": [
                {
                    "key": alert.key,
                    "kind": alert.kind,
                    "at": alert.at,
                    **alert.facts,
                }
                for alert in alerts
            ]
        },
    }


def _time_text(at: datetime) -> str:
    """Write a moment as the HTTP door does: RFC 3339, milliseconds, Z. Source: spec.md 9."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message_id(alerts: Sequence[Alert]) -> str:
    """Name a message by what it tells, so that the same told again has the same name."""
    keys = "\n".join(alert.key for alert in alerts)
    return f"msg_{hashlib.sha256(keys.encode()).hexdigest()[:ID_LETTERS]}"
