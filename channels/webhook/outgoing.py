"""A message → a signed POST, and what its answer means."""

import base64
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import orjson

from assistant.contracts.channels import SendFailed, Sending, SendLater, SendRefused
from assistant.contracts.outbox import Media, MediaFiles
from channels.webhook.settings import HookSettings
from channels.webhook.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

MOST_MEDIA_BYTES: Final = 25 * 1024 * 1024
"""All files of a message together, before base64."""
_LATER: Final = frozenset({408, 425, 429})


def body_of(sending: Sending, files: MediaFiles) -> bytes:
    """The JSON that is posted; the same for every try. Reads the media: not for the event loop. Raises OSError."""
    address, part = sending.address, sending.part
    return orjson.dumps(
        {
            "id": sending.key,
            "channel": address.channel,
            "chat_id": address.chat_id,
            "thread_id": address.thread_id,
            "text": part.text,
            "media": [_file(media, files) for media in part.media],
            "buttons": [[{"text": button.text, "url": button.url} for button in row] for row in part.buttons],
        }
    )


def _file(media: Media, files: MediaFiles) -> dict[str, object]:
    data = base64.b64encode(files.path(media).read_bytes()).decode()
    return {"name": media.name, "media_type": media.media_type, "size": media.size, "data": data}


def headers_of(hook: HookSettings, key: str, body: bytes, now: datetime, version: str) -> dict[str, str]:
    """The signature, where there is a secret, and the key by which the receiver knows a repeat."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key, "User-Agent": f"nanobot/{version}"}
    secret = hook.out_secret or hook.secret
    if secret is not None:
        timestamp = str(int(now.timestamp()))
        headers[TIMESTAMP_HEADER] = timestamp
        headers[SIGNATURE_HEADER] = sign(secret.get_secret_value(), timestamp, body)
    return headers


def failure_of(status: int, headers: Mapping[str, str], now: datetime) -> SendFailed | None:
    """What an answer means; None: the message was taken."""
    if 200 <= status < 300:
        return None
    words = f"The receiver answered {status}."
    if status in _LATER or status >= 500:
        wait = seconds_until(headers.get("Retry-After"), now)
        return SendLater(f"http_{status}", words, retry_after=wait, counts=status not in _LATER)
    if 300 <= status < 400:
        return SendRefused("redirect", f"{words} Redirects are not followed: put the final address in the configuration.")
    return SendRefused(f"http_{status}", words)


def seconds_until(value: str | None, now: datetime) -> float | None:
    """Of a Retry-After header: seconds, or a date (RFC 9110, 10.2.3). None: there is none, or it is neither."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else (_aware(parsedate_to_datetime(value)) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def total_bytes(media: Sequence[Media]) -> int:
    return sum(file.size for file in media)
