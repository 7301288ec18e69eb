"""What a Slack message says: names for ids, Markdown links, its files, and what it forwards.

https://docs.slack.dev/messaging/formatting-message-text/#rich-layouts, https://docs.slack.dev/reference/objects/file-object
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from assistant.contracts.inbox import InboundFile
from assistant.contracts.util import no_address
from channels.kit.files import inbound_file
from channels.kit.values import objects_at, text_at
from channels.text.blocks import shows

_ENTITY: Final = re.compile(r"<([^<>\s][^<>]*)>")
_MEMBER: Final = re.compile(r"<@([UWB][A-Z0-9]{1,30})(?:\|[^<>]*)?>")
_MOST_FILES: Final = 20
_MOST_ATTACHMENTS: Final = 20


def members_in(texts: Sequence[str]) -> list[str]:
    return _MEMBER.findall("\n".join(texts))


def said(text: str, names: Mapping[str, str], *, me: str = "") -> str:
    """The words of a text, with names for the ids of members, channels and groups. `me`: its mentions are left out."""

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


def attached(message: Any) -> list[str]:
    """The texts of its attachments: messages that it shares, and previews of links."""
    texts: list[str] = []
    for each in objects_at(message, "attachments")[:_MOST_ATTACHMENTS]:
        parts = [text_at(each, name) for name in ("pretext", "author_name", "title", "text")]
        texts += parts if any(parts) else [text_at(each, "fallback")]
    return texts


def files_of(message: Any) -> tuple[InboundFile, ...]:
    """`ref`: the file's id, a space, and its URL (empty: it has to be asked for)."""
    found = [each for each in objects_at(message, "files")[:_MOST_FILES] if text_at(each, "id")]
    return tuple(_file(each) for each in found if text_at(each, "mode") not in ("tombstone", "hidden_by_limit"))


def _file(file: Any) -> InboundFile:
    return inbound_file(
        text_at(file, "name") or text_at(file, "title"),
        f"{text_at(file, 'id')} {text_at(file, 'url_private_download') or text_at(file, 'url_private')}",
        media_type=text_at(file, "mimetype"),
        size=file.get("size"),
        kind="voice" if text_at(file, "subtype") == "slack_audio" else None,
    )
