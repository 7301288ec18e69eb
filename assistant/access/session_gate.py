"""The gate of one agent: what `gate.decide` needs to know is read from the session that the call is made in."""

import re
from collections.abc import Sequence
from typing import Final

from assistant.access.gate import Recipient, Situation, decide
from assistant.access.recipients import Recipients, is_named
from assistant.access.settings import Permission
from assistant.contracts.addresses import Address, parse_address
from assistant.contracts.channels import ChannelDirectory
from assistant.contracts.errors import InvalidAddress
from assistant.contracts.gate import PlannedCall, Ruling
from assistant.contracts.messages import Document, Message, Text, ToolMessage, UserMessage
from assistant.contracts.own_words import asker, own_words, sources
from assistant.contracts.people import ME, PeopleDirectory, names_person
from assistant.contracts.provenance import Provenance
from assistant.contracts.sessions import SessionStore
from assistant.contracts.tools import ToolContext
from assistant.contracts.workflows import JOB_SESSION

_OF_OTHERS: Final[frozenset[Provenance]] = frozenset({"web", "mail"})
_TO_PEOPLE: Final = frozenset({"message", "schedule"})
"""The tools whose `to` may be a person."""
_MESSAGES = 4_000
"""How far back what the model sees of a session is looked through for the person's words, and for what was read. Words from before a new
conversation, or from before a summary, are not a wish any more."""


class SessionGate:
    """Implements Gate. A conversation that holds the person's words alone costs two small reads, any other that of its messages."""

    def __init__(
        self,
        permissions: Sequence[Permission],
        *,
        recipients: Recipients,
        channels: ChannelDirectory,
        sessions: SessionStore,
        people: PeopleDirectory,
    ) -> None:
        self._permissions = permissions
        self._recipients = recipients
        self._channels = channels
        self._sessions = sessions
        self._people = people

    async def rule(self, call: PlannedCall, ctx: ToolContext) -> Ruling:
        return decide(call, await self._situation(call, ctx), self._permissions)

    async def _situation(self, call: PlannedCall, ctx: ToolContext) -> Situation:
        person = await self._people.person(ctx.owner)
        role = person.role if person else None
        session = await self._sessions.get(ctx.owner, ctx.session)
        job = ctx.session.startswith(JOB_SESSION)
        address, named = self._address(call), self._named(call)
        if session is None or not session.read or (job and ctx.cause.kind == "message"):  # there, a workflow's node acts, and no model
            answered = named == ME or (address is not None and ctx.address is not None and address.lane == ctx.address.lane)
            return Situation(role=role, recipient="answered" if answered else "none", unattended=job)
        start = max(session.context_from - 1, session.messages - _MESSAGES)
        stored = await self._sessions.messages(ctx.owner, ctx.session, after=start, limit=_MESSAGES)
        conversation = [each.message for each in stored]
        by = asker(conversation)
        said = [] if job else [own_words(message, by=by) for message in conversation if isinstance(message, UserMessage)]
        recipient, refusal = await (self._person(named, ctx, said) if named else self._recipient(address, ctx, said))
        brought = sources(conversation, by=by)
        return Situation(
            role=role,
            read={each: brought.get(each, "") for each in sorted(session.read)},
            said=said,
            material=[text for message in conversation for text in _material(message)],
            recipient=recipient,
            refusal=refusal,
            unattended=job,
        )

    def _address(self, call: PlannedCall) -> Address | None:
        """The chat that a call writes to."""
        to = call.arguments.get("to")
        text = to if "schedules" in call.actions else call.subject if "sends" in call.actions else None
        if not isinstance(text, str):
            return None
        try:
            address = parse_address(text)  # as the tool reads it, whatever its case
            return self._channels.check(address) if address.channel in self._channels.names else None
        except InvalidAddress:
            return None

    def _named(self, call: PlannedCall) -> str:
        """The person that a call writes to; empty: none."""
        to = call.arguments.get("to")
        if call.tool not in _TO_PEOPLE or not isinstance(to, str) or not names_person(to, self._channels.names):
            return ""
        return to.strip().casefold()

    async def _person(self, named: str, ctx: ToolContext, said: Sequence[str]) -> tuple[Recipient, str]:
        if named == ME:
            return "answered", ""
        try:
            to = await self._recipients.person(named, ctx)
        except InvalidAddress as error:
            return "refused", f"Not sent: {error.message}"
        if refusal := await self._recipients.refusal(to.address, ctx, to=to):
            return "refused", refusal
        token = re.compile(rf"(?<![\w-]){re.escape(named)}(?![\w-])")
        return ("named" if any(token.search(words.casefold()) for words in said) else "known"), ""

    async def _recipient(self, address: Address | None, ctx: ToolContext, said: Sequence[str]) -> tuple[Recipient, str]:
        if address is None:
            return "none", ""
        if ctx.address is not None and ctx.address.lane == address.lane:
            return "answered", ""
        if refusal := await self._recipients.refusal(address, ctx):
            return "refused", refusal
        return ("named" if any(is_named(address, words) for words in said) else "known"), ""


def _material(message: Message) -> list[str]:
    """What others wrote in a message, and only they can have: a link in it carries nothing of the person's. Results of commands, of files in the
    workspace and of MCP servers may repeat what the model gave them, and so does the gate's own refusal."""
    if isinstance(message, ToolMessage):
        return [message.text] if message.ok and message.provenance in _OF_OTHERS else []
    if not isinstance(message, UserMessage):
        return []
    return [
        part.text
        for part in message.parts
        if isinstance(part, Document) or (isinstance(part, Text) and part.quoted and _is_passed_on(part))
    ]


def _is_passed_on(part: Text) -> bool:
    """Whether a quote is of a person or a page; what a helper found, what is remembered, and the assistant's own messages the model wrote."""
    return not part.recalled and (part.provenance is None or part.provenance in _OF_OTHERS)
