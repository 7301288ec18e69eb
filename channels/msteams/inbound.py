"""Teams' activities as messages. https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/conversation-messages"""

import re
from html import unescape
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundFile, InboundMessage, Quote, Sender
from channels.kit.commands import command_of, pressed
from channels.kit.files import inbound_file
from channels.kit.hearing import Hearing, Overheard
from channels.kit.hosts import is_at
from channels.kit.values import id_at, objects_at, text_at, written_time_at
from channels.msteams.kind import CONVERSATION, MESSAGE

_MOST_NAME, _MOST_FILES, _MOST_QUOTED = 128, 20, 4000
_MOST_HTML: Final = 32_000
"""Characters that are looked through for a quote, which is at the beginning."""
_AT: Final = re.compile(r"<at\b[^<>]*>([^<]*)</at>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>")
_BREAKS: Final = re.compile(r"<br\s*/?>|</p>|</div>", re.IGNORECASE)
_SHARED: Final = "application/vnd.microsoft.teams.file.download.info"
_FILE_HOSTS: Final = (
    ".sharepoint.com",
    ".sharepoint.us",
    ".sharepoint-mil.us",
    ".sharepoint.cn",
    ".files.1drv.com",
    ".microsoftpersonalcontent.com",
)
"""Where SharePoint and OneDrive keep shared files."""


def address_of_activity(activity: Any, *, in_thread: bool) -> Address | None:
    """A thread of a channel is its conversation's `;messageid=`. None: it has none. `in_thread`: whether a thread is a conversation of its own."""
    chat, _, thread = text_at(activity, "conversation", "id").partition(";messageid=")
    known = thread if in_thread and MESSAGE.fullmatch(thread) else None
    return Address(channel="msteams", chat_id=chat, thread_id=known) if CONVERSATION.fullmatch(chat) else None


def read_activity(activity: Any, address: Address, app_id: str, hearing: Hearing) -> InboundMessage | None:
    """None: it is no message for the assistant."""
    sender, kind, id = _sender(activity), text_at(activity, "type"), id_at(activity, "id")
    edited = kind == "messageUpdate" and text_at(activity, "channelData", "eventType") == "editMessage"
    if sender is None or not id or not (kind == "message" or edited):
        return None
    press = pressed(text_at(activity, "value", "nanobot"))
    mentions_me = _mentions(activity, app_id)
    text = press[0] if press else _words(activity, mentions_me=mentions_me)
    files = () if press else _files(activity)
    command = press[1] if press else command_of(text)
    private = text_at(activity, "conversation", "conversationType") == "personal"
    external_id = f"{id}@{id_at(activity, 'timestamp')}" if edited else f"press:{id}" if press else id
    heard = Overheard(
        chat_id=address.chat_id,
        external_id=external_id,
        private=private,
        mentions_me=mentions_me or press is not None,
        command=command,
        own=text_at(activity, "from", "id") == f"28:{app_id}",
        by_bot=text_at(activity, "from", "role") == "bot",
    )
    if not (text.strip() or files) or not hearing.hears(heard):
        return None
    quoted = _quoted(activity)
    return InboundMessage(
        external_id=f"{address.chat_id}:{external_id}",
        address=address,
        sender=sender,
        private=private,
        text=text,
        quote=Quote(text=quoted, author="") if quoted else None,
        files=files,
        command=command,
        message_id=address.thread_id or id,
        chosen=press is not None,
        trusted=not heard.by_bot,
        at=written_time_at(activity, "timestamp"),
    )


def _sender(activity: Any) -> Sender | None:
    """By the object id in Microsoft Entra, which does not change; else by the channel's own id."""
    found = id_at(activity, "from", "aadObjectId") or id_at(activity, "from", "id")
    return Sender(id=found, name=text_at(activity, "from", "name")[:_MOST_NAME]) if found else None


def _mentions(activity: Any, app_id: str) -> bool:
    me = {f"28:{app_id}", text_at(activity, "recipient", "id") or f"28:{app_id}"}
    found = [each for each in objects_at(activity, "entities") if text_at(each, "type") == "mention"]
    return any(text_at(each, "mentioned", "id") in me for each in found)


def _words(activity: Any, *, mentions_me: bool) -> str:
    """The text without the mention of the bot; other people's names stay."""
    own = text_at(activity, "recipient", "name")
    text = _AT.sub(lambda found: "" if found[1].strip() == own else f"@{found[1]}", text_at(activity, "text"))
    if text_at(activity, "textFormat") in ("xml", "") and mentions_me:
        text = unescape(text)
    return text.replace("\u00a0", " ").strip()


def _quoted(activity: Any) -> str:
    """The words of the message that it answers; empty: none."""
    pages = [each for each in objects_at(activity, "attachments") if text_at(each, "contentType") == "text/html"]
    html = next(filter(None, [text_at(each, "content") for each in pages]), "")[:_MOST_HTML]
    words, closed, _ = html.partition("schema.skype.com/Reply")[2].partition(">")[2].partition("</blockquote>")
    return unescape(_TAG.sub("", _BREAKS.sub("\n", words))).strip()[:_MOST_QUOTED] if closed else ""


def _files(activity: Any) -> tuple[InboundFile, ...]:
    """Shared files by their signed address, pictures in the message by that of the service. `ref`: how, and the URL."""
    found: list[InboundFile] = []
    service = text_at(activity, "serviceUrl").rstrip("/") + "/"
    for each in objects_at(activity, "attachments"):
        kind, name, url = text_at(each, "contentType"), text_at(each, "name"), text_at(each, "contentUrl")
        shared = text_at(each, "content", "downloadUrl")
        if kind == _SHARED and is_at(shared, [*_FILE_HOSTS, service]):
            found.append(inbound_file(name, f"signed {shared}", kind="document", usual="document"))
        elif kind.startswith("image/") and url.startswith(service):
            pictured = "image/png" if "*" in kind else kind
            found.append(inbound_file(name, f"token {url}", media_type=pictured, kind="image", usual="picture"))
    return tuple(found[:_MOST_FILES])
