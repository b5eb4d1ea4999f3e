"""The name under which an owner's combination is reserved, wherever it was written."""

import hashlib
import json
import unicodedata

from darkroom.domain.difference import Combination

SCHEMA_VERSION = 1  # raise it when the same combination must get another key


def combination_key(combination: Combination) -> str:
    """Fingerprint a combination.

    Returns:
        SHA-256 in hex of canonical JSON: the order of the dimensions and the Unicode form in
        which an option was typed make no difference, everything else does.
    """
    options = {_composed(name): _composed(option) for name, option in combination}
    canonical = json.dumps(
        {"combination": options, "version": SCHEMA_VERSION},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
