"""What the stand-in checks before it accepts a message: as strict as the platform."""

import re
from typing import Any

from tests.doubles.telegram_api.faults import Refusal
from tests.doubles.telegram_api.params import Params
from tests.doubles.telegram_api.posted import SentFile
from tests.doubles.telegram_html import BadEntities, parse
from tests.doubles.visible import is_seen, utf16

TEXT_UNITS, CAPTION_UNITS = 4096, 1024
PHOTO_BYTES, FILE_BYTES = 10_000_000, 50_000_000
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF")
MOST_BUTTONS, MOST_SIDES, MOST_RATIO = 100, 10_000, 20
_MIXED = ({"photo", "video"}, {"document"}, {"audio"})
"""Kinds of files that an album may hold together. https://core.telegram.org/bots/api#sendmediagroup"""


def seen(source: str, parse_mode: str | None, most: int) -> str:
    """The text as people see it. Raises Refusal as the platform does."""
    text = source
    if parse_mode:
        if parse_mode.upper() != "HTML":
            raise Refusal(400, "Bad Request: unsupported parse_mode")
        try:
            text = parse(source).text
        except BadEntities as error:
            raise Refusal(400, str(error)) from None
    if utf16(text) > most:
        raise Refusal(400, "Bad Request: message is too long" if most == TEXT_UNITS else "Bad Request: message caption is too long")
    if "\x00" in text:
        raise Refusal(400, "Bad Request: strings must be encoded in UTF-8")
    return text


def whole_text(params: Params) -> str:
    text = seen(params.text("text"), params.text("parse_mode") or None, TEXT_UNITS)
    if not is_seen(text):
        raise Refusal(400, "Bad Request: message text is empty")
    return text


def keyboard(params: Params) -> list[list[dict[str, Any]]]:
    """The inline keyboard, checked. https://core.telegram.org/bots/api#inlinekeyboardbutton"""
    rows: list[list[dict[str, Any]]] = params.object("reply_markup").get("inline_keyboard", [])
    buttons = [button for row in rows for button in row]
    if len(buttons) > MOST_BUTTONS:
        raise Refusal(400, "Bad Request: reply markup is too long")
    for button in buttons:
        if not str(button.get("text", "")).strip():
            raise Refusal(400, "Bad Request: can't parse inline keyboard button: Text buttons must be non-empty")
        if "url" in button:
            if (wrong := _wrong_link(button["url"])) is not None:
                raise Refusal(400, f"Bad Request: inline keyboard button URL '{button['url']}' is invalid: {wrong}")
        elif not 1 <= len(str(button.get("callback_data", "")).encode()) <= 64:
            raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
    return rows


def _wrong_link(url: str) -> str | None:
    """As tdlib's LinkManager judges: http, https and tg; a web address needs a host with a dot, or of IPv6."""
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in ("http", "https", "tg", "ton") or not rest:
        return "Unsupported URL protocol"
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    if re.search(r"\s", url) or not host:
        return "URL host is empty" if not host else "Wrong HTTP URL"
    if scheme.lower() in ("tg", "ton"):
        return None if re.fullmatch(r"[\w-]+", host) else "Unallowed characters in URL host"
    return None if "." in host.partition(":")[0].strip(".") or host.startswith("[") else "Wrong HTTP URL"


def check_album(kinds: list[str], files: list[SentFile]) -> None:
    if not any(set(kinds) <= mixed for mixed in _MIXED):
        raise Refusal(400, "Bad Request: can't use the media of the specified type in the album")
    if sum(len(file.data) for file in files) > FILE_BYTES:
        raise Refusal(413, "Request Entity Too Large")


def _sides(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG with a whole header."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) < 24:
        return None
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def upload(params: Params, field: str) -> SentFile:
    """The file of a single-file method."""
    name = params.text(field).removeprefix("attach://")
    file = params.files.get(field) or params.files.get(name)
    if file is None:
        raise Refusal(400, f"Bad Request: there is no {field} in the request")
    return checked(file, field)


def checked(file: SentFile, kind: str) -> SentFile:
    if not file.data:
        raise Refusal(400, "Bad Request: file must be non-empty")
    if len(file.data) > FILE_BYTES:
        raise Refusal(413, "Request Entity Too Large")
    if kind == "photo" and len(file.data) > PHOTO_BYTES:
        raise Refusal(400, "Bad Request: file is too big")
    if kind == "photo" and not file.data.startswith(_IMAGES):
        raise Refusal(400, "Bad Request: IMAGE_PROCESS_FAILED")
    if kind == "photo" and (sides := _sides(file.data)) and (sum(sides) > MOST_SIDES or max(sides) > MOST_RATIO * min(sides)):
        raise Refusal(400, "Bad Request: PHOTO_INVALID_DIMENSIONS")
    return file
