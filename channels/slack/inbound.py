"""Slack's events as messages for the assistant, by the rules for channels."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import COMMANDS, Command, InboundFile, InboundMessage, Quote, Sender
from channels.kit.commands import command_of, pressed
from channels.kit.hearing import Hearing, Overheard
from channels.kit.threads import KnownThread, KnownThreads
from channels.kit.values import objects_at, text_at, value_at
from channels.slack.api import MEMBER, Me, SlackApi
from channels.slack.settings import SlackSettings
from channels.slack.words import attached, files_of, members_in, said

SIGNS: Final = "/!"
"""Slack's clients keep "/" for themselves."""
_TS: Final = re.compile(r"[0-9]{1,11}\.[0-9]{1,9}")
"""Seconds, to the year 5138."""
_CHAT: Final = re.compile(r"[CDG][A-Z0-9]{1,30}")
_WORDS_OF_PEOPLE: Final = frozenset({"", "file_share", "thread_broadcast", "me_message", "bot_message"})
_MOST_REPLIES: Final = 200
_MOST_QUOTED: Final = 4000
_LOOK_SECONDS: Final = 3.0


class SlackReader:
    """Reads the events of one bot. What it remembers is bounded."""

    def __init__(self, settings: SlackSettings, api: SlackApi, hearing: Hearing, me: Me) -> None:
        self._settings = settings
        self._api = api
        self._hearing = hearing
        self._me = me
        self._threads = KnownThreads(self._look)

    async def event(self, event: Any) -> InboundMessage | None:
        """A message, or an edit of one; None: it is not for the assistant. https://docs.slack.dev/reference/events/message"""
        if text_at(event, "type") not in ("message", "app_mention"):
            return None
        if text_at(event, "subtype") != "message_changed":
            return await self._message(event, event)
        inner, before = value_at(event, "message"), value_at(event, "previous_message")
        if not _TS.fullmatch(text_at(inner, "edited", "ts")) or text_at(inner, "text") == text_at(before, "text"):
            return None  # a preview of a link was added
        return await self._message(inner, event, edited=text_at(inner, "edited", "ts"))

    async def _message(self, message: Any, outer: Any, *, edited: str = "") -> InboundMessage | None:
        chat, ts, thread_ts = text_at(outer, "channel"), text_at(message, "ts"), text_at(message, "thread_ts")
        bot_id = text_at(message, "bot_id")
        sender = text_at(message, "user") or bot_id
        if text_at(message, "subtype") not in _WORDS_OF_PEOPLE or not (
            _CHAT.fullmatch(chat) and _TS.fullmatch(ts) and MEMBER.fullmatch(sender)
        ):
            return None
        own = sender in (self._me.user_id, self._me.bot_id) or (bool(bot_id) and bot_id == self._me.bot_id)
        private = text_at(outer, "channel_type") == "im" or chat.startswith("D")
        if own or not self._hearing.reads(Address(channel="slack", chat_id=chat), private=private):
            return None
        by_bot = bool(bot_id) or sender == "USLACKBOT"
        raw = text_at(message, "text")
        in_thread = bool(_TS.fullmatch(thread_ts)) and thread_ts != ts
        thread = await self._threads.about(chat, thread_ts) if in_thread else KnownThread(mine=False)
        heard = Overheard(
            chat_id=chat,
            external_id=f"{chat}:{ts}" + (f":{edited}" if edited else ""),
            private=private,
            mentions_me=bool(re.search(self._mention(), raw)),
            answers_me=text_at(message, "parent_user_id") == self._me.user_id or thread.mine,
            command=command_of(re.sub(rf"^\s*{self._mention()}", "", raw), signs=SIGNS),
            by_bot=by_bot,
        )
        if not self._hearing.hears(heard):
            return None
        begins = not private and self._settings.reply_in_thread
        address = Address(channel="slack", chat_id=chat, thread_id=thread_ts if in_thread else ts if begins else None)
        if address.thread_id is not None and not private:
            self._threads.asked(chat, address.thread_id)
        author, first = text_at(thread.first, "user") or text_at(thread.first, "bot_id"), text_at(thread.first, "text")
        texts = attached(message)
        names = await self._api.names.each([sender, *filter(MEMBER.fullmatch, [author]), *members_in([raw, first, *texts])])
        shared = "\n".join(filter(None, [said(each, names) for each in texts]))
        text = "\n".join(filter(None, [said(raw, names, me=self._me.user_id), shared if by_bot else ""]))
        quote = _quote("" if by_bot else shared, author, said(first, names), files_of(thread.first), names)
        return heard.message(
            address=address,
            sender=Sender(id=sender, name=text_at(message, "username") or names[sender]),
            message_id=ts,
            at=_time(edited or ts),
            text=text,
            call=f"@{self._me.name}",
            quote=quote,
            files=files_of(message),
        )

    async def press(self, payload: Any) -> InboundMessage | None:
        """A press of one of our buttons. https://docs.slack.dev/reference/interaction-payloads/block_actions-payload"""
        action = value_at(payload, "actions", 0)
        found = pressed(text_at(action, "value"), text_at(action, "text", "text") or None)
        chat = text_at(payload, "container", "channel_id") or text_at(payload, "channel", "id")
        ts, thread_ts = [text_at(payload, "container", name) for name in ("message_ts", "thread_ts")]
        at = text_at(action, "action_ts")
        private = chat.startswith("D")
        if text_at(payload, "type") != "block_actions" or found is None or not (_TS.fullmatch(ts) and _TS.fullmatch(at)):
            return None
        sender = self._person(chat, text_at(payload, "user", "id"), private=private)
        if sender is None:
            return None
        return found.message(
            external_id=f"{chat}:{ts}:{at}:{text_at(action, 'action_id')[:20]}",
            address=Address(channel="slack", chat_id=chat, thread_id=thread_ts if _TS.fullmatch(thread_ts) else None),
            sender=Sender(id=sender, name=await self._api.names.of(sender)),
            private=private,
            message_id=ts,
            at=_time(at),
        )

    async def slash(self, payload: Mapping[str, Any], now: datetime) -> InboundMessage | None:
        """A slash command of the app: `/assistant new` is the command "new", and what is no command of ours is a message.
        https://docs.slack.dev/interactivity/implementing-slash-commands"""
        chat, trigger = text_at(payload, "channel_id"), text_at(payload, "trigger_id")
        private = chat.startswith("D")
        sender = self._person(chat, text_at(payload, "user_id"), private=private)
        words = text_at(payload, "text").strip()
        if sender is None or not trigger or not words:
            return None
        name, _, arguments = words.partition(" ")
        command = Command(name=name.lower(), arguments=arguments.strip()) if name.lower() in COMMANDS else command_of(words, signs=SIGNS)
        names = await self._api.names.each([sender, *members_in([words])])
        return InboundMessage(
            external_id=f"{chat}:slash:{trigger[:100]}",
            address=Address(channel="slack", chat_id=chat),
            sender=Sender(id=sender, name=names[sender]),
            private=private,
            text=said(words, names, me=self._me.user_id),
            command=command,
            at=now,
        )

    def _person(self, chat: str, sender: str, *, private: bool) -> str | None:
        """Who pressed or commanded, where the settings let that chat be read."""
        known = _CHAT.fullmatch(chat) and MEMBER.fullmatch(sender) and sender != self._me.user_id
        return sender if known and self._hearing.reads(Address(channel="slack", chat_id=chat), private=private) else None

    def _mention(self) -> str:
        return rf"<@{re.escape(self._me.user_id)}(?:\|[^<>]*)?>"

    async def _look(self, chat: str, thread_ts: str) -> KnownThread:
        answer = await self._api.call("conversations.replies", channel=chat, ts=thread_ts, limit=_MOST_REPLIES, seconds=_LOOK_SECONDS)
        messages = objects_at(answer, "messages")
        mine = any(text_at(each, "user") == self._me.user_id for each in messages)
        return KnownThread(mine=mine, first=messages[0] if messages else None)


def _quote(shared: str, author: str, words: str, files: Sequence[InboundFile], names: Mapping[str, str]) -> Quote | None:
    """What it forwards; else the first message of a thread that the assistant comes into."""
    if shared:
        return Quote(text=shared[:_MOST_QUOTED], author="", kind="forward")
    if not author or not (words or files):
        return None
    return Quote(text=words[:_MOST_QUOTED], author=names.get(author, author), author_id=author, files=tuple(files))


def _time(ts: str) -> datetime:
    return datetime.fromtimestamp(float(ts), UTC)
