"""What Telegram offers that people write to: files to fetch, "typing …", a reaction, a preview."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from telegram import ReactionTypeEmoji, ReplyParameters
from telegram.constants import ChatAction
from telegram.error import TelegramError

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Preview, SendLater, SendRefused, SendUnclear
from assistant.contracts.inbox import InboundFile, InboundMessage
from channels.telegram.api import Api
from channels.telegram.errors import send_failure
from channels.telegram.preview import EditedPreview
from channels.telegram.settings import TelegramSettings
from channels.telegram.wire import READ_SECONDS, Answered

FETCH_BYTES: Final = 20_000_000
"""The largest file that Telegram lets bots fetch."""
_TOO_LARGE: Final = "it is larger than the 20 MB that Telegram lets bots fetch"
_INTERVAL: Final = 1.0
_GROUP_INTERVAL: Final = 4.0
"""Seconds between edits in a group: it takes 20 messages a minute in all."""


class TelegramConversation:
    def __init__(self, api: Api, settings: TelegramSettings) -> None:
        self._api = api
        self._settings = settings

    @property
    def typing_seconds(self) -> float:
        return 4.0

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """As `Conversation.fetch`."""
        if file.size is not None and file.size > FETCH_BYTES and self._settings.api_base == "https://api.telegram.org":
            raise SendRefused("too_large", f"{file.name}: {_TOO_LARGE}.")
        if file.size is not None and file.size > most_bytes:
            raise SendRefused("too_large", f"{file.name}: it is larger than {most_bytes:,} bytes.")
        try:
            found = await self._api.get_file(file.ref)
            if not (found.file_path or "").startswith(("https://", "http://")):
                # The SDK would read the file of that name of this machine, which a Bot API server of one's own may mean, and anybody's may say.
                raise SendRefused(
                    "not_fetched", f"{file.name}: the Bot API server has it as a file of its own machine and does not give it out."
                )
            data = await found.download_as_bytearray(read_timeout=READ_SECONDS)
        except Answered as error:
            if error.status in (400, 404):
                words = _TOO_LARGE if "too big" in error.description else f"Telegram does not give it out: {error.description}"
                raise SendRefused("not_fetched", f"{file.name}: {words}.") from error
            raise send_failure(error) from error
        except TelegramError as error:  # asking again does no harm
            raise SendLater("network", f"{file.name} could not be fetched: the connection to Telegram broke.", counts=False) from error
        if len(data) > most_bytes:
            raise SendRefused("too_large", f"{file.name}: it is larger than {most_bytes:,} bytes.")
        await asyncio.to_thread(into.write_bytes, data)

    async def acknowledge(self, message: InboundMessage) -> None:
        """The reaction `reactEmoji`."""
        if not self._settings.react_emoji or message.message_id is None:
            return
        reaction = [ReactionTypeEmoji(self._settings.react_emoji)]
        try:
            await self._api.set_message_reaction(message.address.chat_id, int(message.message_id), reaction)
        except TelegramError as error:
            raise _harmless(error) from error

    async def typing(self, address: Address) -> None:
        """As `Conversation.typing`; Telegram shows it for five seconds."""
        try:
            await self._api.send_chat_action(address.chat_id, ChatAction.TYPING, message_thread_id=_topic(address))
        except TelegramError as error:
            raise _harmless(error) from error

    def preview(self, address: Address, *, reply_to: str | None, posted: str | None, note: Callable[[str], object]) -> Preview | None:
        """As `Conversation.preview`."""
        if self._settings.preview == "off":
            return None
        private = not address.chat_id.startswith(("-", "@"))
        where: dict[str, Any] = {"chat_id": address.chat_id}
        if (topic := _topic(address)) is not None:
            where["message_thread_id"] = topic
        if reply_to is not None and reply_to.isdigit():
            where["reply_parameters"] = ReplyParameters(message_id=int(reply_to), allow_sending_without_reply=True)
        interval = _INTERVAL if private else _GROUP_INTERVAL
        known = int(posted) if posted is not None and posted.isdigit() else None
        return EditedPreview(self._api, where, interval=interval, posted=known, note=note, link_previews=self._settings.link_previews)


def _topic(address: Address) -> int | None:
    return int(address.thread_id) if address.thread_id is not None else None


def _harmless(error: TelegramError) -> SendRefused | SendLater:
    """Of what may be done again without harm."""
    failure = send_failure(error)
    if isinstance(failure, SendRefused | SendLater):
        return failure
    return SendLater(failure.trouble.code, failure.trouble.words, counts=not isinstance(failure, SendUnclear))
