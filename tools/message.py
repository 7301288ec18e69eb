"""`message`: sends a message to a chat and reports its delivery."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final, Literal, cast

from pydantic import BaseModel, Field

from assistant.contracts.addresses import Address, address_of, parse_address
from assistant.contracts.causes import Payer
from assistant.contracts.effects import Effect
from assistant.contracts.errors import InvalidRequest, StoreUnavailable, ToolFailed
from assistant.contracts.gate import Action
from assistant.contracts.messages import Json
from assistant.contracts.models import ToolSpec
from assistant.contracts.outbox import Delivery, Media, Origin, OutboundEvent
from assistant.contracts.people import names_person
from assistant.contracts.provenance import Provenance
from assistant.contracts.sending import MAX_CHARS, MAX_FILE_BYTES, MAX_FILES, ButtonsAsked, button_rows, check_ahead, check_words, read_time
from assistant.contracts.tools import ToolContext, ToolKind, ToolResult, ToolServices
from assistant.contracts.util import derived_id
from assistant.contracts.voice import VOICE_FILE, VOICE_TYPE, NotSpoken
from tools.workspace import Workspace, shown_name


class MessageParams(BaseModel):
    """The arguments of nanobot's `message`, and `thread_id`, `at`."""

    content: Annotated[str, Field(max_length=MAX_CHARS)] = Field("", description="The message, in Markdown. Empty only with media.")
    to: str | None = Field(
        None,
        max_length=300,
        description="A person, instead of channel and chat_id: me, or their name. It goes to the chat that they prefer.",
    )
    channel: str | None = Field(None, description="Where to send it: telegram, discord … Omit to send to the chat of this conversation.")
    chat_id: Annotated[str, Field(coerce_numbers_to_str=True)] | None = Field(
        None, description="The chat on that channel, by the platform's own id. Omit to send to the chat of this conversation."
    )
    thread_id: Annotated[str, Field(coerce_numbers_to_str=True)] | None = Field(
        None, description="A forum topic or thread within the chat, by its id."
    )
    media: Annotated[list[str], Field(max_length=MAX_FILES)] = Field(
        [], description="Files to send with it, by their paths, as the file tools name them."
    )
    voice: bool = Field(False, description="Send it as a voice message, too; only where the user asks for one.")
    buttons: ButtonsAsked = Field(
        [], description="Rows of buttons under it; a button is its text, or {text, url}. A text comes back as the user's next message."
    )
    at: str | None = Field(
        None, description="When to send it, if not now: ISO 8601 with the offset from UTC, such as 2026-01-31T09:00:00+01:00."
    )


class MessageTool:
    """Stores the message in the outbox under an id made of (turn, place of the call), so that a step repeated after a crash sends it once; waits a
    few seconds for the receipt and reports what is known."""

    name: ClassVar[str] = "message"
    description: ClassVar[str] = (
        "Send a message to a chat, on this channel or another. The answer of this conversation is sent without it: "
        "use it to write to another chat, to send files, or to send later. The result states the outcome: "
        "say that it was sent only if the result does."
    )
    params: ClassVar[type[BaseModel]] = MessageParams
    reads_only: ClassVar[bool] = False
    actions: ClassVar[frozenset[Action]] = frozenset({"sends"})
    brings: ClassVar[Provenance] = "system"
    happens_once: ClassVar[Literal[True]] = True
    reports_effects: ClassVar[Literal[True]] = True
    timeout: ClassVar[float] = 120.0

    def __init__(self, services: ToolServices) -> None:
        self._services = services
        self._workspace = Workspace(services.workspace)
        self._silent: ToolSpec | None = None

    def offered(self, spec: ToolSpec) -> ToolSpec:
        """Without `voice` where nothing speaks."""
        if self._services.voice.ready:
            return spec
        if self._silent is None:
            properties = {name: value for name, value in cast("dict[str, Json]", spec.parameters["properties"]).items() if name != "voice"}
            self._silent = replace(spec, parameters={**spec.parameters, "properties": properties})
        return self._silent

    def subject(self, params: MessageParams, ctx: ToolContext) -> str:
        """The chat: "telegram:42"; or the person, as named. Raises ToolFailed where there is none."""
        try:
            if self._names_person(params):
                return (params.to or "").strip().casefold()
            return self._services.channels.check(self._address(params, ctx)).lane
        except InvalidRequest as error:
            raise ToolFailed(error.message) from None

    async def run(self, params: MessageParams, ctx: ToolContext) -> ToolResult:
        """Raises ToolFailed: nothing was accepted, and why."""
        services, now = self._services, datetime.now(UTC)
        try:
            to = await services.recipients.person(params.to or "", ctx) if self._names_person(params) else None
            address = to.address if to else services.channels.check(self._address(params, ctx))
            check_words(params.content, files=len(params.media))
            at = read_time(params.at) if params.at else None
            if at is not None:
                check_ahead(at, now)
            if refusal := await services.recipients.refusal(address, ctx, to=to):
                raise ToolFailed(refusal)
            voice, unsaid = await self._voice(params, ctx) if params.voice else ((), "")
            event = OutboundEvent(
                id=derived_id("evt", ctx.turn_id, ctx.call_place),
                address=address,
                text=params.content,
                media=(*await self._media(params.media, ctx.owner), *voice),
                buttons=button_rows(params.buttons),
                not_before=at,
                expires_at=(at or now) + services.expire_after,
                origin=Origin(kind="tool", owner=ctx.owner, session=ctx.session, turn_id=ctx.turn_id),
                person=to and to.person,
            )
            delivery = accepted = await services.deliveries.send(event)
            if at is None:
                delivery = await services.deliveries.outcome(event.id, services.receipt_wait)
        except (InvalidRequest, StoreUnavailable) as error:
            raise ToolFailed(error.message) from None
        enabled = services.deliveries.enabled(delivery.event.address.channel)
        words = f"Message to {delivery.event.receiver}: {services.describe(delivery, enabled)}"
        return ToolResult(text=words + unsaid + _earlier(event, accepted.event), effects=_effects(delivery))

    def _names_person(self, params: MessageParams) -> bool:
        """Raises ToolFailed where a chat is named, too."""
        if params.to and (params.channel or params.chat_id or params.thread_id):
            raise ToolFailed("Say whom the message is for once: to, or channel and chat_id.")
        return params.to is not None and names_person(params.to, self._services.channels.names)

    def _address(self, params: MessageParams, ctx: ToolContext) -> Address:
        """Raises InvalidAddress; ToolFailed where the arguments name no recipient."""
        if params.to:
            return parse_address(params.to)
        own = ctx.address
        channel = params.channel.strip().lower() if params.channel else own.channel if own else None
        chat_id = params.chat_id or (own.chat_id if own and channel == own.channel else None)
        if not channel or not chat_id:
            enabled = ", ".join(self._services.channels.enabled)
            known = (
                f"The enabled channels are: {enabled}." if enabled else "No channel is enabled: messages wait in the outbox until one is."
            )
            raise ToolFailed(f"Say whom the message is for: channel and chat_id are both needed here. {known}")
        thread = params.thread_id
        if own and thread is None and not params.chat_id:
            thread = own.thread_id
        return address_of(channel, chat_id, thread)

    async def _voice(self, params: MessageParams, ctx: ToolContext) -> tuple[tuple[Media, ...], str]:
        """(The words as a voice message, what the model is told where it is none)."""
        payer = Payer(owner=ctx.owner, caller=ctx.caller or ctx.owner, session=ctx.session, agent=ctx.agent, cause=ctx.cause)
        try:
            made = await self._services.voice.say(params.content, payer)
        except NotSpoken as error:
            return (), f" It went out in writing alone: {error}."
        as_note = made.media_type == VOICE_TYPE
        return (made,), "" if as_note else f" Its voice is a file ({made.name}), not a voice message: ffmpeg is missing on the server."

    async def _media(self, paths: Sequence[str], owner: str) -> tuple[Media, ...]:
        kept: list[Media] = []
        for path in paths:
            await self._workspace.admit(path, owner, self._services.people)
            held = ExitStack()
            try:
                copy = await asyncio.to_thread(held.enter_context, self._workspace.copy(path, MAX_FILE_BYTES, owner=owner))
                kept.append(await self._services.media.keep(copy, shown_name(path)))
            finally:
                await asyncio.to_thread(held.close)
        return tuple(kept)


def _effects(delivery: Delivery) -> tuple[Effect, ...]:
    """ "sent" is what the platform has confirmed; what failed, or may have arrived or not, is no effect."""
    event = delivery.event
    match delivery.state:
        case "sent":
            return (Effect(kind="sent", text=f"sent to {event.receiver}", ref=event.id),)
        case "queued" | "sending":
            at = f" · {event.not_before:%Y-%m-%d %H:%M UTC%z}" if event.not_before else ""
            return (Effect(kind="queued", text=f"queued for {event.receiver}{at}", ref=event.id),)
        case _:
            return ()


def _earlier(asked: OutboundEvent, accepted: OutboundEvent) -> str:
    """The note for the model where this call ran before with other arguments, in a step that a crash cut off."""
    if (asked.aim, asked.text, _files(asked)) == (accepted.aim, accepted.text, _files(accepted)):
        return ""
    return (
        "\nThis call had run before, until the server stopped: that is the message it had sent then, "
        f"and yours was not sent. It began: {accepted.text[:200]!r}. Call again if yours is still needed."
    )


def _files(event: OutboundEvent) -> list[Media]:
    """Without its voice, which is made anew each time."""
    return [media for media in event.media if not media.name.startswith(f"{VOICE_FILE}.")]


KINDS: Final = (ToolKind(name=MessageTool.name, open=lambda settings, services: MessageTool(services)),)
