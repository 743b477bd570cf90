"""What callers keep for the service: a value under a code that only the service makes.

Stateless: nothing of it is stored, so a forget has nothing to find. What a token holds can be read
by whoever has it, so it holds nothing that its holder must not know.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from typing import Any, Final

_MAC_BYTES: Final = 32


def written(value: object, *, key: bytes) -> str:
    """Return the token of a JSON value, URL-safe.

    Args:
        value: what it holds.
        key: of its purpose, 32 bytes; a token of one purpose is none of another.
    """
    packed = zlib.compress(json.dumps(value, separators=(",", ":")).encode())
    return base64.urlsafe_b64encode(_code(packed, key=key) + packed).decode()


def read(token: str, *, key: bytes) -> Any:  # noqa: ANN401 - JSON, as it was written
    """Return the value of a token.

    Raises:
        ValueError: the service did not write it, or not for this purpose.
    """
    message = "no token of this service"
    try:
        sealed = base64.urlsafe_b64decode(token.encode())
    except (binascii.Error, ValueError):
        raise ValueError(message) from None
    code, packed = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
    if not hmac.compare_digest(code, _code(packed, key=key)):
        raise ValueError(message)
    return json.loads(zlib.decompress(packed))


def _code(packed: bytes, *, key: bytes) -> bytes:
    return hmac.new(key, packed, hashlib.sha256).digest()
