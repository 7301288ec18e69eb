"""What a message may hold, and how often may be sent to a channel, said in the headers of every answer.

https://discord.com/developers/docs/resources/message#create-message, …/components/reference, …/resources/message#embed-object-embed-limits,
…/topics/rate-limits
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tests.doubles.discord_api.shapes import Payload

MOST_CHARS, MOST_FILES, MOST_BYTES, MOST_REQUEST, MOST_NONCE = 2000, 10, 10 * 1024 * 1024, 25 * 1024 * 1024, 25
MOST_NAME, MOST_ROWS, MOST_IN_ROW, MOST_LABEL, MOST_ID, MOST_URL = 100, 5, 5, 80, 100, 512
MOST_EMBEDS, MOST_EMBED_CHARS, MOST_FIELDS = 10, 6000, 25
_EMBED: Final = {"title": 256, "description": 4096}
_LINK: Final = 5
Wrong = tuple[str, str, str]
"""(path of the field, code, message)"""


def wrong_fields(body: Payload, files: list[tuple[str, bytes]]) -> Wrong | str | None:
    """The first field that Discord would refuse; a text: it is all too large; None: all is well."""
    if any(len(data) > MOST_BYTES for _, data in files) or sum(len(data) for _, data in files) > MOST_REQUEST:
        return "too large"
    return next(_wrong(body, files), None)


def _wrong(body: Payload, files: list[tuple[str, bytes]]) -> Iterator[Wrong]:
    if len(body.get("content") or "") > MOST_CHARS:
        yield "content", "BASE_TYPE_MAX_LENGTH", f"Must be {MOST_CHARS} or fewer in length."
    if len(files) > MOST_FILES:
        yield "attachments", "BASE_TYPE_MAX_LENGTH", f"Must be {MOST_FILES} or fewer in length."
    if len(str(body.get("nonce") or "")) > MOST_NONCE:
        yield "nonce", "NONCE_TYPE_TOO_LONG", f"Must be {MOST_NONCE} or fewer in length."
    yield from _wrong_embeds(body.get("embeds") or [])
    rows: list[Payload] = body.get("components") or []
    if len(rows) > MOST_ROWS:
        yield "components", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {MOST_ROWS} in length."
    seen: set[str] = set()
    for row, each in enumerate(rows):
        if not 1 <= len(each["components"]) <= MOST_IN_ROW:
            yield f"components.{row}.components", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {MOST_IN_ROW} in length."
        for place, button in enumerate(each["components"]):
            yield from _wrong_button(button, f"components.{row}.components.{place}", seen)


def _wrong_button(button: Payload, path: str, seen: set[str]) -> Iterator[Wrong]:
    label, own, url = button.get("label") or "", button.get("custom_id"), button.get("url")
    if len(label) > MOST_LABEL:
        yield f"{path}.label", "BASE_TYPE_MAX_LENGTH", f"Must be {MOST_LABEL} or fewer in length."
    if not label.strip() and not button.get("emoji"):
        yield path, "BUTTON_COMPONENT_INVALID_EMPTY", "A button needs a label or an emoji."
    if button.get("style") == _LINK:
        if not str(url or "").startswith(("http://", "https://", "discord://")):
            yield f"{path}.url", "URL_TYPE_INVALID_SCHEME", f'Scheme "{str(url).partition(":")[0]}" is not supported.'
        if len(url or "") > MOST_URL:
            yield f"{path}.url", "BASE_TYPE_MAX_LENGTH", f"Must be {MOST_URL} or fewer in length."
        return
    if not own or len(own) > MOST_ID:
        yield f"{path}.custom_id", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {MOST_ID} in length."
    if own in seen:
        yield f"{path}.custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated"
    seen.add(own or "")


def _wrong_embeds(embeds: list[Payload]) -> Iterator[Wrong]:
    if len(embeds) > MOST_EMBEDS:
        yield "embeds", "BASE_TYPE_MAX_LENGTH", f"Must be {MOST_EMBEDS} or fewer in length."
    for place, embed in enumerate(embeds):
        for name, most in _EMBED.items():
            if len(embed.get(name) or "") > most:
                yield f"embeds.{place}.{name}", "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length."
        if len(embed.get("fields") or ()) > MOST_FIELDS:
            yield f"embeds.{place}.fields", "BASE_TYPE_MAX_LENGTH", f"Must be {MOST_FIELDS} or fewer in length."
    if sum(len(embed.get(name) or "") for embed in embeds for name in _EMBED) > MOST_EMBED_CHARS:
        yield "embeds", "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {MOST_EMBED_CHARS}"


@dataclass(slots=True)
class _Window:
    ends: float
    left: int


class SendLimits:
    """Off until `amount` is set."""

    def __init__(self) -> None:
        self.amount = 0
        self.seconds = 5.0
        self.refused = 0
        self._windows: dict[str, _Window] = {}

    def take(self, channel_id: str) -> dict[str, str]:
        """The headers of an answer that is within the limit. Raises 429 (as a response) beyond it."""
        if not self.amount:
            return {}
        now = time.monotonic()
        window = self._windows.get(channel_id)
        if window is None or window.ends <= now:
            window = self._windows[channel_id] = _Window(ends=now + self.seconds, left=self.amount)
        after = window.ends - now
        headers = {"X-RateLimit-Limit": str(self.amount), "X-RateLimit-Reset-After": f"{after:.3f}", "X-RateLimit-Bucket": "post-messages"}
        if not window.left:
            self.refused += 1
            body = f'{{"message": "You are being rate limited.", "retry_after": {after:.3f}, "global": false}}'
            about = {**headers, "X-RateLimit-Remaining": "0", "Via": "1.1 google", "Retry-After": str(int(after) + 1)}
            raise web.HTTPTooManyRequests(text=body, headers={"Content-Type": "application/json", **about})
        window.left -= 1
        return {**headers, "X-RateLimit-Remaining": str(window.left)}
