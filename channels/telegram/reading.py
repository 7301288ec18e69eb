"""What stands in a message of Telegram's: words, files, what it quotes."""

from collections.abc import Iterator
from typing import Final

from telegram import Message, MessageOriginChannel, MessageOriginChat, MessageOriginHiddenUser, MessageOriginUser

from assistant.contracts.inbox import FileKind, InboundFile, Quote, Sender
from assistant.contracts.names import display_name
from assistant.contracts.text import whole

_MOST_NAME: Final = 128
_STICKERS: Final = {True: ("sticker.webm", "video/webm"), False: ("sticker.webp", "image/webp")}


def own_words(message: Message) -> str:
    """What was written, or what else was sent in words: a place, a contact, a poll, dice. Empty: nothing that has words."""
    said = message.text or message.caption or ""
    return whole("\n".join(filter(None, [said, *_in_words(message)])))


def shown(name: str) -> str:
    """A name that somebody chose for themselves, for display."""
    return whole(name)[:_MOST_NAME]


def _in_words(message: Message) -> Iterator[str]:
    if venue := message.venue:
        at = venue.location
        yield f"[place: {venue.title}, {venue.address} ({at.latitude:.6f}, {at.longitude:.6f})]"
    elif at := message.location:
        yield f"[location: {at.latitude:.6f}, {at.longitude:.6f}]"
    if contact := message.contact:
        name = " ".join(filter(None, [contact.first_name, contact.last_name]))
        yield f"[contact: {name}, {contact.phone_number}]"
    if poll := message.poll:
        options = "; ".join(option.text for option in poll.options)
        yield f"[poll: {poll.question} Options: {options}]"
    if dice := message.dice:
        yield f"[dice {dice.emoji}: {dice.value}]"
    if (sticker := message.sticker) and sticker.emoji:
        yield f"[sticker {sticker.emoji}]"
    if message.story:
        yield "[a story, which bots can't see]"


def files_of(message: Message) -> Iterator[InboundFile]:
    """The files of a message; of a photo its largest size. `ref` is Telegram's file_id."""
    if message.photo:
        largest = max(message.photo, key=lambda size: size.width * size.height)
        yield _file("image", largest.file_id, f"photo-{message.message_id}.jpg", "image/jpeg", largest.file_size)
    if animation := message.animation:  # before `document`, which holds it, too
        yield _file("video", animation.file_id, animation.file_name or "animation.mp4", animation.mime_type, animation.file_size)
    elif document := message.document:
        yield _file("document", document.file_id, document.file_name or "document", document.mime_type, document.file_size)
    if audio := message.audio:
        yield _file("audio", audio.file_id, audio.file_name or audio.title or "audio.mp3", audio.mime_type or "audio/mpeg", audio.file_size)
    if voice := message.voice:
        yield _file("voice", voice.file_id, "voice.ogg", voice.mime_type or "audio/ogg", voice.file_size)
    if video := message.video:
        yield _file("video", video.file_id, video.file_name or "video.mp4", video.mime_type or "video/mp4", video.file_size)
    if note := message.video_note:
        yield _file("video", note.file_id, "video-note.mp4", "video/mp4", note.file_size)
    if sticker := message.sticker:
        name, media_type = ("sticker.tgs", "application/x-tgsticker") if sticker.is_animated else _STICKERS[sticker.is_video]
        yield _file("sticker", sticker.file_id, name, media_type, sticker.file_size)


def _file(kind: FileKind, ref: str, name: str, media_type: str | None, size: int | None) -> InboundFile:
    return InboundFile(name=display_name(name, kind), kind=kind, media_type=media_type or "application/octet-stream", size=size, ref=ref)


def sender_of(message: Message) -> Sender | None:
    """Who wrote. A group's admin who hides behind the group, and a channel that writes in one, is known by that chat's id. None: a bot, or
    nobody."""
    if chat := message.sender_chat:
        return Sender(id=str(chat.id), name=shown(chat.effective_name or ""))
    user = message.from_user
    if user is None or user.is_bot:
        return None
    return Sender(id=str(user.id), name=shown(user.full_name))


def forwarded_from(message: Message) -> str | None:
    """Whose words a forwarded message passes on (empty: not known). None: it is none."""
    match message.forward_origin:
        case None:
            return None
        case MessageOriginUser(sender_user=user):
            return shown(user.full_name)
        case MessageOriginHiddenUser(sender_user_name=name):
            return shown(name)
        case MessageOriginChat(sender_chat=chat) | MessageOriginChannel(chat=chat):
            return shown(chat.effective_name or "")
        case _:
            return ""


def answered_message(message: Message) -> Message | None:
    """The message that this one answers. In a topic, every message formally answers the one that made the topic; that is none."""
    replied = message.reply_to_message
    return None if replied is None or replied.forum_topic_created else replied


def quote_of(message: Message) -> Quote | None:
    """What a reply refers to: the part that was marked, else the whole message."""
    replied = answered_message(message)
    marked = whole(message.quote.text) if message.quote else ""
    if replied is None:
        return Quote(text=marked, author="") if marked else None
    words = marked or own_words(replied) or ", ".join(f"[{file.kind}: {file.name}]" for file in files_of(replied))
    if not words:
        return None
    who = replied.from_user
    author = (replied.sender_chat.effective_name or "") if replied.sender_chat else who.full_name if who else ""
    return Quote(text=words, author=shown(author))
