"""Zulip's messages as messages for the assistant, by the rules for channels."""

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote
from zlib import crc32

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundFile, InboundMessage, Quote, Sender
from assistant.contracts.util import no_address
from channels.kit.commands import command_of
from channels.kit.files import inbound_file
from channels.kit.hearing import Hearing, Overheard
from channels.kit.values import list_at, number_at, text_at, time_at, value_at
from channels.zulip.wire import ZulipBot, ZulipWire

SIGNS: Final = "/!"
"""Zulip's clients keep some commands with "/" for themselves."""
_MENTION: Final = re.compile(r"(@_?|#)\*\*([^*\n]{1,200})\*\*")
_QUOTED: Final = re.compile(
    r"\s*@_\*\*([^*|\n]{1,100})\|(\d{1,12})\*\* \[[^\]\n]{0,200}\]\([^)\s]{0,500}\):[ ]*\n(`{3,20})quote\n(.*?)\n\3[ ]*(?:\n|$)",
    re.DOTALL | re.ASCII,
)
"""What "Quote message" of the clients writes. https://zulip.com/help/quote-or-forward-a-message"""
_UPLOAD: Final = re.compile(r"!?\[([^\]\n]{0,255})\]\(/?(user_uploads/\d{1,12}/[\w./%+~-]{1,300})\)", re.ASCII)
_MOST_FILES: Final = 20
_MOST_TEXT: Final = 200_000
"""Characters that are read of a message; a server's own limit is 10,000, unless it is changed."""
_LATEST: Final = 1 << 36
"""Seconds: the year 4147."""
_IMAGES: Final = ("png", "jpg", "jpeg", "gif", "webp")


class ZulipReader:
    """Reads the messages for one bot."""

    def __init__(self, wire: ZulipWire, hearing: Hearing, bot: ZulipBot) -> None:
        self._wire = wire
        self._hearing = hearing
        self._bot = bot
        self._own = re.compile(rf"@_?\*\*{re.escape(bot.name)}(?:\|{bot.id})?\*\*")

    async def message(self, message: Any, flags: Sequence[Any], *, edited: int = 0) -> InboundMessage | None:
        """None: it is not for the assistant. `edited`: the time of the edit that it is. https://zulip.com/api/get-events#message"""
        id, sender, time = number_at(message, "id"), number_at(message, "sender_id"), number_at(message, "timestamp")
        address, private = self._address(message)
        content = text_at(message, "content")[:_MOST_TEXT]
        if not (id and sender and content and 0 < time < _LATEST and edited < _LATEST) or address is None or sender == self._bot.id:
            return None
        if address.chat_id.startswith("c") and not self._hearing.reads(address, private=False):
            return None
        quoted = _QUOTED.match(content)
        raw = content[quoted.end() :] if quoted else content
        text = _MENTION.sub(_named, self._own.sub("", raw)).strip()
        heard = Overheard(
            chat_id=str(address),
            external_id=f"{id}:{edited}-{crc32(content.encode()):x}" if edited else str(id),
            private=private,
            mentions_me="mentioned" in flags or self._own.search(raw) is not None,
            answers_me=quoted is not None and quoted[2] == str(self._bot.id),
            command=command_of(text, signs=SIGNS),
            by_bot=await self._wire.is_bot(sender),
        )
        if not self._hearing.hears(heard):
            return None
        files = tuple(_file(*found.groups()) for found in _UPLOAD.finditer(raw) if ".." not in unquote(found[2]))[:_MOST_FILES]
        text = _UPLOAD.sub("", text).strip() if files else text
        return heard.message(
            address=address,
            sender=Sender(id=str(sender), name=text_at(message, "sender_full_name") or str(sender)),
            message_id=str(id),
            at=time_at(edited or time),
            text=text,
            call=f"@{self._bot.name}",
            quote=self._quote(quoted) if quoted else None,
            files=files,
        )

    def _address(self, message: Any) -> tuple[Address | None, bool]:
        """(the chat, whether it is between two)."""
        match value_at(message, "type"):
            case "stream" | "channel":
                channel, topic = number_at(message, "stream_id"), text_at(message, "subject")
                if not channel or value_at(message, "subject") != topic:
                    return None, False
                return Address(channel="zulip", chat_id=f"c{channel}", thread_id=topic[:60].strip() or None), False
            case "private" | "direct":
                users = {number_at(each, "id") for each in list_at(message, "display_recipient")}
                others = sorted(users - {self._bot.id, 0})
                if not others or len(others) > 50:
                    return None, False
                return Address(channel="zulip", chat_id=",".join(map(str, others))), len(others) == 1
            case _:
                return None, False

    def _quote(self, quoted: re.Match[str]) -> Quote:
        author_id = "" if quoted[2] == str(self._bot.id) else quoted[2]
        return Quote(text=_MENTION.sub(_named, quoted[4]), author=quoted[1], author_id=author_id)


def _named(found: re.Match[str]) -> str:
    name, sign = found[2], found[1].rstrip("_")
    return sign + no_address(name.partition("|")[0] if sign == "@" else name)


def _file(name: str, path: str) -> InboundFile:
    shown = name or unquote(path)
    return inbound_file(shown, f"/{path}", kind="image" if shown.rpartition(".")[2].lower() in _IMAGES else None)
