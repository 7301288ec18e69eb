"""From a chat's messages to a turn's request, from the turn's end to the reply; and the codes that strangers get."""

import logging
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from assistant.contracts.channels import Conversation
from assistant.contracts.inbox import InboundFile, InboundMessage, Pairing, Quote, Role, SessionRef, Taken
from assistant.contracts.outbox import Media, Origin, OriginKind, OutboundEvent
from assistant.contracts.records import record
from assistant.contracts.sessions import SessionCut
from assistant.contracts.turns import TurnFailed, TurnFinished, Upload, UserText
from assistant.contracts.util import Clock, derived_id, display_name, new_id, no_address, replace_surrogates, utc_now, visible_name
from assistant.inbound import phrases as words
from assistant.inbound.files import Fetcher
from assistant.inbound.preview import TypingAndPreview
from assistant.inbound.spoken import SpokenReplies, heard_words
from assistant.store.channels import PairingStore
from assistant.store.links import CODE_ALPHABET, CODE_LENGTH
from assistant.store.outbox import OutboxStore

log = logging.getLogger(__name__)


def identity_of(message: InboundMessage) -> str:
    """The sender's, as people have it."""
    return f"{message.address.channel}:{message.sender.id}"


def place_for(message: InboundMessage, role: Role, person: str) -> SessionRef:
    """A private chat belongs to its sender, `person`, a group to itself; each thread of it is a conversation of its own (dmScope: "sender")."""
    address = message.address
    owner = person if message.private else f"{address.channel}:{address.chat_id}"
    return SessionRef(owner=owner, session=str(address), role=role)


def readable(message: InboundMessage) -> InboundMessage:
    """The message without what can't be stored or shown: lone surrogates in words, invisible characters in names. Ids stay as they are."""
    quote, command = message.quote, message.command
    return replace(
        message,
        text=replace_surrogates(message.text),
        sender=replace(message.sender, name=visible_name(message.sender.name)),
        quote=quote
        and replace(
            quote,
            text=replace_surrogates(quote.text),
            author=visible_name(quote.author),
            files=tuple(replace(file, name=display_name(file.name, file.kind)) for file in quote.files),
        ),
        command=command and replace(command, arguments=replace_surrogates(command.arguments)),
        files=tuple(replace(file, name=display_name(file.name, file.kind)) for file in message.files),
    )


_MOST_QUOTED: Final = 4_000
"""Characters of a quote that are passed on."""


async def content_of(
    messages: Sequence[InboundMessage], fetcher: Fetcher, conversation: Conversation | None
) -> tuple[UserText | Upload, ...]:
    """All messages that a turn answers, in order, each with what it quotes before it and its files behind it. The uploads are the caller's."""
    wanted = [file for message in messages for file in (*_quoted_files(message), *message.files)]
    fetched = iter(await fetcher.fetch(wanted, conversation))
    content: list[UserText | Upload] = []

    def take(files: Sequence[InboundFile], said_in: InboundMessage | None) -> list[UserText | Upload]:
        of_files = zip(files, islice(fetched, len(files)), strict=True)
        return [_said(file, got, said_in) if isinstance(got, Upload) else UserText(text=got, quoted=True) for file, got in of_files]

    for message in messages:
        quote, own = words_of(message)
        content += [*quote, *take(_quoted_files(message), None), *own, *take(message.files, message)]
    return tuple(content) or (UserText(text="The message holds nothing that can be read here.", quoted=True),)


def _said(file: InboundFile, upload: Upload, message: InboundMessage | None) -> Upload:
    """A recording that the sender made for this message is what they say; one that they send on, or that they answer, is a file."""
    if message is None or file.kind != "voice" or not message.trusted or (message.quote and message.quote.kind == "forward"):
        return upload
    return replace(upload, sound="words", author="" if message.private else identity_of(message))


def _quoted_files(message: InboundMessage) -> tuple[InboundFile, ...]:
    return message.quote.files if message.quote else ()


def without_quoted_files(message: InboundMessage, quote: Quote) -> InboundMessage:
    """For a quoted message whose author may not write: its files are named, and not fetched."""
    named = ", ".join(f"{file.kind} {file.name}" for file in quote.files)
    text = "\n".join(filter(None, [quote.text, f"[not looked at, because its sender may not write to the assistant: {named}]"]))
    return replace(message, quote=replace(quote, text=text, files=()))


def words_of(message: InboundMessage) -> tuple[list[UserText], list[UserText]]:
    """A quote as quoted words, and the sender's own, in a group behind their name."""
    quote: list[UserText] = []
    passed_on = message.quote and message.quote.kind == "forward" and message.files
    if message.quote and (message.quote.text.strip() or message.quote.files or passed_on):
        own = message.quote.kind == "reply" and not message.quote.author_id  # what the model wrote is no source of addresses
        quote.append(UserText(text=_quoted(message.quote), quoted=True, provenance="stranger" if own else None))
    name = "" if message.private else f"{no_address(message.sender.name) or 'Unknown'}:"
    author = "" if message.private else identity_of(message)
    if message.text.strip():
        said = f"{name} {message.text}" if name else message.text
        return quote, [UserText(text=said, quoted=not message.trusted, chosen=message.chosen, author=author)]
    return quote, [UserText(text=name, author=author)] if name else []


def _quoted(quote: Quote) -> str:
    text = quote.text if len(quote.text) <= _MOST_QUOTED else f"{quote.text[:_MOST_QUOTED]}…"
    text = text or "(no words, only what follows)"
    if quote.kind == "forward":
        return f"Passed on by the user{f', from {quote.author}' if quote.author else ''}:\n{text}"
    return f"What the user's next words refer to{f', by {quote.author}' if quote.author else ''}:\n{text}"


@record
class Writer:
    """Makes events that answer messages."""

    expire_after: timedelta
    """How long a reply is tried."""
    quoting: frozenset[str] = frozenset()
    """Channels on which answers refer to their message in private chats, too; in groups they always do."""
    spoken: SpokenReplies = field(default_factory=SpokenReplies)
    clock: Clock = utc_now

    def reply_to(self, message: InboundMessage) -> str | None:
        """What an answer to it refers to."""
        return message.message_id if not message.private or message.address.channel in self.quoting else None

    def event(self, id: str, kind: OriginKind, message: InboundMessage, place: SessionRef, text: str) -> OutboundEvent:
        """An answer to a message; `text` is not empty."""
        return OutboundEvent(
            id=id,
            address=message.address,
            text=text,
            reply_to=self.reply_to(message),
            expires_at=self.clock() + self.expire_after,
            origin=Origin(kind=kind, owner=place.owner, session=place.session),
        )

    def of_turn(
        self, kind: OriginKind, taken: Taken, text: str, *, replaces: str | None = None, media: tuple[Media, ...] = ()
    ) -> OutboundEvent:
        """The event at the end of a turn: the same id each time."""
        event = self.event(derived_id("evt", taken.turn_id, "end"), kind, taken.messages[-1], taken.place, text)
        return replace(event, replaces=replaces, media=media, origin=replace(event.origin, turn_id=taken.turn_id))

    def of_cut(self, message: InboundMessage, place: SessionRef, _: SessionCut) -> OutboundEvent:
        """For the chat whose older part was summed up; enqueued with the cut, so that each is told once."""
        return self.event(new_id("evt"), "notice", message, place, words.SUMMED_UP)

    def set_aside(self, taken: Taken) -> OutboundEvent:
        """For the sender of a message that broke the server twice."""
        return self.of_turn("notice", taken, words.SET_ASIDE)


@dataclass(frozen=True, slots=True)
class ChatReply:
    """The `Reply` of a turn of the inbox."""

    taken: Taken
    writer: Writer
    shown: TypingAndPreview

    async def outbound(self, end: TurnFinished | TurnFailed) -> Sequence[OutboundEvent]:
        """The answer and what was done, in place of its preview; or why there is none. Nothing for an answer without words, nor for a turn that was
        stopped before it did anything: /stop has been answered."""
        if isinstance(end, TurnFinished):
            spoken = self.writer.spoken
            media, without = await spoken.voiced(end, self.taken, identity_of(self.taken.messages[-1]))
            posted = await self.shown.finish()
            heard, said = heard_words(end.heard, quote=spoken.quote), words.answer(end.text, end.finish_reason, end.effects)
            text = "\n\n".join(filter(None, [heard, said, without]))
            return [self.writer.of_turn("reply", self.taken, text, replaces=posted, media=media)] if text else []
        posted = await self.shown.finish()
        told = words.failure(end)
        return [self.writer.of_turn("notice", self.taken, told)] if told else []

    def of_cut(self, cut: SessionCut) -> OutboundEvent:
        return self.writer.of_cut(self.taken.messages[-1], self.taken.place, cut)


VALID_FOR: Final = timedelta(hours=1)
MOST_OPEN: Final = 3
"""On a channel at once: strangers can't fill the owner's list."""
TOLD_AGAIN_AFTER: Final = timedelta(minutes=10)
_REMEMBERED: Final = 1_000


class PairingCodes:
    """Gives a stranger a code; nothing else of what they write is kept."""

    def __init__(self, pairings: PairingStore, outbox: OutboxStore, writer: Writer) -> None:
        self._pairings = pairings
        self._outbox = outbox
        self._writer = writer
        self._told: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    async def meet(self, message: InboundMessage) -> None:
        """Tell the sender a code, at most once in ten minutes, where there is room for one. Raises StoreUnavailable: not told."""
        channel, sender = message.address.channel, message.sender
        if not (message.private and message.trusted and sender.id):
            log.info("inbound.stranger channel=%s sender=%s chat=%s told=%s", channel, sender.id, message.address.chat_id, "no")
            return
        now = self._writer.clock()
        last = self._told.get((channel, sender.id))
        if last is not None and now - last < TOLD_AGAIN_AFTER:
            return
        code = "".join([secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH)])
        asked = Pairing(channel=channel, sender=sender, chat_id=message.address.chat_id, code=code, created=now, expires_at=now + VALID_FOR)
        pairing = await self._pairings.request(asked, most_open=MOST_OPEN)
        if pairing is not None and pairing.code is not None:
            # One event for each ten minutes of a code: what a restart, or a message that comes twice, makes again is known.
            window = (now - pairing.created) // TOLD_AGAIN_AFTER
            id = derived_id("evt", "pairing", channel, sender.id, pairing.code, str(window))
            event = self._writer.event(
                id, "pairing", message, place_for(message, "user", identity_of(message)), words.pairing(pairing.code)
            )
            await self._outbox.enqueue([event])
        self._told[channel, sender.id] = now
        self._told.move_to_end((channel, sender.id))
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        told = "code" if pairing else "no"
        log.info("inbound.stranger channel=%s sender=%s chat=%s told=%s", channel, sender.id, message.address.chat_id, told)
