"""Whether a call is the platform's own, and what it says.

https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/encrypt-key-encryption-configuration-case
"""

import base64
import binascii
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from assistant.contracts.channels import PlatformCall
from channels.kit.calls import header, is_recent, same
from channels.kit.values import loads, text_at


def event_of_call(call: PlatformCall, key: str, token: str, now: float) -> Any:
    """The JSON of a call. None: it is not the platform's. With a key it must be encrypted and, unless it is the challenge, signed, with a time
    that is recent; with a token it must bring that."""
    body = _json(call.body)
    if key:
        body = _json(_decrypted(key, text_at(body, "encrypt")))
        if not is_challenge(body) and not _is_signed(call, key, now):
            return None
    given = text_at(body, "header", "token") or text_at(body, "token")
    return body if isinstance(body, dict) and (not token or same(token, given)) else None  # pyright: ignore[reportUnknownVariableType]


def is_challenge(body: Any) -> bool:
    return text_at(body, "type") == "url_verification"


def _is_signed(call: PlatformCall, key: str, now: float) -> bool:
    at, nonce = header(call, "x-lark-request-timestamp"), header(call, "x-lark-request-nonce")
    wanted = sha256(f"{at}{nonce}{key}".encode(errors="surrogateescape") + call.body).hexdigest()
    return same(wanted, header(call, "x-lark-signature")) and is_recent(at, now)


def _decrypted(key: str, encrypted: str) -> bytes:
    """AES-256-CBC, the key's SHA-256 as its key, the first block as its vector. Empty: it can't be decrypted."""
    try:
        sent = base64.b64decode(encrypted, validate=True)
        cipher = Cipher(algorithms.AES(sha256(key.encode()).digest()), modes.CBC(sent[:16])).decryptor()
        padded = cipher.update(sent[16:]) + cipher.finalize()
        unpadder = PKCS7(128).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except (ValueError, binascii.Error):
        return b""


def _json(body: bytes) -> Any:
    try:
        return loads(body)
    except ValueError:
        return None
