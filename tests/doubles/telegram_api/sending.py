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
_URL = re.compile(r"(https?|tg)://\S+")


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
    """The inline keyboard, checked."""
    rows: list[list[dict[str, Any]]] = params.object("reply_markup").get("inline_keyboard", [])
    for button in [button for row in rows for button in row]:
        if not str(button.get("text", "")).strip():
            raise Refusal(400, "Bad Request: can't parse inline keyboard button: Text buttons must be non-empty")
        if "url" in button:
            if not _URL.fullmatch(button["url"]):
                raise Refusal(400, f"Bad Request: inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL")
        elif not 1 <= len(str(button.get("callback_data", "")).encode()) <= 64:
            raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
    return rows


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
    return file
