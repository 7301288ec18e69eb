"""Telegram's updates as messages."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any, Final

import telegram
from telegram import CallbackQuery, Message, MessageEntity, Update, User

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import FileKind, InboundFile, InboundMessage, Quote, Sender
from assistant.contracts.util import replace_surrogates
from channels.kit.commands import addressed_command, pressed
from channels.kit.files import inbound_file
from channels.kit.hearing import Hearing, Overheard
from channels.kit.values import Latest
from channels.telegram.words import Content, markdown_of, own_words

_MOST_NAME: Final = 128
_UNKNOWN: Final = "application/octet-stream"
_HIDDEN: Final = "hidden"
"""The id of an author whom Telegram does not name."""
_STICKERS: Final = {True: ("sticker.webm", "video/webm"), False: ("sticker.webp", "image/webp")}


def shown(name: str) -> str:
    return replace_surrogates(name)[:_MOST_NAME]


def files_of(message: Content) -> Iterator[InboundFile]:
    """The files of a message; of a photo its largest size. `ref` is Telegram's file_id."""
    photo = max(message.photo or (), key=lambda size: size.width * size.height, default=None)
    audio, sticker = message.audio, message.sticker
    title = (audio and audio.title) or "audio.mp3"
    picture = (
        ("sticker.tgs", "application/x-tgsticker") if sticker and sticker.is_animated else _STICKERS[bool(sticker and sticker.is_video)]
    )
    found: tuple[tuple[FileKind, Any, str, str], ...] = (  # with the name and the type where Telegram gives none
        ("image", photo, f"photo-{message.message_id}.jpg", "image/jpeg"),
        ("video", message.animation, "animation.mp4", _UNKNOWN),
        ("document", None if message.animation else message.document, "document", _UNKNOWN),  # an animation is a document, too
        ("audio", audio, title, "audio/mpeg"),
        ("audio" if getattr(message, "via_bot", None) else "voice", message.voice, "voice.ogg", "audio/ogg"),  # a bot's is not recorded
        ("video", message.video, "video.mp4", "video/mp4"),
        ("voice", message.video_note, "video-note.mp4", "video/mp4"),
        ("sticker", sticker, picture[0], picture[1]),
    )
    for kind, file, name, media_type in found:
        if file:
            name, media_type = getattr(file, "file_name", None) or name, getattr(file, "mime_type", None) or media_type
            yield inbound_file(name, file.file_id, media_type=media_type, size=file.file_size, kind=kind, usual=kind)


def sender_of(message: Message) -> Sender | None:
    """The sender; for an anonymous admin or a channel that posts in a group, that chat. None: there is none."""
    if chat := message.sender_chat:
        return Sender(id=str(chat.id), name=shown(chat.effective_name or ""))
    return Sender(id=str(user.id), name=shown(user.full_name)) if (user := message.from_user) else None


def forwarded_from(message: Message) -> str | None:
    """The author of a forwarded message (empty: unknown). None: it is not forwarded."""
    return None if message.forward_origin is None else _origin(message.forward_origin)[1]


def answered_message(message: Message) -> Message | None:
    """The message that this one answers. In a topic, a reply to the message that created the topic is none."""
    replied = message.reply_to_message
    return None if replied is None or replied.forum_topic_created else replied


def quote_of(message: Message, me: int) -> Quote | None:
    """What a reply quotes: the selected part, else the whole message, of this chat or of another; with the files of that message.

    `me`: the bot's own id.
    """
    replied: Content | None = answered_message(message) or message.external_reply
    marked = markdown_of(message.quote.text, message.quote.entities) if message.quote else ""
    if replied is None:
        return Quote(text=marked, author="") if marked else None
    files = tuple(files_of(replied))
    words = marked or own_words(replied) or ", ".join(f"[{file.kind}: {file.name}]" for file in files)
    if not words:
        return None
    author_id, author = _author(replied)
    return Quote(text=words, author=author, author_id="" if author_id == str(me) else author_id, files=files)


def _author(replied: Content) -> tuple[str, str]:
    """(id, name) of who wrote a message that is answered; an id of its own kind where Telegram does not say whose it is."""
    if isinstance(replied, Message):
        if chat := replied.sender_chat:
            return str(chat.id), shown(chat.effective_name or "")
        return (str(replied.from_user.id), shown(replied.from_user.full_name)) if replied.from_user else (_HIDDEN, "")
    return _origin(replied.origin)


def _origin(origin: telegram.MessageOrigin) -> tuple[str, str]:
    match origin:
        case telegram.MessageOriginUser(sender_user=user):
            return str(user.id), shown(user.full_name)
        case telegram.MessageOriginHiddenUser(sender_user_name=name):
            return _HIDDEN, shown(name)
        case telegram.MessageOriginChat(sender_chat=chat) | telegram.MessageOriginChannel(chat=chat):
            return str(chat.id), shown(chat.effective_name or "")
        case _:
            return _HIDDEN, ""


_MENTIONS: Final[list[str | None]] = [MessageEntity.MENTION, MessageEntity.TEXT_MENTION]


class Reader:
    """Decides which updates are for the assistant, and turns them into messages.

    Not for it: channel posts, its own messages, those of other bots without `allowBots`, service messages, edits that leave the text as it was,
    commands for other bots, and in groups whatever `groups` leaves out.
    """

    def __init__(self, me: User, hearing: Hearing) -> None:
        """`hearing` outlives the connection."""
        self._me = me
        self._hearing = hearing
        self._name = re.compile(rf"[ \t]*{re.escape(me.name)}(?!\w)", re.IGNORECASE)
        self._said: Latest[int] = Latest(2000)
        """chat:message → the hash of its text, to recognise edits that did not change it."""

    def read(self, update: Update) -> InboundMessage | None:
        """From an update that is not part of an album."""
        if update.callback_query is not None:
            return self._press(update.callback_query)
        if update.message is not None:
            return self._message([update.message])
        edited = update.edited_message
        if edited is None or not (edited.text or edited.caption or edited.checklist):
            return None
        return self._message([edited], edited=True)

    def album(self, messages: Sequence[Message]) -> InboundMessage | None:
        return self._message(sorted(messages, key=lambda message: message.message_id))

    def _message(self, messages: Sequence[Message], *, edited: bool = False) -> InboundMessage | None:
        first = messages[0]
        sender = None if first.is_automatic_forward else sender_of(first)
        said = {f"{message.chat.id}:{message.message_id}": own_words(message) for message in messages}
        unchanged = edited and all(self._said.get(key) == hash(words) for key, words in said.items())
        for key, words in said.items():
            self._said[key] = hash(words)
        text = "\n".join(filter(None, said.values()))
        files = tuple(file for message in messages for file in files_of(message))
        if unchanged or sender is None or not (text or files):
            return None
        author = forwarded_from(first)
        quote = Quote(text=text, author=author, kind="forward") if author is not None else quote_of(first, self._me.id)
        private = first.chat.type == "private"
        command, bot = (author is None and addressed_command(first.text or text)) or (None, None)
        replied = answered_message(first)
        heard = Overheard(
            chat_id=str(first.chat.id),
            external_id=_external_id(messages, edited=edited),
            private=private,
            mentions_me=any(map(self._names_me, messages)) or (command is not None and self._name.search(first.text or "") is not None),
            answers_me=replied is not None and replied.from_user is not None and replied.from_user.id == self._me.id,
            command=command,
            by_bot=first.sender_chat is None and first.from_user is not None and first.from_user.is_bot,
            own=sender.id == str(self._me.id),
        )
        if (bot is not None and not self._is_my_name(f"@{bot}")) or not self._hearing.hears(heard):
            return None
        if not private:
            text = self._name.sub("", text).lstrip(" \t\n,:").rstrip() or text  # a bare mention stays
        return heard.message(
            address=_address(first),
            sender=sender,
            message_id=str(first.message_id),
            at=(first.edit_date if edited and first.edit_date else first.date).astimezone(UTC),
            text="" if author is not None else text,
            call=text,
            quote=quote,
            files=files,
        )

    def _names_me(self, message: Message) -> bool:
        named = message.parse_entities(_MENTIONS) if message.text else message.parse_caption_entities(_MENTIONS)
        return any(
            self._is_my_name(words) or (entity.user is not None and entity.user.id == self._me.id) for entity, words in named.items()
        )

    def _is_my_name(self, words: str) -> bool:
        return words.lower() == self._me.name.lower()

    def _press(self, query: CallbackQuery) -> InboundMessage | None:
        """The words or the command of one of our buttons, as the message of the person who pressed it."""
        message, data = query.message, query.data
        if message is None or data is None or query.from_user.is_bot:
            return None
        markup = message.reply_markup if isinstance(message, Message) else None
        rows = markup.inline_keyboard if markup is not None else ()
        label = next((button.text for row in rows for button in row if button.callback_data == data), None)
        value = {"/": f"do:{data}", "t": f"say:{data[1:]}", "#": f"at:{data}"}.get(data[:1], data)  # "t", "#": older ones
        press = pressed(value, label)
        private = message.chat.type == "private"
        address = _address(message) if isinstance(message, Message) else Address(channel="telegram", chat_id=str(message.chat.id))
        if press is None or not self._hearing.reads(address, private=private):
            return None
        return press.message(
            external_id=f"press:{query.id}",
            address=address,
            sender=Sender(id=str(query.from_user.id), name=shown(query.from_user.full_name)),
            private=private,
            message_id=str(message.message_id),
        )


def _external_id(messages: Sequence[Message], *, edited: bool) -> str:
    """chat:message, with the time of an edit and the last message of an album: the second piece of an album is no repeat of its first."""
    first, last = messages[0], messages[-1]
    joined = f"{first.chat.id}:{first.message_id}"
    if len(messages) > 1:
        joined += f"-{last.message_id}"
    if edited and first.edit_date:
        joined += f":{first.edit_date.timestamp():.0f}"
    return joined


def _address(message: Message) -> Address:
    """Only topics are threads: elsewhere Telegram numbers chains of replies, too."""
    topic = message.message_thread_id if message.is_topic_message else None
    return Address(channel="telegram", chat_id=str(message.chat.id), thread_id=str(topic) if topic else None)
