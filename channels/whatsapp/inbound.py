"""WhatsApp's calls as messages.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages"""

from collections.abc import Iterator
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import FileKind, InboundFile, InboundMessage, Quote, Sender
from channels.kit.commands import command_of, pressed
from channels.kit.files import inbound_file
from channels.kit.values import Latest, id_at, list_at, loads, place_words, text_at, time_at, value_at
from channels.whatsapp.kind import CHAT

_FILES: Final[dict[str, tuple[FileKind, str]]] = {
    "image": ("image", "photo.jpg"),
    "audio": ("audio", "audio.ogg"),
    "video": ("video", "video.mp4"),
    "document": ("document", "document"),
    "sticker": ("sticker", "sticker.webp"),
}
MOST_QUOTED: Final = 2000
_MOST_NAME: Final = 128
_MOST_ID: Final = 256


def values_of(body: bytes) -> Iterator[Any]:
    """The values of a call's changes; none where it can't be read."""
    try:
        call = loads(body)
    except ValueError:
        return
    for entry in list_at(call, "entry"):
        for change in list_at(entry, "changes"):
            if value_at(change, "field") == "messages":
                yield value_at(change, "value")


class WhatsAppReader:
    """Turns a call's messages into ours. WhatsApp tells of a quoted message only its id, so the latest texts are remembered."""

    def __init__(self, texts: Latest[tuple[str, str]]) -> None:
        """`texts`: message → (text, its author's id; empty: the assistant)."""
        self._texts = texts

    def read(self, value: Any, message: Any, person: str) -> InboundMessage | None:
        """None: there is nothing to read in it (a reaction, what WhatsApp itself can't show). `person`: the sender's id."""
        id, kind = id_at(message, "id", most=_MOST_ID), text_at(message, "type")
        press = _press(message, kind)
        files = _files(message, kind)
        text = press[0] if press else _words(message, kind)
        if not id or not (text.strip() or files):
            return None
        forwarded = value_at(message, "context", "forwarded") is True or value_at(message, "context", "frequently_forwarded") is True
        quote = Quote(text=text, author="", kind="forward") if forwarded and text else self._quote(message)
        self._texts[id] = ((text or ", ".join(f"[{file.kind}: {file.name}]" for file in files))[:MOST_QUOTED], person)
        return InboundMessage(
            external_id=id,
            address=Address(channel="whatsapp", chat_id=person),
            sender=Sender(id=person, name=_name(value)),
            private=True,
            text="" if forwarded else text,
            quote=quote,
            files=files,
            command=press[1] if press else None if forwarded else command_of(text),
            chosen=press is not None,
            message_id=id,
            at=time_at(message, "timestamp"),
        )

    def _quote(self, message: Any) -> Quote | None:
        text, author = self._texts.get(text_at(message, "context", "id")) or ("", "")
        return Quote(text=text, author="", author_id=author) if text else None


def person_of(message: Any) -> tuple[str, str]:
    """(phone number, business-scoped user id) of a message's sender; each may be empty."""
    number, id = text_at(message, "from"), text_at(message, "from_user_id")
    return number if number.isdigit() and CHAT.fullmatch(number) else "", id if CHAT.fullmatch(id) else ""


def changed_number(message: Any) -> str:
    """The new number of a person who changed theirs; empty: the message is none of this kind."""
    if text_at(message, "type") != "system" or text_at(message, "system", "type") not in ("user_changed_number", "customer_changed_number"):
        return ""
    now = text_at(message, "system", "wa_id") or text_at(message, "system", "new_wa_id")
    return now if CHAT.fullmatch(now) else ""


def _name(value: Any) -> str:
    profile = value_at(value, "contacts", 0, "profile")
    return (text_at(profile, "name") or text_at(profile, "username"))[:_MOST_NAME]


def _press(message: Any, kind: str) -> tuple[str, Any] | None:
    """(words, command) of a pressed button."""
    if kind == "button":  # of a template
        words = text_at(message, "button", "text")
        return (words, None) if words else None
    for reply in ("button_reply", "list_reply"):
        if kind == "interactive" and (id := text_at(message, "interactive", reply, "id")):
            return pressed(id, text_at(message, "interactive", reply, "title"))
    return None


def _words(message: Any, kind: str) -> str:
    match kind:
        case "text":
            return text_at(message, "text", "body")
        case "location":
            return place_words(value_at(message, "location"), "name", "address")
        case "contacts":
            return "\n".join(_contact(each) for each in list_at(message, "contacts"))
        case _:
            return text_at(message, kind, "caption")


def _contact(contact: Any) -> str:
    phones = [text_at(phone, "phone") for phone in list_at(contact, "phones")]
    emails = [text_at(email, "email") for email in list_at(contact, "emails")]
    return f"Contact: {', '.join(filter(None, [text_at(contact, 'name', 'formatted_name'), *phones, *emails]))}"


def _files(message: Any, kind: str) -> tuple[InboundFile, ...]:
    about = value_at(message, kind)
    ref = text_at(about, "id")
    if kind not in _FILES or not ref:
        return ()
    file_kind, usual = _FILES[kind]
    voice = kind == "audio" and value_at(about, "voice") is True
    media_type, name = text_at(about, "mime_type"), text_at(about, "filename")
    return (inbound_file(name, ref, media_type=media_type, kind="voice" if voice else file_kind, usual=usual),)
