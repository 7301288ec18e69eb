"""LINE's calls: reply, push, content. https://developers.line.biz/en/reference/messaging-api/"""

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import NAMESPACE_OID, uuid5

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelNotes, SendFailed, SendLater, SendRefused, SendUndecided
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.inbox import InboundFile
from assistant.contracts.outbox import Button
from channels.kit.commands import button_value
from channels.kit.conversation import PlainWire
from channels.kit.forms import ANY_BUT_KIND, Blame
from channels.kit.http import Answered, PlatformError, PlatformHttp, Unanswered, Unreached
from channels.kit.planning import ButtonRules, MessageRules
from channels.kit.refusals import send_failure
from channels.kit.sender import Post
from channels.kit.values import Latest, id_at, objects_at, text_at, value_at
from channels.line.settings import LineSettings
from channels.text.splitting import plain_parts

log = logging.getLogger(__name__)
PLATFORM: Final = "LINE"
SETTING: Final = "channels.line.channelAccessToken"
RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=plain_parts,
    most_text=5000,
    most_files=0,  # a file has to lie at a public address
    buttons=ButtonRules(rows=1, in_row=13, text=20, can_link=lambda url: url.startswith(("https://", "http://")) and len(url) <= 1000),
)
_MOST_TEMPLATE: Final = 160
_MOST_ACTIONS: Final = 4
"""More, or under a longer text, they become quick replies. https://developers.line.biz/en/reference/messaging-api/#buttons"""
_TOKEN_SECONDS: Final = 50.0
"""LINE's word is a minute. https://developers.line.biz/en/reference/messaging-api/#send-reply-message"""
_KEY_HOURS: Final = timedelta(hours=23)
"""LINE knows a retry key for 24. https://developers.line.biz/en/docs/messaging-api/retrying-api-request/"""
_MOST_REMEMBERED: Final = 1000
_MOST_QUOTED: Final = 2000
MOST_TOKEN: Final = 1000
_MOST_UNCLEAR: Final = 20
"""Replies without an answer that are noted for a chat."""
_MONTHLY: Final = "monthly limit"


class LineMemory:
    """What of the latest messages LINE wants or tells no more: the tokens to quote them by, and their texts."""

    def __init__(self) -> None:
        self._known: Latest[tuple[str, str, str]] = Latest(_MOST_REMEMBERED)

    def remember(self, id: str, quote_token: str, text: str, author: str = "") -> None:
        """`author`: empty: the assistant. An empty `id` is none."""
        if id:
            self._known[id] = (quote_token, text[:_MOST_QUOTED], author)

    def token(self, id: str | None) -> str:
        """Empty: unknown."""
        return (self._known.get(id or "") or ("", "", ""))[0]

    def told(self, id: str) -> tuple[str, str] | None:
        """(text, author)."""
        known = self._known.get(id)
        return known and known[1:]


class LineWire(PlainWire):
    platform = PLATFORM

    def __init__(self, http: PlatformHttp, settings: LineSettings, notes: ChannelNotes) -> None:
        self._http = http
        self._settings = settings
        self._notes = notes
        self.memory = LineMemory()
        self._tokens: Latest[tuple[str, float]] = Latest(_MOST_REMEMBERED)
        """chat → (reply token, when it came)."""
        self._noting = asyncio.Lock()

    def token_came(self, chat: str, token: str) -> None:
        self._tokens[chat] = (token, time.monotonic())

    async def post(self, post: Post) -> str | None:
        """LINE never carries out a push twice, by its key; a reply has none, so one without an answer is not sent again."""
        sending, chat = post.sending, post.sending.address.chat_id
        if sending.again is not None and not sending.repeat:
            if await self._is_unclear(post):
                raise SendUndecided(
                    "reply_unclear", f"An earlier try went to {PLATFORM} as a reply, and no answer came; it may have arrived."
                )
            if datetime.now(UTC) - sending.again > _KEY_HOURS:
                raise SendUndecided("key_forgotten", f"An earlier try may have arrived, and {PLATFORM} knows its key no more.")
        message = self._message(post)
        token, came = self._tokens.pop(chat, ("", 0.0))
        fresh = self._settings.reply_tokens and sending.again is None and token and time.monotonic() - came <= _TOKEN_SECONDS
        # a reply that is not noted goes out as a push, which may be repeated
        if fresh and await self._note(post, unclear=True) and (answer := await self._reply(post, token, message)) is not None:
            return self._receipt(post, answer)
        answer = await self._push(chat, message, post.key)
        if sending.repeat:
            await self._note(post, unclear=False)
        return self._receipt(post, answer)

    def blamed(self, error: PlatformError) -> Blame | None:
        if not isinstance(error, Answered) or error.status != 400:
            return None
        about = [error.words, *(text_at(each, "property") for each in objects_at(error.body, "details"))]
        return (ANY_BUT_KIND, f"{PLATFORM}: {error.words}") if any("messages" in each for each in about) else None

    def failure(self, error: PlatformError) -> SendFailed:
        if isinstance(error, Answered) and error.status == 429:
            if _MONTHLY in error.words:
                words = "The messages of LINE's plan are used up for this month. Answers within a minute are free; a larger plan has more."
                return SendRefused("quota", words)
            return SendLater("flood_wait", f"{PLATFORM} asks to wait.", retry_after=error.retry_after or 30.0, counts=False)
        return send_failure(error, PLATFORM, setting=SETTING)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        url = f"{self._settings.data_base}/v2/bot/message/{quote(file.ref, safe='')}/content"
        await self._http.download(url, into, most_bytes, hosts=[self._settings.data_base], headers=self._http.headers)

    async def show_typing(self, address: Address) -> None:
        """LINE shows it to a person alone, not to a group."""
        if address.chat_id.startswith("U"):
            await self._http.call("POST", "/v2/bot/chat/loading/start", json={"chatId": address.chat_id, "loadingSeconds": 20})

    def _message(self, post: Post) -> Mapping[str, Any]:
        words = post.words
        buttons = [button for row in post.form.part.buttons for button in row]
        actions = [_action(button, f"0.{place}") for place, button in enumerate(buttons)]
        token = self.memory.token(post.form.reply_to)
        if actions and len(actions) <= _MOST_ACTIONS and len(words) <= _MOST_TEMPLATE and not token:
            template = {"type": "buttons", "text": words, "actions": actions}
            return {"type": "template", "altText": words, "template": template}
        message: dict[str, Any] = {"type": "text", "text": words}
        message |= {"quoteToken": token} if token else {}
        return message | ({"quickReply": {"items": [{"type": "action", "action": action} for action in actions]}} if actions else {})

    async def _reply(self, post: Post, token: str, message: Mapping[str, Any]) -> Any:
        """None: the token is not taken any more, so nothing was sent."""
        try:
            answer = await self._http.json("POST", "/v2/bot/message/reply", json={"replyToken": token, "messages": [message]})
        except Unreached:
            await self._note(post, unclear=False)
            raise
        except Answered as error:
            if error.status >= 500:
                raise Unanswered(f"status {error.status}") from None
            await self._note(post, unclear=False)
            if "reply token" in error.words.lower():
                return None
            raise
        await self._note(post, unclear=False)
        return answer

    async def _note(self, post: Post, *, unclear: bool) -> bool:
        """Note that there is no answer yet to this reply, or that there is none to wait for. False: the store can't be used now."""
        note = f"reply:{post.sending.address.chat_id}"
        try:
            async with self._noting:
                kept = [key for key in (await self._notes.get(note) or "").split() if key != post.key]
                kept = [*kept, post.key][-_MOST_UNCLEAR:] if unclear else kept
                await (self._notes.keep(note, " ".join(kept)) if kept else self._notes.drop(note))
        except StoreUnavailable:
            log.warning("line.reply_not_noted chat=%s unclear=%s", post.sending.address.chat_id, unclear)
            return False
        return True

    async def _is_unclear(self, post: Post) -> bool:
        try:
            return post.key in (await self._notes.get(f"reply:{post.sending.address.chat_id}") or "").split()
        except StoreUnavailable:
            raise SendLater("not_now", "The store can't be read now.", counts=False) from None

    async def _push(self, chat: str, message: Mapping[str, Any], key: str) -> Any:
        headers = {"X-Line-Retry-Key": str(uuid5(NAMESPACE_OID, f"nanobot:{chat}:{key}"))}
        try:
            return await self._http.json("POST", "/v2/bot/message/push", json={"to": chat, "messages": [message]}, headers=headers)
        except Answered as error:
            if error.status != 409:
                raise
            return error.body  # it was accepted before

    def _receipt(self, post: Post, answer: Any) -> str | None:
        sent = value_at(answer, "sentMessages", 0)
        id = id_at(sent, "id")
        self.memory.remember(id, id_at(sent, "quoteToken", most=MOST_TOKEN), post.form.part.plain)
        return id or None


def _action(button: Button, place: str) -> Mapping[str, Any]:
    label = button.text[:20]
    if button.url is not None:
        return {"type": "uri", "label": label, "uri": button.url}
    return {"type": "postback", "label": label, "data": button_value(button, place, 300), "displayText": button.text}
