"""What a Telegram chat offers: typing, preview of the answer, commands."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from telegram import LinkPreviewOptions, ReactionTypeEmoji, ReplyParameters
from telegram.constants import ChatAction
from telegram.error import TelegramError

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Preview, SendLater, SendRefused, SendUnclear
from assistant.contracts.inbox import Command, InboundFile, InboundMessage
from assistant.contracts.util import replace_surrogates
from channels.telegram.api import READ_SECONDS, Answered, Api
from channels.telegram.errors import is_gone, is_unchanged, send_failure
from channels.telegram.settings import TelegramSettings

log = logging.getLogger(__name__)
_UNITS: Final = 4000
_SECONDS: Final = 2.0
"""For one call to be answered: what is shown late is not worth the wait, and the answer waits for `close`."""


class EditedPreview:
    """One task posts and edits, one call at a time; while it waits, only the latest text is kept."""

    def __init__(
        self, api: Api, where: dict[str, Any], *, interval: float, posted: int | None, note: Callable[[str], object], link_previews: bool
    ) -> None:
        """`where`: the parameters that say where a new one goes. `posted`: the message that an earlier try of the turn had posted."""
        self._api = api
        self._where = where
        self._interval = interval
        self._message_id = posted
        self._note = note
        self._link_preview = LinkPreviewOptions(is_disabled=not link_previews)
        self._text = ""
        self._shown = ""
        self._unclear = False
        """Whether the last call ended without an answer: it may still be carried out."""
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._show(), name="telegram preview")

    def update(self, text: str) -> None:
        self._text = text
        self._news.set()

    async def close(self) -> str | None:
        """Waits for the call that is on its way, so that nothing is edited afterwards. Where that can't be known, the message is removed, and
        the answer becomes a new one."""
        self._closing.set()
        self._news.set()
        await self._task
        if self._message_id is None:
            return None
        if self._unclear and await self._removed(self._message_id):
            return None
        return str(self._message_id)

    async def _show(self) -> None:
        while not self._closing.is_set() and not (self._unclear and self._message_id is None):
            await self._news.wait()
            self._news.clear()
            text = _cut(self._text)
            if self._closing.is_set() or not text.strip() or text == self._shown:
                continue
            pause = await self._put(text)
            if text != self._shown:
                self._news.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._interval, pause)):
                    await self._closing.wait()

    async def _put(self, text: str) -> float:
        """Post or edit. Returns the seconds that Telegram asks to wait."""
        try:
            if self._message_id is None:
                sent = await self._api.send_message(
                    text=text, link_preview_options=self._link_preview, read_timeout=_SECONDS, **self._where
                )
                self._message_id = sent.message_id
                self._note(str(sent.message_id))
            else:
                await self._api.edit_message_text(
                    text,
                    chat_id=self._where["chat_id"],
                    message_id=self._message_id,
                    link_preview_options=self._link_preview,
                    read_timeout=_SECONDS,
                )
        except Answered as error:
            self._unclear = False
            if is_gone(error):  # somebody deleted it: they want none
                self._message_id = None
                self._closing.set()
            elif not is_unchanged(error):
                log.info("telegram.preview_refused status=%d", error.status)
                return error.retry_after or 5.0
        except TelegramError as error:
            self._unclear = True
            log.info("telegram.preview_unclear reason=%s", type(error).__name__)
            return 5.0
        else:
            self._unclear = False
            self._shown = text
        return 0.0

    async def _removed(self, message_id: int) -> bool:
        try:
            await self._api.delete_message(self._where["chat_id"], message_id, read_timeout=_SECONDS)
        except TelegramError as error:
            log.info("telegram.preview_stays message=%d reason=%s", message_id, type(error).__name__)
            return False
        return True


def _cut(text: str) -> str:
    """Within what a message holds, counted in UTF-16 units, without half a character at its end."""
    text = replace_surrogates(text).replace("\x00", "")
    units = text.encode("utf-16-le")
    if len(units) > 2 * _UNITS:
        text = units[: 2 * _UNITS].decode("utf-16-le", "ignore") + " …"
    return text


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


_FORM = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]{1,64}))?(?:\s+(.*))?", re.DOTALL)


def command_of(text: str) -> tuple[Command, str | None] | None:
    """The command that a message is, and the bot that it is addressed to, if any. None: it is none ("/etc/hosts")."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    return Command(name=found[1].lower(), arguments=(found[3] or "").strip()), found[2]
