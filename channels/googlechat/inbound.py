"""Google Chat's events as messages. https://developers.google.com/workspace/chat/interaction-events"""

from typing import Any

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundFile, InboundMessage, Quote, Sender
from channels.googlechat.kind import ID
from channels.kit.commands import command_of, pressed
from channels.kit.files import inbound_file
from channels.kit.hearing import Hearing, Overheard
from channels.kit.values import id_at, number_at, objects_at, text_at, value_at, written_time_at

_MOST_NAME, _MOST_QUOTED, _MOST_REF, _MOST_FILES = 128, 4000, 2000, 20


def read_event(event: Any, hearing: Hearing) -> InboundMessage | None:
    """None: it is no message for the assistant."""
    kind, message = text_at(event, "type"), value_at(event, "message")
    clicked = kind == "CARD_CLICKED"
    id, space = _last(text_at(message, "name"), "messages"), _space(event)
    sender = _sender(value_at(event, "user") if clicked else value_at(message, "sender"))
    press = pressed(_pressed_value(event)) if clicked else None
    if (
        kind not in ("MESSAGE", "ADDED_TO_SPACE", "CARD_CLICKED")
        or not id
        or space is None
        or sender is None
        or (clicked and press is None)
    ):
        return None
    stamp = _stamp(event)
    mentioned = _has(message, "USER_MENTION")
    text = press[0] if press else _words(message, mentioned=mentioned)
    files = () if press else _files(message)
    command = press[1] if press else command_of(text)
    private = value_at(space, "singleUserBotDm") is True or text_at(space, "type") == "DM"
    external_id = f"press:{id}:{sender.id}@{stamp}" if press else id
    address = _address(space, message)
    heard = Overheard(
        chat_id=address.chat_id,
        external_id=external_id,
        private=private,
        mentions_me=mentioned or press is not None or _has(message, "SLASH_COMMAND"),
        command=command,
        by_bot=not clicked and text_at(message, "sender", "type") == "BOT",
    )
    if not (text.strip() or files) or not hearing.hears(heard):
        return None
    return InboundMessage(
        external_id=f"{address.chat_id}:{external_id}",
        address=address,
        sender=sender,
        private=private,
        text=text,
        quote=None if press else _quote(message),
        files=files,
        command=command,
        message_id=id,
        chosen=press is not None,
        trusted=not heard.by_bot,
        at=written_time_at(stamp if clicked else text_at(message, "createTime") or stamp),
    )


def _last(name: str, kind: str) -> str:
    """The id at the end of a resource's name ("spaces/A/messages/B": "B"); empty: it is none of this kind."""
    before, _, id = name.rpartition("/")
    return id_at(id) if before.endswith(kind) else ""


def _space(event: Any) -> Any:
    """None: there is none."""
    for space in (value_at(event, "space"), value_at(event, "message", "space")):
        if ID.fullmatch(_last(text_at(space, "name"), "spaces")):
            return space
    return None


def _address(space: Any, message: Any) -> Address:
    """A named space's thread is a conversation of its own; in direct messages and group chats, there is one."""
    thread = _last(text_at(message, "thread", "name"), "threads")
    threaded = text_at(space, "spaceType") == "SPACE" and text_at(space, "spaceThreadingState") != "UNTHREADED_MESSAGES"
    known = thread if threaded and ID.fullmatch(thread) else None
    return Address(channel="googlechat", chat_id=_last(text_at(space, "name"), "spaces"), thread_id=known)


def _sender(user: Any) -> Sender | None:
    id = _last(text_at(user, "name"), "users")
    return Sender(id=id, name=text_at(user, "displayName")[:_MOST_NAME]) if id else None


def _has(message: Any, kind: str) -> bool:
    """Whether the app is mentioned (Chat sends mentions of no other app), or a slash command is there."""
    found = [each for each in objects_at(message, "annotations") if text_at(each, "type") == kind]
    if kind == "USER_MENTION":
        return any(text_at(each, "userMention", "user", "type") == "BOT" for each in found)
    return bool(found) or value_at(message, "slashCommand") is not None


def _words(message: Any, *, mentioned: bool) -> str:
    """The text without the mention of the app; files in Drive, which an app can't fetch, by their names."""
    text = text_at(message, "argumentText") if mentioned else text_at(message, "text")
    drive = [text_at(each, "contentName") for each in objects_at(message, "attachment") if text_at(each, "source") == "DRIVE_FILE"]
    named = [f"[file in Google Drive: {name[:_MOST_NAME]}]" for name in drive[:_MOST_FILES]]
    return "\n".join(filter(None, [text.strip(), *named]))


def _files(message: Any) -> tuple[InboundFile, ...]:
    """`ref`: the name that the media API knows it by."""
    found: list[InboundFile] = []
    for each in objects_at(message, "attachment"):
        ref = text_at(each, "attachmentDataRef", "resourceName")
        if 0 < len(ref) <= _MOST_REF and ".." not in ref and text_at(each, "source") != "DRIVE_FILE":
            found.append(inbound_file(text_at(each, "contentName"), ref, media_type=text_at(each, "contentType")))
    return tuple(found[:_MOST_FILES])


def _quote(message: Any) -> Quote | None:
    quoted = value_at(message, "quotedMessageMetadata", "quotedMessageSnapshot")
    text = text_at(quoted, "text")[:_MOST_QUOTED]
    return Quote(text=text, author=text_at(quoted, "sender")[:_MOST_NAME]) if text.strip() else None


def _pressed_value(event: Any) -> str:
    named = text_at(event, "common", "parameters", "nanobot")
    listed = [text_at(each, "value") for each in objects_at(event, "action", "parameters") if text_at(each, "key") == "nanobot"]
    return named or next(iter(listed), "")


def _stamp(event: Any) -> str:
    """When the event was, as it has it: RFC 3339, or an object of seconds and nanoseconds."""
    seconds = number_at(event, "eventTime", "seconds")
    return f"{seconds}.{number_at(event, 'eventTime', 'nanos')}" if seconds else id_at(event, "eventTime")
