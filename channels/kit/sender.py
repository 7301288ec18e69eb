"""Sends the parts of an event, each once, in the richest form that the platform takes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol

from assistant.contracts.channels import SendFailed, Sending, SendLater, SendRefused, SendUnclear, SendUndecided
from assistant.contracts.outbox import Media, MediaFiles, OutboundPart, Receipt
from assistant.contracts.records import record
from channels.kit.forms import Blame, MessageForm, in_some_form, named
from channels.kit.http import PlatformError

log = logging.getLogger(__name__)
_PIECES: Final = 4
"""The most that a file of several, and its words, are sent in: each piece has a key of its own."""
_SECONDS: Final = 55.0
"""For a part with all its retries; the port allows 60."""


@record
class Post:
    """One message to post. `form.part` has text, or files that go together in one message (with their caption), or both."""

    sending: Sending
    """Its address; `form.thread_id` counts for the thread."""
    form: MessageForm
    contents: Mapping[str, bytes]
    """The bytes of the form's files, by digest."""
    key: str
    """The idempotency key of this message, for platforms that take one: at most 25 letters and digits."""

    @property
    def words(self) -> str:
        """The text in the platform's own form (`form.styled`), or plain, with the lines that stand for buttons under it."""
        return self.within(lambda _: True)

    def within(self, fits: Callable[[str], bool], escape: Callable[[str], str] = str) -> str:
        """The same; without the lines where the whole, as plain text, does not fit. `escape`: a line in the platform's own form."""
        part, lines = self.form.part, "\n".join(self.form.lines)
        text = part.text if self.form.styled else part.plain
        if not lines or not fits("\n\n".join(filter(None, [part.plain, lines]))):
            return text
        return "\n\n".join(filter(None, [text, escape(lines) if self.form.styled else lines]))

    def quiet(self, escape: Callable[[str], str]) -> str:
        """The same, for platforms that look for mentions in plain text too: `escape` is for all words that are not in the platform's own form."""
        part, lines = self.form.part, "\n".join(self.form.lines)
        return "\n\n".join(filter(None, [part.text if self.form.styled else escape(part.plain), escape(lines)]))


class Posting(Protocol):
    """What an adapter knows: one call to its platform each. Errors are PlatformError, or SendFailed where the adapter knows what it means."""

    platform: str
    """Its name, for people."""

    async def post(self, post: Post) -> str | None:
        """Post a message; returns the platform's id (None: it gives none)."""
        ...

    async def edit(self, post: Post, message_id: str) -> bool:
        """Make a message show this text. False: that message is gone, or the platform edits none. May be repeated."""
        ...

    async def remove(self, post: Post, message_id: str) -> None:
        """Delete a preview, which can't become a file; where that fails, it stays."""
        ...

    def blamed(self, error: PlatformError) -> Blame | None:
        """See `forms.in_some_form`: what of the form a refusal may be about; None: no other form helps."""
        ...

    def failure(self, error: PlatformError) -> SendFailed:
        """What an error means for the delivery (`refusals.send_failure`, and the platform's own codes)."""
        ...


class PartSender:
    """`Channel.send` of an adapter with a `Posting`. Safe for many chats at once."""

    def __init__(
        self,
        wire: Posting,
        files: MediaFiles,
        *,
        channel: str,
        seconds: float = _SECONDS,
        keyed: bool = False,
        edits_files: bool = False,
        earlier: Callable[[Sending], Awaitable[str | None]] | None = None,
    ) -> None:
        """`keyed`: a second post with the same key gives no second message. `edits_files`: an edit may bring files. `earlier` finds the message of
        an earlier try that may have arrived, where a key is not relied on any more."""
        self._wire = wire
        self._keyed = keyed
        self._edits_files = edits_files
        self._earlier = earlier
        self._files = files
        self._channel = channel
        self._seconds = seconds

    async def send(self, sending: Sending) -> Receipt:
        try:
            async with asyncio.timeout(self._seconds):
                message_id, notice = await self._send(sending)
        except TimeoutError:
            words = f"{self._wire.platform} did not answer within {self._seconds:.0f} s; the message may have arrived."
            raise SendUnclear("no_answer", words) from None
        except PlatformError as error:
            raise self._wire.failure(error) from error
        return Receipt(message_id=message_id, at=datetime.now(UTC), notice=notice)

    async def _send(self, sending: Sending) -> tuple[str | None, str]:
        """(the message's id, what was left out)."""
        part = sending.part
        contents = await self._read(part.media)
        form = MessageForm(part=part, reply_to=sending.reply_to, thread_id=sending.address.thread_id)
        if sending.replaces is not None:
            editable = self._edits_files or not part.media
            if editable and (notice := await self._edited(sending, form, contents, sending.replaces)) is not None:
                return sending.replaces, notice
            if sending.again is not None and not sending.repeat and not self._keyed:
                raise SendUndecided("preview_gone", "The message that showed the answer is gone; an earlier try may have sent a new one.")
            if not editable:
                await self._removed(self._of(sending, form, contents), sending.replaces)
        if sending.again is not None and self._earlier is not None and (found := await self._earlier(sending)) is not None:
            return found, part.notice
        (sent, more), form = await self._in_some_form(form, sending, contents)
        return sent, "; ".join(filter(None, [form.notice, *more]))

    async def _removed(self, post: Post, message_id: str) -> None:
        try:
            await self._wire.remove(post, message_id)
        except (PlatformError, SendFailed) as error:
            log.info("sender.preview_stays channel=%s error=%s", self._channel, type(error).__name__)

    async def _read(self, media: Sequence[Media]) -> dict[str, bytes]:
        if not media:
            return {}
        try:
            return await asyncio.to_thread(lambda: {each.digest: self._files.path(each).read_bytes() for each in media})
        except OSError:
            raise SendRefused("media_missing", "A file of the message is no longer there.") from None

    def _of(self, sending: Sending, form: MessageForm, contents: Mapping[str, bytes], number: int = 0) -> Post:
        return Post(sending=sending, form=form, contents=contents, key=f"{sending.key[:23]}{number:02}" if number else sending.key)

    async def _in_some_form(
        self, form: MessageForm, sending: Sending, contents: Mapping[str, bytes], number: int = 0
    ) -> tuple[tuple[str | None, list[str]], MessageForm]:
        send = partial(self._post, sending, contents, number)
        return await in_some_form(form, send, PlatformError, self._wire.blamed, channel=self._channel)

    async def _post(self, sending: Sending, contents: Mapping[str, bytes], number: int, form: MessageForm) -> tuple[str | None, list[str]]:
        """(the first message's id, what of several files was left out)."""
        part = form.part
        if form.apart and part.media:
            number += 1  # what is sent in pieces never has the key of the whole, which may have arrived
            first = await self._wire.post(self._of(sending, replace(form, part=replace(part, media=())), contents, number))
            sending = replace(sending, first=sending.first or first)
            files = replace(form, part=OutboundPart(text="", plain="", media=part.media), apart=False, lines=(), notices=())
            return first, await self._behind(sending, files, contents, number + 1, taken="the words")
        if len(part.media) > 1 and form.single:
            return await self._one_by_one(sending, form, contents, number + 1)
        return await self._wire.post(self._of(sending, form, contents, number)), []

    async def _behind(
        self, sending: Sending, form: MessageForm, contents: Mapping[str, bytes], number: int, *, taken: str = "a part of the message"
    ) -> list[str]:
        """Files behind something that was sent, which no refusal may bring again; returns what was left out."""
        try:
            (_, left), sent = await self._in_some_form(form, sending, contents, number)
        except PlatformError as error:
            if self._wire.blamed(error) is None:
                words = f"{self._wire.platform} took {taken}, and then: {self._wire.failure(error)}"
                raise SendUnclear("message_cut", words) from error
            return [f"{named(form.part.media)} left out ({self._wire.platform}: {error})"]
        return [*sent.notices, *left]

    async def _one_by_one(
        self, sending: Sending, form: MessageForm, contents: Mapping[str, bytes], number: int
    ) -> tuple[str | None, list[str]]:
        """Several files as messages of their own, the words and buttons with the first. A file that no form brings is left out, unless nothing was
        sent."""
        part, left = form.part, list[str]()
        for place, media in enumerate(part.media):
            one = replace(form, part=replace(part, media=(media,), notice=""), single=False, notices=())
            try:
                (first, _), taken = await self._in_some_form(one, sending, contents, number + _PIECES * place)
            except PlatformError as error:
                if self._wire.blamed(error) is None or media is part.media[-1]:
                    raise
                left.append(f"{media.name} left out ({self._wire.platform}: {error})")
                continue
            left += taken.notices
            sending = replace(sending, first=sending.first or first)
            bare = replace(form, single=False, lines=(), notices=(), reply_to=None)
            for later, other in enumerate(part.media[place + 1 :], 1):
                behind = replace(bare, part=OutboundPart(text="", plain="", media=(other,)))
                left += await self._behind(sending, behind, contents, number + _PIECES * (place + later))
            return first, left
        raise AssertionError("an album has files")

    async def _edited(self, sending: Sending, form: MessageForm, contents: Mapping[str, bytes], message_id: str) -> str | None:
        """Edit a message to show the part; returns what was left out. None: that message is gone. An edit may be repeated, so a lost answer is
        SendLater."""

        async def edit(form: MessageForm) -> bool:
            return await self._wire.edit(self._of(sending, form, contents), message_id)

        try:
            there, form = await in_some_form(
                replace(form, reply_to=None, single=True), edit, PlatformError, self._wire.blamed, channel=self._channel
            )
        except PlatformError as error:
            failure = self._wire.failure(error)
            raise SendLater(failure.trouble.code, failure.trouble.words) if isinstance(failure, SendUnclear) else failure from error
        return form.notice if there else None
