"""Mail as a channel: reads a folder and answers what people write to it."""

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelLink, Limit
from assistant.contracts.inbox import InboundMessage, Sender
from channels.email.bounces import Bounce, bounce_of
from channels.email.headers import From, machine_made, sender_of
from channels.email.imap import Folder, ImapMailbox, Item, mailbox
from channels.email.reading import Letter, is_sane, parsed, read_letter
from channels.email.settings import EmailSettings
from channels.email.wire import PLATFORM, EmailWire, rules_of, thread_key
from channels.email.writing import ThreadNote, ids_of_thread
from channels.kit.commands import command_of
from channels.kit.conversation import ChatConversation
from channels.kit.http import Answered
from channels.kit.intake import Intake
from channels.kit.planning import plan_message
from channels.kit.refusals import connecting
from channels.kit.sender import PartSender

log = logging.getLogger(__name__)
_CURSOR: Final = "cursor"
_LOGIN: Final = "channels.email.imapPassword (or smtpPassword, tokenCommand)"
_BEGINNING: Final = 262_144
"""Bytes of a mail that is too large to be read whole."""


class EmailChannel:
    """See `contracts.channels.Channel`."""

    name = "email"
    keyed = False
    """A Message-ID is the same for every try, but receivers show a mail that came twice twice."""

    def __init__(self, settings: EmailSettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        """`pause`: seconds before the first retry where the store can't be written."""
        self._settings = settings
        self._notes = context.notes
        self._wire = EmailWire(settings, context)
        self.send = PartSender(self._wire, context.files, channel=self.name, earlier=self._wire.earlier).send
        self.plan = partial(plan_message, rules=rules_of(settings))
        self.conversation = ChatConversation(wire=self._wire) if settings.imap_host else None
        self._intake = Intake(self.name, pause=pause)

    def limits(self, address: Address) -> Sequence[Limit]:
        """What two machines that answer each other could write is bounded."""
        return (Limit(key=address.lane, amount=self._settings.max_per_hour, seconds=3600),)

    async def identity(self) -> str:
        with connecting(PLATFORM, setting=_LOGIN):
            await self._wire.smtp.check()
            if self._settings.imap_host:
                async with mailbox(self._settings, self._wire.reading) as box:
                    await box.select(self._settings.imap_mailbox, readonly=True)
        return f"{self._settings.from_address} ({self._settings.imap_host or 'out only'})"

    async def run(self, link: ChannelLink) -> None:
        if not self._settings.imap_host:
            link.connected(await self.identity())
            await asyncio.Event().wait()
        with connecting(PLATFORM, setting=_LOGIN):
            async with mailbox(self._settings, self._wire.reading) as box:
                folder = await box.select(self._settings.imap_mailbox)
                next_uid = await self._first(box, folder)
                link.connected(self._settings.from_address)
                while True:
                    fresh = await box.since(next_uid)
                    for item in fresh:
                        taken = await self._take(link, box, folder, item)
                        next_uid = item.uid + 1
                        await self._keep_cursor(folder, next_uid)
                        if taken and self._settings.mark_seen:
                            await self._mark_seen(box, item.uid)
                    if not fresh:
                        await box.wait(self._settings.poll_interval_seconds)

    async def close(self) -> None:
        self._wire.forget()
        await self._wire.smtp.close()

    async def _first(self, box: ImapMailbox, folder: Folder) -> int:
        """The uid to begin with: at the first start that of the next mail; after a while away that of the first that was not read; where the
        folder was made anew, that of the first mail since the day before (those that were accepted are known by their ids)."""
        kept = await self._notes.get(_CURSOR)
        if kept is None:
            await self._keep_cursor(folder, folder.next_uid)
            return folder.next_uid
        cursor = json.loads(kept)
        if cursor["validity"] == folder.validity:
            return int(cursor["next"])
        log.warning("email.folder_made_anew")
        since = datetime.fromisoformat(cursor["at"]) - timedelta(days=1)
        return await box.since_date(since) or folder.next_uid

    async def _keep_cursor(self, folder: Folder, next_uid: int) -> None:
        cursor = {"validity": folder.validity, "next": next_uid, "at": datetime.now(UTC).isoformat()}
        await self._notes.keep(_CURSOR, json.dumps(cursor))

    async def _mark_seen(self, box: ImapMailbox, uid: int) -> None:
        """A folder that may not be written is still read."""
        try:
            await box.mark_seen(uid)
        except Answered as error:
            log.warning("email.not_marked uid=%d reason=%s", uid, error)

    async def _take(self, link: ChannelLink, box: ImapMailbox, folder: Folder, item: Item) -> bool:
        """Whether it was accepted."""
        if item.at < datetime.now(UTC) - timedelta(days=self._settings.max_age_days):
            log.info("email.too_old uid=%d", item.uid)
            return False
        cut = item.size > self._settings.max_message_bytes
        raw = await box.read(item.uid, _BEGINNING if cut else 0)
        if raw is None:
            return False
        if not is_sane(raw):
            raw, cut = raw[:_BEGINNING], True
        ref = f"{folder.validity}:{item.uid}"
        try:
            read = await asyncio.to_thread(self._read, raw, ref, cut=cut)
        except Exception as error:  # noqa: BLE001 - whatever a sender writes, the mails behind it are read
            log.error("email.unreadable uid=%d error=%s", item.uid, type(error).__name__)  # noqa: TRY400 - no words of the mail
            return False
        if isinstance(read, str):
            log.info("email.not_read uid=%d why=%s", item.uid, read)
        elif isinstance(read, Bounce):
            await link.undelivered(read.message_id, read.code, read.words)
        else:
            sender, letter = read
            message = self._message(sender, letter, item, sha256(raw).hexdigest())
            note, before = await self._note_thread(message.address, letter)
            if await self._intake.keep(link, message):
                return True
            await (
                self._notes.keep(note, before) if before is not None else self._notes.drop(note)
            )  # of strangers' threads nothing is kept
        return False

    def _read(self, raw: bytes, ref: str, *, cut: bool) -> tuple[From, Letter] | Bounce | str:
        """A mail of a person, a report about a mail of ours, or why it is not read."""
        mail = parsed(raw)
        if (bounce := bounce_of(mail)) is not None:
            return bounce
        sender = sender_of(mail, self._settings)
        if sender is None:
            return "no sender"
        if why := machine_made(mail, sender.address, self._settings.from_address):
            return why
        letter = read_letter(mail, ref, cut=cut)
        return (sender, letter) if letter.text.strip() or letter.files or letter.quote else "empty"

    def _message(self, sender: From, letter: Letter, item: Item, digest: str) -> InboundMessage:
        known = f"{sender.id} {letter.message_id or digest}"
        return InboundMessage(
            external_id=sha256(known.encode()).hexdigest()[:40],
            address=Address(channel=self.name, chat_id=sender.address, thread_id=letter.thread_id),
            sender=Sender(id=sender.id, name=sender.name),
            private=sender.verified,
            text=letter.text,
            quote=letter.quote,
            files=letter.files,
            command=command_of(letter.text),
            message_id=letter.message_id or None,
            trusted=sender.verified,
            at=item.at.astimezone(UTC),
        )

    async def _note_thread(self, address: Address, letter: Letter) -> tuple[str, str | None]:
        """Before the message is accepted, because its answer may come at once. Returns the note's key, and what it was."""
        key = thread_key(address.chat_id, address.thread_id)
        ids = [*letter.references, *filter(None, [letter.message_id])]
        before = await self._notes.get(key)
        await self._notes.keep(key, ThreadNote(subject=letter.subject, ids=ids_of_thread(ids)).written())
        return key, before
