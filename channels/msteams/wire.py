"""Teams' calls: post, edit, typing, by the Bot Connector's REST.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
"""

import base64
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, SendFailed, SendLater, SendRefused
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.inbox import InboundFile
from assistant.contracts.outbox import Button, Media
from channels.kit.commands import button_value
from channels.kit.conversation import PlainWire
from channels.kit.forms import ANY_BUT_KIND, Blame
from channels.kit.http import Answered, PlatformError, PlatformHttp
from channels.kit.planning import ButtonRules, MessageRules
from channels.kit.refusals import send_failure
from channels.kit.renewed import RenewedToken
from channels.kit.sender import Post
from channels.kit.values import text_at
from channels.msteams.tokens import PLATFORM
from channels.text.markdown import Dialect, markdown_parts

log = logging.getLogger(__name__)
_SETTING: Final = "channels.msteams.appPassword"
_DIALECT: Final = Dialect(pings="")
_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif"})
_MOST_VALUE: Final = 2000
RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=lambda text, limit: markdown_parts(text, limit, _DIALECT),
    most_text=10_000,  # a message holds 100 KB in UTF-16, with everything in it
    most_caption=10_000,
    most_files=1,
    most_file_bytes=1_000_000,  # pictures in a message
    takes=lambda media: media.media_type in _PICTURES,
    takes_words="pictures (PNG, JPEG, GIF)",
    buttons=ButtonRules(rows=1, in_row=6, text=500, can_link=lambda url: re.match(r"https?://[^\s/?#]+", url) is not None),
)
_REFUSED: Final = {
    "BotNotInConversationRoster": ("not_a_member", "the bot is not in this conversation: add its app to it"),
    "ConversationBlockedByUser": ("blocked", "the user has blocked the bot"),
    "BotDisabledByAdmin": ("forbidden", "an administrator has disabled the bot"),
    "InvalidBotApiHost": ("forbidden", "the bot is of another cloud"),
    "ConversationNotFound": ("chat_not_found", "there is no such conversation"),
    "BadSyntax": ("refused", "the message is not valid"),
    "MessageSizeTooBig": ("too_large", "the message is too large"),
}
"""https://learn.microsoft.com/microsoftteams/platform/bots/build-conversational-capability#status-code-responses"""
_UNKNOWN: Final = "Teams has not told where this conversation is: someone has to write to the bot there first."


class TeamsWire(PlainWire):
    platform = PLATFORM

    def __init__(self, http: PlatformHttp, context: ChannelContext, token: RenewedToken, *, in_thread: bool) -> None:
        self._http = http
        self._notes = context.notes
        self._token = token
        self._in_thread = in_thread

    async def post(self, post: Post) -> str | None:
        address = replace(post.sending.address, thread_id=post.form.thread_id)
        url = await self._activities(address, post.form.reply_to if self._in_thread else None)
        return text_at(await self._call("POST", url, _activity(post)), "id") or None

    async def edit(self, post: Post, message_id: str) -> bool:
        return await self._put(post.sending.address, message_id, _activity(post))

    async def remove(self, post: Post, message_id: str) -> None:
        try:
            await self._call("DELETE", await self._activities(post.sending.address, message_id))
        except (PlatformError, SendFailed) as error:
            log.info("msteams.preview_stays error=%s", type(error).__name__)

    def blamed(self, error: PlatformError) -> Blame | None:
        if not isinstance(error, Answered):
            return None
        code, words = _code(error), f"{PLATFORM}: {error.words}"
        if error.status == 404 and code == "ActivityNotFoundInConversation":
            return ("reply", "thread"), words
        if error.status == 413 or code == "MessageSizeTooBig":
            return ("files", "buttons"), words
        return (ANY_BUT_KIND, words) if error.status == 400 else None

    def failure(self, error: PlatformError) -> SendFailed:
        if isinstance(error, Answered):
            known = _REFUSED.get(_code(error))
            if known is not None and error.status in (400, 403, 404, 413):
                return SendRefused(known[0], f"{PLATFORM} refused it: {known[1]}.")
            if error.status == 412:  # "retry"
                return SendLater("not_now", f"{PLATFORM} did not take it now.")
        return send_failure(error, PLATFORM, setting=_SETTING)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """A shared file by its own signed address; a picture in a message with our token, from the service that the message came from."""
        signed, _, url = file.ref.partition(" ")
        headers: Mapping[str, str] = {} if signed == "signed" else await self._token.headers()
        await self._http.download(url, into, most_bytes, hosts=[url], headers=headers)  # `read_activity` let it through

    async def show_typing(self, address: Address) -> None:
        await self._call("POST", await self._activities(address), {"type": "typing"})

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        body = {"type": "message", "text": text, "textFormat": "markdown"}
        if message_id is None:
            return text_at(await self._call("POST", await self._activities(address), body), "id") or None
        return message_id if await self._put(address, message_id, body) else None

    async def _put(self, address: Address, message_id: str, activity: Mapping[str, Any]) -> bool:
        """Edit a message. False: it is gone."""
        try:
            await self._call("PUT", await self._activities(address, message_id), {**activity, "id": message_id})
        except Answered as error:
            if error.status == 404 and _code(error) != "ConversationNotFound":
                return False
            raise
        return True

    async def _activities(self, address: Address, message_id: str | None = None) -> str:
        """The address of a conversation's activities, or of one. Its service is known from a message that came from there."""
        try:
            service = await self._notes.get(f"service:{address.chat_id}")
        except StoreUnavailable:
            raise SendLater("not_now", "The store can't be read now.", counts=False) from None
        if service is None:
            raise SendRefused("never_started", _UNKNOWN)
        conversation = f"{address.chat_id};messageid={address.thread_id}" if address.thread_id else address.chat_id
        activities = f"{service.rstrip('/')}/v3/conversations/{quote(conversation, safe='')}/activities"
        return activities if message_id is None else f"{activities}/{quote(message_id, safe='')}"

    async def _call(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
        return await self._token.used(lambda headers: self._http.json(method, url, json=body, headers=headers))


def _activity(post: Post) -> dict[str, Any]:
    attachments: list[Mapping[str, Any]] = [_picture(media, post.contents[media.digest]) for media in post.form.part.media]
    if buttons := [button for row in post.form.part.buttons for button in row]:
        attachments.append(_card(buttons))
    activity: dict[str, Any] = {"type": "message", "text": post.words, "textFormat": "markdown" if post.form.styled else "plain"}
    return activity | ({"attachments": attachments} if attachments else {})


def _picture(media: Media, content: bytes) -> Mapping[str, Any]:
    data = f"data:{media.media_type};base64,{base64.b64encode(content).decode()}"
    return {"contentType": media.media_type, "contentUrl": data, "name": media.name}


def _card(buttons: list[Button]) -> Mapping[str, Any]:
    """https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-actions#adaptive-cards-actions"""
    actions = [_action(button, f"0.{place}") for place, button in enumerate(buttons)]
    content: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [],
    }
    return {"contentType": "application/vnd.microsoft.card.adaptive", "content": {**content, "actions": actions}}


def _action(button: Button, place: str) -> Mapping[str, Any]:
    if button.url is not None:
        return {"type": "Action.OpenUrl", "title": button.text, "url": button.url}
    return {"type": "Action.Submit", "title": button.text, "data": {"nanobot": button_value(button, place, _MOST_VALUE)}}


def _code(error: Answered) -> str:
    return str(error.at("error", "code") or error.at("code") or "")


def first_part(text: str) -> str:
    """As much of an answer as one message holds."""
    return next((part.text for part in markdown_parts(text[:20_000], 10_000, _DIALECT)), "")
