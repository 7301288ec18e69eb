"""Teams' activities as messages. https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/conversation-messages"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import unescape
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundFile, InboundMessage, Quote, Sender
from assistant.contracts.util import display_name, replace_surrogates
from channels.kit.commands import command_of, pressed
from channels.kit.hearing import Hearing, Overheard
from channels.kit.hosts import is_at
from channels.kit.http import value_at

_MOST_NAME: Final = 128
_AT: Final = re.compile(r"<at[^>]*>(.*?)</at>", re.DOTALL | re.IGNORECASE)
_QUOTE: Final = re.compile(r"<blockquote\b[^>]*schema\.skype\.com/Reply[^>]*>(.*?)</blockquote>", re.DOTALL | re.IGNORECASE)
_TAG: Final = re.compile(r"<[^>]*>")
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


def address_of_activity(activity: Mapping[str, Any]) -> Address | None:
    """A thread of a channel is its conversation's `;messageid=`. None: it has none."""
    id = value_at(activity, "conversation", "id")
    if not isinstance(id, str) or not 0 < len(id) <= 250:
        return None
    chat, _, thread = id.partition(";messageid=")
    return Address(channel="msteams", chat_id=chat, thread_id=thread or None) if chat.isprintable() and chat.strip() else None


def read_activity(activity: Mapping[str, Any], app_id: str, hearing: Hearing) -> InboundMessage | None:
    """None: it is no message for the assistant."""
    address, sender = address_of_activity(activity), _sender(activity)
    kind, id = value_at(activity, "type"), value_at(activity, "id")
    edited = kind == "messageUpdate" and value_at(activity, "channelData", "eventType") == "editMessage"
    if address is None or sender is None or not isinstance(id, str) or not (kind == "message" or edited):
        return None
    press = pressed(str(value_at(activity, "value", "nanobot") or ""))
    html = _html(activity)
    text = press[0] if press else _words(activity, app_id)
    files = () if press else _files(activity)
    command = press[1] if press else command_of(text)
    private = value_at(activity, "conversation", "conversationType") == "personal"
    stamp = str(value_at(activity, "timestamp") or "")
    external_id = f"{id}@{stamp}" if edited else f"press:{id}" if press else id
    heard = Overheard(
        chat_id=address.chat_id,
        external_id=external_id,
        private=private,
        mentions_me=_mentions(activity, app_id) or press is not None,
        command=command,
        own=_is_bot(value_at(activity, "from", "id"), app_id),
        by_bot=value_at(activity, "from", "role") == "bot",
    )
    if not (text.strip() or files) or not hearing.hears(heard):
        return None
    quote = _QUOTE.search(html)
    return InboundMessage(
        external_id=f"{address.chat_id}:{external_id}",
        address=address,
        sender=sender,
        private=private,
        text=replace_surrogates(text),
        quote=Quote(text=_plain(quote[1]), author="") if quote else None,
        files=files,
        command=command,
        message_id=address.thread_id or id,
        chosen=press is not None,
        trusted=not heard.by_bot,
        at=_time(stamp),
    )


def _sender(activity: Mapping[str, Any]) -> Sender | None:
    """By the object id in Microsoft Entra, which does not change; else by the channel's own id."""
    found = value_at(activity, "from", "aadObjectId") or value_at(activity, "from", "id")
    if not isinstance(found, str) or not found.strip() or len(found) > 200:
        return None
    return Sender(id=found, name=replace_surrogates(str(value_at(activity, "from", "name") or ""))[:_MOST_NAME])


def _is_bot(id: object, app_id: str) -> bool:
    return id == f"28:{app_id}"


def _mentions(activity: Mapping[str, Any], app_id: str) -> bool:
    me = value_at(activity, "recipient", "id")
    for entity in _listed(value_at(activity, "entities")):
        mentioned = value_at(entity, "mentioned", "id")
        if value_at(entity, "type") == "mention" and (_is_bot(mentioned, app_id) or (mentioned is not None and mentioned == me)):
            return True
    return False


def _words(activity: Mapping[str, Any], app_id: str) -> str:
    """The text without the mention of the bot; other people's names stay."""
    text, name = value_at(activity, "text"), value_at(activity, "recipient", "name")
    if not isinstance(text, str):
        return ""
    own = str(name or "")
    text = _AT.sub(lambda found: "" if found[1].strip() == own else f"@{found[1]}", text)
    if value_at(activity, "textFormat") in ("xml", None) and _mentions(activity, app_id):
        text = unescape(text)
    return text.replace("\u00a0", " ").strip()


def _html(activity: Mapping[str, Any]) -> str:
    attachments = value_at(activity, "attachments")
    found = [value_at(each, "content") for each in _listed(attachments) if value_at(each, "contentType") == "text/html"]
    return next((each for each in found if isinstance(each, str)), "")


def _plain(html: str) -> str:
    return unescape(_TAG.sub("", _BREAKS.sub("\n", html))).strip()[:4000]


def _files(activity: Mapping[str, Any]) -> tuple[InboundFile, ...]:
    """Shared files by their signed address, pictures in the message by that of the service. `ref`: how, and the URL."""
    found: list[InboundFile] = []
    for each in _listed(value_at(activity, "attachments")):
        kind, name = str(value_at(each, "contentType") or ""), str(value_at(each, "name") or "")
        shared, url = value_at(each, "content", "downloadUrl"), value_at(each, "contentUrl")
        if kind == _SHARED and isinstance(shared, str) and is_at(shared, [*_FILE_HOSTS, _service(activity)]):
            found.append(_file(name or "file", "document", "application/octet-stream", f"signed {shared}"))
        elif kind.startswith("image/") and isinstance(url, str) and url.startswith(_service(activity)):
            found.append(_file(name or "picture", "image", "image/png" if "*" in kind else kind, f"token {url}"))
    return tuple(found)


def _service(activity: Mapping[str, Any]) -> str:
    return str(value_at(activity, "serviceUrl") or "-").rstrip("/") + "/"


def _file(name: str, kind: Any, media_type: str, ref: str) -> InboundFile:
    return InboundFile(name=display_name(name, str(kind)), kind=kind, media_type=media_type, size=None, ref=ref)


def _listed(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()  # pyright: ignore[reportUnknownVariableType] - JSON of a platform


def _time(stamp: str) -> datetime:
    try:
        found = datetime.fromisoformat(stamp)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return datetime.now(UTC)
