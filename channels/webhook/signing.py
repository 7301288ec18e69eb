"""How a message between programs is signed, both ways.

    X-Nanobot-Timestamp: 1767225600                  seconds since 1970, when it was signed
    X-Nanobot-Signature: sha256=<64 hex digits>      HMAC-SHA256, with the secret, of "<timestamp>.<raw body>"

The timestamp is signed as well, so that what was overheard can't be sent again later.
"""

import hmac
import re
from hashlib import sha256
from typing import Final

TIMESTAMP_HEADER: Final = "x-nanobot-timestamp"
SIGNATURE_HEADER: Final = "x-nanobot-signature"
MOST_SECONDS: Final = 300
"""How far the sender's clock may be from ours."""
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of the signature's header."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, sha256).hexdigest()


def is_signed(secret: str, timestamp: str, signature: str, body: bytes) -> bool:
    """Whether the signature is the one for these bytes; takes the same time for every wrong one."""
    return hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.strip().lower().encode())


def is_recent(timestamp: str, now: float) -> bool:
    """Whether a timestamp is one, and within five minutes of `now`."""
    return _TIMESTAMP.fullmatch(timestamp) is not None and abs(int(timestamp) - now) <= MOST_SECONDS
