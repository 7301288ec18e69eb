"""What a Slack message says: names for ids, Markdown links, its files, and what it forwards.

https://docs.slack.dev/messaging/formatting-message-text/#rich-layouts, https://docs.slack.dev/reference/objects/file-object
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from assistant.contracts.inbox import FileKind, InboundFile
from assistant.contracts.util import display_name, no_address
from channels.kit.http import value_at
from channels.kit.values import objects_at, text_at
from channels.text.blocks import shows

_ENTITY: Final = re.compile(r"<([^<>\s][^<>]*)>")
_MEMBER: Final = re.compile(r"<@([UWB][A-Z0-9]{1,30})(?:\|[^<>]*)?>")
_KINDS: Final[dict[str, FileKind]] = {"image": "image", "video": "video", "audio": "audio"}
_MOST_FILES: Final = 20
_MOST_ATTACHMENTS: Final = 20
_MOST_NAMES: Final = 20
"""Members whose names are looked up for one message."""


NameOf = Callable[[str], Awaitable[str]]


async def said(text: str, name_of: NameOf, *, me: str = "") -> str:
    """The words of a text, with names for the ids of members, channels and groups. `me`: its mentions are left out."""
    ids = list(dict.fromkeys(_MEMBER.findall(text)))[:_MOST_NAMES]
    names = {id: await name_of(id) for id in ids if id != me}

    def one(found: re.Match[str]) -> str:
        target, _, label = found[1].partition("|")
        match target[:1]:
            case "@":
                id = target[1:]
                return "" if id == me else f"@{no_address(names.get(id) or label or id)}"
            case "#":
                return f"#{no_address(label or target[1:])}"
            case "!":  # <!here>, <!subteam^S1|@team>, <!date^1392734382^{date}|18 Feb 2014>
                return no_address(label) if label else f"@{target[1:].partition('^')[0]}"
            case _:
                return target.removeprefix("mailto:") if not label or shows(label, target) else f"[{label}]({target})"

    return _unescaped(_ENTITY.sub(one, text)).strip()


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


async def forwarded(message: Any, name_of: NameOf) -> str:
    """The words of its attachments: messages that it shares, and previews of links."""
    lines: list[str] = []
    for each in objects_at(message, "attachments")[:_MOST_ATTACHMENTS]:
        parts = [text_at(each, name) for name in ("pretext", "author_name", "title", "text")]
        words = [await said(part, name_of) for part in parts if part] or [await said(text_at(each, "fallback"), name_of)]
        lines += [line for line in words if line]
    return "\n".join(lines)


def files_of(message: Any) -> tuple[InboundFile, ...]:
    """`ref`: the file's id, a space, and its URL (empty: it has to be asked for)."""
    found = [_file(each) for each in objects_at(message, "files")[:_MOST_FILES]]
    return tuple(file for file in found if file is not None)


def _file(file: Any) -> InboundFile | None:
    id, mode = text_at(file, "id"), text_at(file, "mode")
    if not id or mode in ("tombstone", "hidden_by_limit"):
        return None
    media_type = text_at(file, "mimetype") or "application/octet-stream"
    size = value_at(file, "size")
    voice = text_at(file, "subtype") == "slack_audio"
    url = text_at(file, "url_private_download") or text_at(file, "url_private")
    return InboundFile(
        name=display_name(text_at(file, "name") or text_at(file, "title") or "file", "file"),
        kind="voice" if voice else _KINDS.get(media_type.partition("/")[0], "document"),
        media_type=media_type,
        size=size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
        ref=f"{id} {url}",
    )
