"""Google Chat's calls: create and patch a message, download a file. https://developers.google.com/workspace/chat/api/reference/rest"""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendFailed, SendRefused
from assistant.contracts.inbox import InboundFile
from assistant.contracts.outbox import Button
from channels.googlechat.tokens import PLATFORM, SETTING
from channels.kit.commands import button_value
from channels.kit.conversation import PlainWire
from channels.kit.forms import ANY_BUT_KIND, Blame
from channels.kit.http import Answered, PlatformError, PlatformHttp
from channels.kit.planning import ButtonRules, MessageRules
from channels.kit.refusals import send_failure
from channels.kit.renewed import RenewedToken
from channels.kit.sender import Post
from channels.kit.values import text_at
from channels.text.blocks import FormattedPart
from channels.text.slack import slack_parts

log = logging.getLogger(__name__)
_MOST_UNITS: Final = 7000
"""A message holds 32,000 bytes, with its buttons; a UTF-16 code unit has at most three."""
_READ: Final = re.compile(r"<(?=users/|https?:|mailto:)", re.IGNORECASE)
_REFUSED: Final = {
    "PERMISSION_DENIED": ("not_a_member", "the app is not in this space, or may not write there: add it"),
    "NOT_FOUND": ("chat_not_found", "there is no such space, or the app is not in it"),
    "INVALID_ARGUMENT": ("refused", "the message is not valid"),
}
"""https://developers.google.com/workspace/chat/api/guides/handle-errors"""


def chat_parts(text: str, limit: int) -> list[FormattedPart]:
    """Chat has Slack's marks and no entities: what would be a mention or a link is broken by a zero-width space.

    https://developers.google.com/workspace/chat/format-messages
    """
    return slack_parts(text, limit, escaped=_unread)


def _unread(words: str) -> str:
    return _READ.sub("<\u200b", words)


RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=chat_parts,
    most_text=_MOST_UNITS,
    most_files=0,  # an upload needs a user's own credentials
    buttons=ButtonRules(
        rows=1, in_row=6, text=100, can_link=lambda url: len(url) < 800 and re.match(r"https?://[^\s/?#]+", url) is not None
    ),
)


class GoogleChatWire(PlainWire):
    platform = PLATFORM

    def __init__(self, http: PlatformHttp, token: RenewedToken) -> None:
        self._http = http
        self._token = token

    async def post(self, post: Post) -> str | None:
        address = replace(post.sending.address, thread_id=post.form.thread_id)
        return await self._create(address, _message(post), {"requestId": post.key})

    async def edit(self, post: Post, message_id: str) -> bool:
        return await self._patch(post.sending.address, message_id, _message(post), "text,cardsV2")

    async def remove(self, post: Post, message_id: str) -> None:
        try:
            await self._call("DELETE", _path(post.sending.address, message_id))
        except (PlatformError, SendFailed) as error:
            log.info("googlechat.preview_stays error=%s", type(error).__name__)

    def blamed(self, error: PlatformError) -> Blame | None:
        if not isinstance(error, Answered) or error.status != 400:
            return None
        return ANY_BUT_KIND, f"{PLATFORM}: {error.words}"

    def failure(self, error: PlatformError) -> SendFailed:
        if isinstance(error, Answered) and error.status in (400, 403, 404):
            known = _REFUSED.get(str(error.at("error", "status")))
            if known is not None:
                return SendRefused(known[0], f"{PLATFORM} refused it: {known[1]}.")
        return send_failure(error, PLATFORM, setting=SETTING)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """https://developers.google.com/workspace/chat/api/reference/rest/v1/media/download"""
        url = f"/v1/media/{quote(file.ref, safe='/')}?alt=media"
        await self._http.download(url, into, most_bytes, headers=await self._token.headers())

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        if message_id is None:
            return await self._create(address, {"text": text}, {})
        return message_id if await self._patch(address, message_id, {"text": text}, "text") else None

    async def _create(self, address: Address, message: Mapping[str, Any], params: Mapping[str, str]) -> str | None:
        if address.thread_id is not None:
            name = f"spaces/{address.chat_id}/threads/{address.thread_id}"
            message = {**message, "thread": {"name": name}}
            params = {**params, "messageReplyOption": "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"}
        answer = await self._call("POST", _path(address), message, params)
        return text_at(answer, "name").rpartition("/")[2] or None

    async def _patch(self, address: Address, message_id: str, message: Mapping[str, Any], mask: str) -> bool:
        """False: the message is gone."""
        try:
            await self._call("PATCH", _path(address, message_id), message, {"updateMask": mask})
        except Answered as error:
            if error.status == 404:
                return False
            raise
        return True

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None, params: Mapping[str, str] | None = None) -> Any:
        return await self._token.used(lambda headers: self._http.json(method, path, json=body, params=params, headers=headers))


def _path(address: Address, message_id: str | None = None) -> str:
    messages = f"/v1/spaces/{quote(address.chat_id, safe='')}/messages"
    return messages if message_id is None else f"{messages}/{quote(message_id, safe='')}"


def _message(post: Post) -> dict[str, Any]:
    """https://developers.google.com/workspace/chat/api/reference/rest/v1/cards#buttonlist"""
    if not (buttons := [_button(button) for row in post.form.part.buttons for button in row]):
        return {"text": post.quiet(_unread)}
    card = {"sections": [{"widgets": [{"buttonList": {"buttons": buttons}}]}]}
    return {"text": post.quiet(_unread), "cardsV2": [{"cardId": "nanobot", "card": card}]}


def _button(button: Button) -> Mapping[str, Any]:
    if button.url is not None:
        return {"text": button.text, "onClick": {"openLink": {"url": button.url}}}
    parameters = [{"key": "nanobot", "value": button_value(button, "", 2000)}]
    return {"text": button.text, "onClick": {"action": {"function": "nanobot", "parameters": parameters}}}


def first_part(text: str) -> str:
    """As much of an answer as one message holds."""
    return next((part.text for part in chat_parts(text[:20_000], _MOST_UNITS)), "")
