"""Slack's calls that post, edit and show."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendRefused
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.contracts.outbox import ButtonRows, OutboundEvent, OutboundPart
from channels.kit.commands import button_value
from channels.kit.http import Answered, Unanswered
from channels.kit.planning import ButtonRules, MessageRules, plan_message
from channels.kit.refusals import before_post, still_there
from channels.kit.sender import Post
from channels.kit.values import text_at
from channels.slack.api import GONE, PLATFORM, SlackApi, blame_of, failure_of
from channels.slack.settings import SlackSettings
from channels.text.slack import escape, slack_parts

_MOST_TEXT: Final = 3000
"""Characters of a section. https://docs.slack.dev/reference/block-kit/blocks/section-block"""
_MOST_VALUE: Final = 2000
"""https://docs.slack.dev/reference/block-kit/block-elements/button-element"""
RULES: Final = MessageRules(
    platform=PLATFORM,
    texts=slack_parts,
    most_text=_MOST_TEXT,
    most_caption=_MOST_TEXT,
    most_files=10,
    most_file_bytes=100 << 20,  # Slack takes 1 GB; the bytes are held in memory while they are sent
    most_bytes=100 << 20,
    buttons=ButtonRules(rows=10, in_row=5, text=75, can_link=lambda url: url.startswith(("https://", "http://")) and len(url) <= 3000),
)
_PAGE: Final = (b"<!doctype html", b"<html")
_SETTLED: Final = frozenset({"already_reacted", "no_reaction", "message_not_found", "invalid_name", "missing_scope"})
"""Refusals of a reaction that no later call heals."""


def plan(event: OutboundEvent) -> Sequence[OutboundPart]:
    """Buttons stand under words, because a message that shares files has none."""
    if not (event.media and event.buttons):
        return plan_message(event, RULES)
    if not event.text.strip():
        return plan_message(event, replace(RULES, buttons=None))
    parts = list(plan_message(event, replace(RULES, most_caption=0)))
    buttons, parts[-1] = parts[-1].buttons, replace(parts[-1], buttons=())
    words = max(place for place, part in enumerate(parts) if part.text)
    parts[words] = replace(parts[words], buttons=buttons)
    return parts


class SlackWire:
    platform = PLATFORM
    blamed = staticmethod(blame_of)
    failure = staticmethod(failure_of)

    def __init__(self, api: SlackApi, settings: SlackSettings) -> None:
        self._api = api
        self._unfurl: dict[str, Any] = {"unfurl_links": settings.link_previews, "unfurl_media": settings.link_previews}
        self._no_status = False

    async def post(self, post: Post) -> str | None:
        chat = await self._api.chat_of(post.sending.address.chat_id)
        if post.form.part.media:
            return await self._share(post, chat)
        words, buttons, styled = post.quiet(escape), post.form.part.buttons, post.form.styled
        shown = {"blocks": _blocks(words, buttons, styled=styled)} if buttons else {}
        answer = await self._api.call(
            "chat.postMessage", self._unfurl | shown, channel=chat, text=words, mrkdwn=styled, thread_ts=post.form.thread_id
        )
        return text_at(answer, "ts") or None

    async def edit(self, post: Post, message_id: str) -> bool:
        """`blocks` is given even where it is empty: else the old buttons would stay."""
        chat = await self._api.chat_of(post.sending.address.chat_id)
        words, buttons = post.quiet(escape), post.form.part.buttons
        return await self._update(chat, message_id, words, _blocks(words, buttons, styled=post.form.styled) if buttons else [])

    async def remove(self, post: Post, message_id: str) -> None:
        await self._api.call("chat.delete", channel=await self._api.chat_of(post.sending.address.chat_id), ts=message_id)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """From Slack's own hosts only, because the token goes with it. `ref`: the file's id, a space, its URL."""
        id, _, url = file.ref.partition(" ")
        if not url:  # a file of another workspace
            found = await self._api.call("files.info", file=id)
            url = text_at(found, "file", "url_private_download") or text_at(found, "file", "url_private")
        await self._api.http.download(url, into, most_bytes, hosts=("slack.com", ".slack.com"), headers=self._api.http.headers)
        begin = await asyncio.to_thread(_first_bytes, into)
        if begin.lower().startswith(_PAGE) and "html" not in file.media_type:
            raise SendRefused("forbidden", f"{file.name}: Slack shows its login page; the app needs the scope files:read.")

    async def react(self, message: InboundMessage, emoji: str) -> None:
        try:
            await self._api.call("reactions.add", channel=message.address.chat_id, timestamp=message.message_id, name=emoji)
        except Answered as error:
            if error.code not in _SETTLED:
                raise

    async def show_typing(self, address: Address) -> None:
        """The status of the assistant, which only threads have. https://docs.slack.dev/reference/methods/assistant.threads.setStatus/"""
        if address.thread_id is None or self._no_status:
            return
        try:
            await self._api.call(
                "assistant.threads.setStatus", channel_id=address.chat_id, thread_ts=address.thread_id, status="is thinking…"
            )
        except Answered as error:
            if error.code in ("missing_scope", "unknown_method", "not_allowed_token_type"):
                self._no_status = True
                return
            raise

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        chat = await self._api.chat_of(address.chat_id)
        if message_id is not None:
            return message_id if await self._update(chat, message_id, text, []) else None
        answer = await self._api.call("chat.postMessage", self._unfurl, channel=chat, text=text, thread_ts=address.thread_id)
        return text_at(answer, "ts") or None

    async def whisper(self, address: Address, user_id: str, text: str) -> None:
        """A message that only this member sees."""
        await self._api.call("chat.postEphemeral", channel=address.chat_id, user=user_id, text=text, thread_ts=address.thread_id)

    async def _update(self, chat: str, message_id: str, text: str, blocks: Sequence[Any]) -> bool:
        call = self._api.call("chat.update", channel=chat, ts=message_id, text=text, blocks=blocks)
        return await still_there(call, lambda error: error.code in GONE)

    async def _share(self, post: Post, chat: str) -> str | None:
        """Upload, then share: only the last call posts. Its answer has the ids of the files, and not that of the message."""
        uploaded: list[dict[str, str]] = []
        with before_post(PLATFORM):
            for media in post.form.part.media:
                content = post.contents[media.digest]
                place = await self._api.call("files.getUploadURLExternal", filename=media.name, length=len(content))
                url, id = text_at(place, "upload_url"), text_at(place, "file_id")
                if not (url and id):
                    raise Unanswered("the answer has no place for the file")
                await self._api.http.call("POST", url, data=content)
                uploaded.append({"id": id, "title": media.name})
        words, thread = post.quiet(escape) or None, post.form.thread_id
        answer = await self._api.call(
            "files.completeUploadExternal", files=uploaded, channel_id=chat, thread_ts=thread, initial_comment=words
        )
        return text_at(answer, "files", 0, "id") or None


def _blocks(words: str, buttons: ButtonRows, *, styled: bool) -> list[dict[str, Any]]:
    text = {"type": "mrkdwn" if styled else "plain_text", "text": words}
    blocks: list[dict[str, Any]] = [{"type": "section", "text": text}] if words.strip() else []
    for row, line in enumerate(buttons):
        elements: list[dict[str, Any]] = []
        for column, button in enumerate(line):
            place = f"{row}.{column}"
            does = {"url": button.url} if button.url else {"value": button_value(button, place, _MOST_VALUE)}
            elements.append({"type": "button", "action_id": place, "text": {"type": "plain_text", "text": button.text}, **does})
        blocks.append({"type": "actions", "elements": elements})
    return blocks


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(32)
