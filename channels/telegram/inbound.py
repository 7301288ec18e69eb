"""From updates of Telegram's to messages for the assistant. Pure, but for the memory of what the latest messages said."""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from telegram import CallbackQuery, Message, MessageEntity, Update

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import COMMANDS, Command, InboundMessage, Quote, Sender
from assistant.contracts.text import whole
from channels.telegram.buttons import pressed
from channels.telegram.commands import command_of
from channels.telegram.reading import answered_message, files_of, forwarded_from, own_words, quote_of, sender_of, shown

_REMEMBERED: Final = 2000
_MENTIONS: Final[list[str | None]] = [MessageEntity.MENTION, MessageEntity.TEXT_MENTION]
HeardInGroups = Literal["off", "mention", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """The bot itself."""

    id: int
    username: str

    def __str__(self) -> str:
        return f"@{self.username} ({self.id})"


class Reader:
    """Which updates are meant for the assistant, and what they say.

    Not meant for it: channel posts, messages of bots (two of them would talk for ever), service messages, edits that leave the text as it
    was, commands for other bots, and in groups whatever `groups` leaves out.
    """

    def __init__(self, me: Me, groups: HeardInGroups, moved: Callable[[str, int], object]) -> None:
        """`moved` is told of groups that have a new id."""
        self._me = me
        self._moved = moved
        self._groups = groups
        self._name = re.compile(rf"[ \t]*@{re.escape(me.username)}(?!\w)", re.IGNORECASE)
        self._said: OrderedDict[tuple[int, int], int] = OrderedDict()
        """(chat, message) → what its text was, as a hash: edits that change nothing else are told by it."""

    def read(self, update: Update) -> InboundMessage | None:
        """Of an update that is not a message of an album."""
        if update.callback_query is not None:
            return self._press(update.callback_query)
        if update.message is not None:
            if update.message.migrate_to_chat_id is not None:
                self._moved(str(update.message.chat.id), update.message.migrate_to_chat_id)
            return self._message([update.message])
        edited = update.edited_message
        if edited is None or not (edited.text or edited.caption) or self._said.get((edited.chat.id, edited.message_id)) == _hash(edited):
            return None
        return self._message([edited], edited=True)

    def album(self, messages: Sequence[Message]) -> InboundMessage | None:
        """Of the messages of an album, as one."""
        return self._message(sorted(messages, key=lambda message: message.message_id))

    def _message(self, messages: Sequence[Message], *, edited: bool = False) -> InboundMessage | None:
        first = messages[0]
        sender = None if first.is_automatic_forward else sender_of(first)
        text = "\n".join(filter(None, (own_words(message) for message in messages)))
        files = tuple(file for message in messages for file in files_of(message))
        for message in messages:
            self._remember(message)
        if sender is None or not (text or files):
            return None
        author = forwarded_from(first)
        quote = Quote(text=text, author=author, kind="forward") if author is not None and text else quote_of(first)
        private = first.chat.type == "private"
        command, ours = (None, True) if author is not None else self._command(text, private=private)
        if not ours or not (private or self._is_for_me(messages, command)):
            return None
        if not private:
            text = self._name.sub("", text).lstrip(" \t\n,:").rstrip() or text  # the name alone says "you there"
        return InboundMessage(
            external_id=_external_id(messages, edited=edited),
            address=_address(first),
            sender=sender,
            private=private,
            text="" if author is not None else text,
            quote=quote,
            files=files,
            command=command,
            message_id=str(first.message_id),
            at=(first.edit_date if edited and first.edit_date else first.date).astimezone(UTC),
        )

    def _command(self, text: str, *, private: bool) -> tuple[Command | None, bool]:
        """The command that a text is, and whether it may be for this bot."""
        found = command_of(text)
        if found is None:
            return None, True
        command, bot = found
        return command, bot is None or bot.lower() == self._me.username.lower()

    def _is_for_me(self, messages: Sequence[Message], command: Command | None) -> bool:
        """In a group."""
        if self._groups != "mention":
            return self._groups == "all"
        if command is not None and (command.name in COMMANDS or self._name.search(messages[0].text or "")):
            return True
        replied = answered_message(messages[0])
        if replied is not None and replied.from_user is not None and replied.from_user.id == self._me.id:
            return True
        return any(self._mentions_me(message) for message in messages)

    def _mentions_me(self, message: Message) -> bool:
        named = message.parse_entities(_MENTIONS) if message.text else message.parse_caption_entities(_MENTIONS)
        for entity, words in named.items():
            if words.lower() == f"@{self._me.username}".lower() or (entity.user is not None and entity.user.id == self._me.id):
                return True
        return False

    def _press(self, query: CallbackQuery) -> InboundMessage | None:
        """A button under one of our messages: its words, as the message of whoever pressed it."""
        message = query.message
        if message is None or query.data is None or query.from_user.is_bot:
            return None
        words = pressed(query.data, message.reply_markup if isinstance(message, Message) else None)
        private = message.chat.type == "private"
        if not words or (not private and self._groups == "off"):
            return None
        address = _address(message) if isinstance(message, Message) else Address(channel="telegram", chat_id=str(message.chat.id))
        return InboundMessage(
            external_id=f"press:{query.id}",
            address=address,
            sender=Sender(id=str(query.from_user.id), name=shown(query.from_user.full_name)),
            private=private,
            text=whole(words),
            chosen=True,
            message_id=str(message.message_id),
            at=datetime.now(UTC),
        )

    def _remember(self, message: Message) -> None:
        self._said[message.chat.id, message.message_id] = _hash(message)
        if len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)


def _hash(message: Message) -> int:
    return hash(message.text or message.caption)


def _external_id(messages: Sequence[Message], *, edited: bool) -> str:
    """Of a message its chat and number; of an edit its time, too; of an album its first and last number, so that one which came in two
    pieces is never taken for a repeat of its first."""
    first, last = messages[0], messages[-1]
    whole = f"{first.chat.id}:{first.message_id}"
    if len(messages) > 1:
        whole += f"-{last.message_id}"
    if edited and first.edit_date:
        whole += f":{first.edit_date.timestamp():.0f}"
    return whole


def _address(message: Message) -> Address:
    """Only a topic is a place of its own: elsewhere Telegram numbers threads of replies, too."""
    topic = message.message_thread_id if message.is_topic_message else None
    return Address(channel="telegram", chat_id=str(message.chat.id), thread_id=str(topic) if topic else None)
