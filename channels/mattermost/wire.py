"""Mattermost's calls that post, edit and show."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Sending
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.contracts.outbox import ButtonRows
from channels.kit.calls import hmac_hex
from channels.kit.commands import button_value
from channels.kit.http import Answered, Unanswered
from channels.kit.planning import ButtonRules, MessageRules
from channels.kit.refusals import before_post
from channels.kit.sender import Post
from channels.kit.values import text_at
from channels.mattermost.api import PLATFORM, MattermostApi, blame_of, failure_of, posts_in
from channels.mattermost.settings import MattermostSettings
from channels.text.markdown import Dialect, markdown_parts

_DIALECT: Final = Dialect(pings=r"(?<![^\W_])@(?=\w|$)")
_KEY: Final = "nanobot_key"
"""The prop of a post that holds its key: `pending_post_id` is remembered for 30 seconds only.
https://github.com/mattermost/mattermost/blob/master/server/channels/app/post.go (pendingPostIDsCacheTTL)"""
_BEFORE: Final = timedelta(minutes=5)
"""The largest difference between the server's clock and ours."""
_MOST_TEXT: Final = 15_000
"""The server takes 16,383 characters. https://github.com/mattermost/mattermost/blob/master/server/public/model/post.go (PostMessageMaxRunesV2)"""
_RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=lambda markdown, limit: markdown_parts(markdown, limit, _DIALECT),
    most_text=_MOST_TEXT,
    most_caption=_MOST_TEXT,
    most_files=10,
    most_file_bytes=100 << 20,  # the server's own setting, unless it is changed
    most_bytes=100 << 20,
)
_BUTTONS: Final = ButtonRules(rows=5, in_row=5, text=100, can_link=lambda url: False)
"""A button calls the assistant, and opens no page."""


def rules_for(settings: MattermostSettings) -> MessageRules:
    return replace(_RULES, buttons=_BUTTONS if settings.callback_url else None)


class MattermostWire:
    platform = PLATFORM
    blamed = staticmethod(blame_of)
    failure = staticmethod(failure_of)

    def __init__(self, api: MattermostApi, settings: MattermostSettings) -> None:
        self._api = api
        self._settings = settings

    async def post(self, post: Post) -> str | None:
        chat, _ = await self._api.chat_of(post.sending.address.chat_id)
        if (arrived := await self._arrived(post.sending, chat, post.key)) is not None:
            return arrived
        part = post.form.part
        files = [await self._upload(chat, media.name, post.contents[media.digest]) for media in part.media]
        props = {_KEY: post.key, **self._buttons(part.buttons)}
        pending = f"{(await self._api.bot()).id}:{post.key}"
        words = post.quiet(_DIALECT.quiet)
        return await self._create(chat, post.form.thread_id, words, file_ids=files, props=props, pending_post_id=pending)

    async def edit(self, post: Post, message_id: str) -> bool:
        return await self._patch(message_id, post.quiet(_DIALECT.quiet), self._buttons(post.form.part.buttons))

    async def remove(self, post: Post, message_id: str) -> None:
        await self._api.http.call("DELETE", f"/posts/{message_id}")

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """`ref`: the file's id."""
        await self._api.http.download(f"/files/{file.ref}", into, most_bytes)

    async def react(self, message: InboundMessage, emoji: str) -> None:
        reaction = {"user_id": (await self._api.bot()).id, "post_id": message.message_id, "emoji_name": emoji}
        await self._api.http.call("POST", "/reactions", json=reaction)

    async def show_typing(self, address: Address) -> None:
        chat, _ = await self._api.chat_of(address.chat_id)
        body = {"channel_id": chat, "parent_id": address.thread_id or ""}
        await self._api.http.call("POST", f"/users/{(await self._api.bot()).id}/typing", json=body)

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        if message_id is not None:
            return message_id if await self._patch(message_id, text, {}) else None
        chat, _ = await self._api.chat_of(address.chat_id)
        return await self._create(chat, address.thread_id, text)

    async def _create(self, chat: str, root: str | None, text: str, **more: object) -> str | None:
        body = {"channel_id": chat, "message": text, "root_id": root or "", **more}
        return text_at(await self._api.http.json("POST", "/posts", json=body), "id") or None

    async def _arrived(self, sending: Sending, chat: str, key: str) -> str | None:
        """The post that an earlier try of this part made, if it did."""
        if sending.again is None:
            return None
        since = int((sending.again - _BEFORE).timestamp() * 1000)
        with before_post(PLATFORM):
            answer = await self._api.http.json("GET", f"/channels/{chat}/posts", params={"since": str(since)})
            me = (await self._api.bot()).id
        own = [post for post in posts_in(answer) if text_at(post, "user_id") == me and text_at(post, "props", _KEY) == key]
        return next(filter(None, [text_at(post, "id") for post in own]), None)

    async def _patch(self, message_id: str, text: str, props: Mapping[str, Any]) -> bool:
        """`props` take the place of all that were there."""
        try:
            await self._api.http.call("PUT", f"/posts/{message_id}/patch", json={"message": text, "props": {"from_bot": "true", **props}})
        except Answered as error:
            if error.status == 404 or "time_limit" in text_at(error.body, "id"):
                return False
            raise
        return True

    async def _upload(self, chat: str, name: str, content: bytes) -> str:
        with before_post(PLATFORM):
            answer = await self._api.http.json("POST", "/files", params={"channel_id": chat, "filename": name}, data=content)
            if id := text_at(answer, "file_infos", 0, "id"):
                return id
            raise Unanswered("the answer has no file")

    def _buttons(self, rows: ButtonRows) -> Mapping[str, Any]:
        """https://docs.mattermost.com/developers/integrate/plugins/interactive-messages: the server calls, without a signature of its own; so each
        button carries ours, which no client is shown."""

        def action(label: str, value: str, id: str) -> Mapping[str, Any]:
            context = {"value": value, "label": label, "sign": sign(self._settings, value, label)}
            return {"id": id, "name": label, "integration": {"url": self._settings.callback_url, "context": context}}

        lines = [
            [action(each.text, button_value(each, f"{row}.{column}", 2000), f"b{row}x{column}") for column, each in enumerate(line)]
            for row, line in enumerate(rows)
        ]
        return {"attachments": [{"actions": line} for line in lines]} if lines else {}


def sign(settings: MattermostSettings, value: str, label: str) -> str:
    return hmac_hex(settings.secret, f"button\n{value}\n{label}".encode())
