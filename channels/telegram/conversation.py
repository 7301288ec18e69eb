"""What a Telegram chat offers: files, reactions, typing, preview of the answer, commands."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from telegram import LinkPreviewOptions, ReactionTypeEmoji
from telegram.constants import ChatAction
from telegram.error import TelegramError

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Preview, SendLater, SendRefused, SendUnclear
from assistant.contracts.inbox import Command, InboundFile, InboundMessage
from assistant.contracts.util import replace_surrogates
from channels.kit.preview import EditedPreview
from channels.telegram.api import READ_SECONDS, Answered, Api
from channels.telegram.plan import TEXT_UNITS
from channels.telegram.refusals import refused_as, send_failure
from channels.telegram.sender import where_to
from channels.telegram.settings import TelegramSettings

_SECONDS: Final = 2.0
"""For one call of a preview: the answer waits for `close`."""


def _cut(text: str) -> str:
    """What fits a message, in UTF-16 units, without half a character at its end."""
    text = replace_surrogates(text).replace("\x00", "")
    units = text.encode("utf-16-le")
    if len(units) > 2 * TEXT_UNITS:
        text = units[: 2 * TEXT_UNITS].decode("utf-16-le", "ignore") + " …"
    return text


FETCH_BYTES: Final = 20_000_000
"""The largest file that Telegram lets bots fetch."""
_TOO_LARGE: Final = "it is larger than the 20 MB that Telegram lets bots fetch"
_INTERVAL: Final = 1.0
_GROUP_INTERVAL: Final = 4.0
"""Seconds between edits in a group: it takes 20 messages a minute in all."""


class TelegramConversation:
    typing_seconds = 4.0
    """Telegram shows it for five."""

    def __init__(self, api: Api, settings: TelegramSettings) -> None:
        self._api = api
        self._settings = settings

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        if file.size is not None and file.size > FETCH_BYTES and self._settings.api_base == "https://api.telegram.org":
            raise SendRefused("too_large", f"{file.name}: {_TOO_LARGE}.")
        if file.size is not None and file.size > most_bytes:
            raise SendRefused("too_large", f"{file.name}: it is larger than {most_bytes:,} bytes.")
        try:
            found = await self._api.get_file(file.ref)
            if not (found.file_path or "").startswith(("https://", "http://")):
                # a path: the SDK would read that file of this machine, which a Bot API server could use to steal files
                raise SendRefused(
                    "not_fetched", f"{file.name}: the Bot API server has it as a file of its own machine and does not give it out."
                )
            data = await found.download_as_bytearray(read_timeout=READ_SECONDS)
        except Answered as error:
            if error.status in (400, 404):
                words = _TOO_LARGE if "too big" in error.description else f"Telegram does not give it out: {error.description}"
                raise SendRefused("not_fetched", f"{file.name}: {words}.") from error
            raise send_failure(error) from error
        except TelegramError as error:  # harmless to repeat
            raise SendLater("network", f"{file.name} could not be fetched: the connection to Telegram broke.", counts=False) from error
        if len(data) > most_bytes:
            raise SendRefused("too_large", f"{file.name}: it is larger than {most_bytes:,} bytes.")
        await asyncio.to_thread(into.write_bytes, data)

    async def acknowledge(self, message: InboundMessage) -> None:
        if self._settings.react_emoji and message.message_id is not None:
            reaction = [ReactionTypeEmoji(self._settings.react_emoji)]
            await _harmless(self._api.set_message_reaction(message.address.chat_id, int(message.message_id), reaction))

    async def typing(self, address: Address) -> None:
        topic = int(address.thread_id) if address.thread_id is not None else None
        await _harmless(self._api.send_chat_action(address.chat_id, ChatAction.TYPING, message_thread_id=topic))

    def preview(self, address: Address, *, reply_to: str | None, posted: str | None, note: Callable[[str], object]) -> Preview | None:
        if self._settings.preview == "off":
            return None
        where = where_to(address, reply_to)
        links = LinkPreviewOptions(is_disabled=not self._settings.link_previews)

        async def show(message_id: str | None, text: str) -> str | None:
            try:
                if message_id is None:
                    sent = await self._api.send_message(text=text, link_preview_options=links, read_timeout=_SECONDS, **where)
                    return str(sent.message_id)
                await self._api.edit_message_text(text, address.chat_id, int(message_id), link_preview_options=links, read_timeout=_SECONDS)
            except TelegramError as error:
                if refused_as(error, "gone"):
                    return None
                if not refused_as(error, "not_modified"):
                    raise send_failure(error) from error
            return message_id

        async def remove(message_id: str) -> bool:
            return await self._api.remove_preview(address.chat_id, int(message_id), _SECONDS)

        interval = _GROUP_INTERVAL if address.chat_id.startswith(("-", "@")) else _INTERVAL
        known = posted if posted is not None and posted.isdigit() else None
        return EditedPreview(show, _cut, interval=interval, posted=known, note=note, remove=remove)


async def _harmless(call: Awaitable[object]) -> None:
    """A call that may be repeated, so a lost answer is SendLater."""
    try:
        await call
    except TelegramError as error:
        failure = send_failure(error)
        raise (
            SendLater(failure.trouble.code, failure.trouble.words, counts=False) if isinstance(failure, SendUnclear) else failure
        ) from error


_FORM = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]{1,64}))?(?:\s+(.*))?", re.DOTALL)


def command_of(text: str) -> tuple[Command, str | None] | None:
    """The command that a message is, and the bot that it is addressed to, if any. None: it is none ("/etc/hosts")."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    return Command(name=found[1].lower(), arguments=(found[3] or "").strip()), found[2]
