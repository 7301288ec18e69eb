"""Mail's calls: hand one over, look whether one was sent, fetch a file."""

import asyncio
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from assistant.contracts.channels import ChannelContext, SendFailed, Sending, SendLater, SendRefused
from assistant.contracts.inbox import InboundFile
from channels.email.bounces import code_of, own_id
from channels.email.imap import mailbox
from channels.email.reading import file_in, parsed
from channels.email.settings import EmailSettings
from channels.email.smtp import SmtpSender
from channels.email.tokens import Credentials
from channels.email.writing import Draft, ThreadNote, composed, ids_of_thread
from channels.kit.conversation import PlainWire
from channels.kit.files import too_large
from channels.kit.forms import Blame
from channels.kit.http import Answered, PlatformError
from channels.kit.planning import MessageRules
from channels.kit.refusals import send_failure
from channels.kit.sender import Post
from channels.text.html import html_parts

PLATFORM: Final = "The mail server"
_MOST_TEXT: Final = 200_000
_KEPT_SECONDS: Final = 15.0
_SHORT: Final = 10_000
"""Characters of a text that is written within a millisecond or two."""
_WAIT: Final = re.compile(r"\b(\d{1,5})\s*(s|secs?|seconds?|m|mins?|minutes?)\b", re.IGNORECASE)
_CLOCK: Final = re.compile(r"\b(\d\d):(\d\d):(\d\d)\b")
_TOO_FAST: Final = re.compile(r"grey-?list|rate|too (many|fast)|throttl|limit|try again in", re.IGNORECASE)
_FILE_WORDS: Final = re.compile(r"attach|content|virus|malware|too (large|big)|size|exceed", re.IGNORECASE)


def rules_of(settings: EmailSettings) -> MessageRules:
    return MessageRules(
        platform="mail",
        texts=html_parts,
        most_text=_MOST_TEXT,
        most_caption=_MOST_TEXT,
        most_files=50,
        most_file_bytes=settings.max_attachment_bytes,
        most_bytes=settings.max_attachment_bytes,
        empty_files=True,
    )


def thread_key(chat_id: str, thread_id: str | None) -> str:
    """The key of a thread's note."""
    return f"thread:{sha256(f'{chat_id} {thread_id or 0}'.encode()).hexdigest()[:32]}"


class EmailWire(PlainWire):
    platform = PLATFORM

    def __init__(self, settings: EmailSettings, context: ChannelContext) -> None:
        self._settings = settings
        self._notes = context.notes
        password = settings.imap_password.get_secret_value() if settings.imap_password else ""
        sending = settings.smtp_password.get_secret_value() if settings.smtp_password else password
        self._fetching = asyncio.Lock()
        self._kept: tuple[tuple[str, int], bytes, asyncio.TimerHandle] | None = None
        self.reading = Credentials(settings.user, password, settings.token_command)
        self.smtp = SmtpSender(settings, Credentials(settings.smtp_username or settings.user, sending, settings.token_command))

    async def post(self, post: Post) -> str | None:
        sending, form = post.sending, post.form
        message_id = own_id(post.key, sending.address.thread_id, self._settings.domain)
        key = thread_key(sending.address.chat_id, sending.address.thread_id)
        alone = sending.address.thread_id is None and form.reply_to is None
        thread = None if alone else ThreadNote.read(await self._notes.get(key))  # alone: it answers nothing, and has a subject of its own
        draft = Draft(
            to=sending.address.chat_id,
            message_id=message_id,
            part=form.part,
            styled=form.styled,
            reply_to=form.reply_to,
            thread=thread,
            contents=post.contents,
        )
        large = form.part.media or len(form.part.text) > _SHORT
        mail = await asyncio.to_thread(composed, draft, self._settings) if large else composed(draft, self._settings)
        await self.smtp.deliver(sending.address.chat_id, mail)
        if thread is not None:
            await self._notes.keep(key, replace(thread, ids=ids_of_thread([*thread.ids, message_id])).written())
        return message_id

    def blamed(self, error: PlatformError) -> Blame | None:
        """A refusal of the mail itself, not of its receiver."""
        if not isinstance(error, Answered) or error.status < 500 or error.at("stage") == "rcpt":
            return None
        about_files = error.status == 552 or error.code.startswith("5.3") or _FILE_WORDS.search(error.words)
        return (("files",), f"{PLATFORM}: {error.words}") if about_files else None

    def failure(self, error: PlatformError) -> SendFailed:
        if not isinstance(error, Answered) or error.status == 401:
            return send_failure(error, PLATFORM, setting="channels.email.smtpPassword (or imapPassword, tokenCommand)")
        words = f"{PLATFORM} answered: {error.status} {error.words}"
        if error.status < 500:
            wait = _wait_in(error.words)
            slow = wait is not None or _TOO_FAST.search(error.words) is not None
            return SendLater(
                "flood_wait" if slow else "not_now", words, retry_after=wait, counts=not slow, whole_channel=error.status == 421
            )
        if error.at("stage") in ("connect", "mail"):
            return SendRefused("sender_refused", words)
        return SendRefused(code_of(error.code) or "refused", words)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """The mail is read anew: it may have been moved or deleted since."""
        validity, uid, place = ([*file.ref.split(":"), "", ""])[:3]
        if not (uid.isdigit() and place.isdigit()):
            raise SendRefused("too_large", "The mail with this file is larger than channels.email.maxMessageBytes.")
        raw = await self._mail(validity, int(uid))
        content = await asyncio.to_thread(lambda: file_in(parsed(raw), int(place))) if raw is not None else None
        if content is None:
            raise SendRefused("gone", "The mail with this file is no longer in its folder.")
        if len(content) > most_bytes:
            raise too_large(most_bytes)
        await asyncio.to_thread(into.write_bytes, content)

    async def earlier(self, sending: Sending) -> str | None:
        """The mail of an earlier try, if the folder of sent mails has it. Raises SendLater: that can't be said now."""
        message_id = own_id(sending.key, sending.address.thread_id, self._settings.domain)
        if not self._settings.imap_host:
            return None
        try:
            async with mailbox(self._settings, self.reading) as box:
                return message_id if await box.holds(message_id, self._settings.sent_mailbox) else None
        except PlatformError as error:
            raise SendLater("network", f"The folder of sent mails can't be read ({error}).", counts=False) from error

    def forget(self) -> None:
        """The mail that is kept."""
        if self._kept is not None:
            self._kept[2].cancel()
        self._kept = None

    async def _mail(self, validity: str, uid: int) -> bytes | None:
        """None: it is gone. Kept for a while: its other files are fetched next."""
        async with self._fetching:
            if self._kept is not None and self._kept[0] == (validity, uid):
                return self._kept[1]
            async with mailbox(self._settings, self.reading) as box:
                folder = await box.select(self._settings.imap_mailbox, readonly=True)
                raw = await box.read(uid) if folder.validity == validity else None
            if raw is not None:
                self.forget()
                self._kept = (validity, uid), raw, asyncio.get_running_loop().call_later(_KEPT_SECONDS, self.forget)
            return raw


def _wait_in(words: str) -> float | None:
    """Seconds that a refusal names: "try again in 300 seconds", "come back in 00:05:00"."""
    if found := _CLOCK.search(words):
        return float(int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]))
    found = _WAIT.search(words)
    return float(found[1]) * (60 if found[2].lower().startswith("m") else 1) if found else None
