"""Unforgeable addresses: the HMAC tokens in callback and product-photo URLs."""

import hashlib
import hmac

from darkroom.domain.job import FileId
from darkroom.domain.ledger import CallKey


def callback_token(secret: str, call: CallKey) -> str:
    """Sign a purchase, so that only our provider knows where to report it."""
    return _sign(secret, f"callback:{call}")


def file_token(secret: str, file_id: FileId) -> str:
    """Sign a product photo's address, so that a provider may fetch it without a key."""
    return _sign(secret, f"file:{file_id}")


def is_same_token(given: str, expected: str) -> bool:
    """Compare in constant time; any text may be given."""
    return hmac.compare_digest(given.encode(), expected.encode())


def _sign(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
