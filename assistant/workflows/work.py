"""What a node does, by its kind; and how it is done again after a crash, so that its effect happens once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import orjson

from assistant.access.allowance import Allowance
from assistant.access.recipients import is_named
from assistant.agent.loop import BETWEEN_STEPS, steps_made
from assistant.agent.toolbox import Toolbox
from assistant.contracts.access import Admission
from assistant.contracts.addresses import Address, address_of, parse_address
from assistant.contracts.errors import InvalidAddress, NanobotError, ShuttingDown
from assistant.contracts.ids import derived_id, new_id
from assistant.contracts.messages import AssistantMessage, Json, ToolCall
from assistant.contracts.models import Sampling
from assistant.contracts.outbox import Deliveries
from assistant.contracts.sessions import AttachmentStore, SessionStore
from assistant.contracts.text import whole
from assistant.contracts.tools import ToolContext
from assistant.contracts.turns import Asked, TurnRequest, Upload
from assistant.contracts.workflows import JOB_SESSION
from assistant.turns.estimate import FILE, estimated_tokens
from assistant.turns.running import RunningTurn, Stop
from assistant.workflows.definition import Message, Prompt, Text, Tool
from assistant.workflows.references import Reference, as_text
from assistant.workflows.values import Values

_MESSAGE = "message"
_LOST = frozenset({"failed", "expired", "cancelled", "unknown"})
"""States of a delivery that nothing will come of by itself."""
_LEAVING_SECONDS = 5.0


class NodeFailed(Exception):
    """A node could not do its work; the words say why."""


class Interrupted(Exception):
    """The server ends; the job is left as it is, and gone on with later."""


class Turns(Protocol):
    """Fulfilled by assistant.turns.service.Turns."""

    def start(self, request: TurnRequest) -> RunningTurn: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where in which job a node stands."""

    job: str
    owner: str
    path: str
    again: bool = False
    """It was begun before, and cut off."""

    @property
    def turn_id(self) -> str:
        """The same whenever the node is begun: what happens in it is known by it."""
        return derived_id("turn", self.job, self.path)

    @property
    def session(self) -> str:
        return f"{JOB_SESSION}{self.job}:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What nodes work with."""

    turns: Turns
    toolbox: Toolbox
    sessions: SessionStore
    attachments: AttachmentStore
    deliveries: Deliveries
    allowance: Allowance
    spool: Path
    """Where copies of files lie until a turn has read them."""

    async def do(self, work: Prompt | Tool | Message | Text, values: Values, spot: Spot, why_stopped: "StopReason") -> Json:
        """Raises NodeFailed, Interrupted; NothingThere and TooLong, of the values."""
        match work:
            case Text():
                return values.text(work.text)
            case Prompt():
                return await self._prompt(work, values, spot, why_stopped)
            case Tool():
                arguments = values.filled({**work.arguments})
                return await self._call(work.name, arguments, spot, None)
            case Message():
                return await self._message(work, values, spot)

    async def _prompt(self, prompt: Prompt, values: Values, spot: Spot, why_stopped: "StopReason") -> Json:
        if spot.again and (answer := await self._answered(spot)) is not None:
            return answer
        words = values.spoken(prompt.text)
        if not any(each.text.strip() for each in words) and not prompt.files:
            raise NodeFailed("its prompt is empty")
        said = Asked(content=tuple(words))
        counted = await self.allowance.reserve(spot.owner, estimated_tokens([said], (), Sampling()) + FILE * len(prompt.files))
        try:
            uploads = [await self._copy(reference, values, spot) for reference in prompt.files]
            request = TurnRequest(
                id=spot.turn_id,
                owner=spot.owner,
                session=spot.session,
                content=(*words, *uploads),
                agent=prompt.agent,
                resumable=True,
            )
            return await self._turn(request, counted, why_stopped)
        finally:
            await counted.end()

    async def _turn(self, request: TurnRequest, counted: Admission, why_stopped: "StopReason") -> str:
        """Its answer. Raises NodeFailed, Interrupted."""
        try:
            turn = self.turns.start(request)
        except NanobotError as error:
            await asyncio.to_thread(_remove, request.uploads)
            raise _failure(error) from None
        try:
            answer = await turn.result()
        except asyncio.CancelledError:
            turn.cancel(why_stopped())
            if turn.task is not None:
                await asyncio.wait([turn.task], timeout=_LEAVING_SECONDS)
            counted.broke_off(turn.took)
            raise
        except NanobotError as error:
            counted.broke_off(turn.took)
            raise _failure(error) from None
        counted.used(answer.usage.prompt_tokens + answer.usage.completion_tokens)
        return whole(answer.text)

    async def _answered(self, spot: Spot) -> str | None:
        """The answer of a turn that ended right before a crash; None: it was not begun, or it is to go on. Raises NodeFailed."""
        messages = [stored.message for stored in await self.sessions.messages(spot.owner, spot.session)]
        last = messages[-1] if messages else None
        if not isinstance(last, AssistantMessage) or last.tool_calls:
            return None
        if last.cut_off is not None:
            raise NodeFailed(f"its answer was cut off ({last.cut_off})")
        return BETWEEN_STEPS.join([step.text for step in steps_made(messages) if step.text])

    async def _copy(self, reference: Reference, values: Values, spot: Spot) -> Upload:
        """A copy of a file input, for the turn to read and remove."""
        file = values.inputs[reference.steps[1]]
        attachment = file.get("attachment") if isinstance(file, dict) else None
        if not isinstance(attachment, str):
            raise NodeFailed(f"there is no file in {reference}")
        await asyncio.to_thread(self.spool.mkdir, mode=0o700, parents=True, exist_ok=True)
        copy = await self.attachments.copy(spot.owner, f"{JOB_SESSION}{spot.job}", attachment, self.spool / new_id("up"))
        if copy is None:
            raise NodeFailed(f"the file of {reference} is not kept any more")
        return copy

    async def _call(self, name: str, arguments: Json, spot: Spot, address: Address | None) -> str:
        toolbox = self.toolbox
        if spot.again and not toolbox.may_repeat(name):
            raise NodeFailed(
                f"the server stopped while {name} ran. Whether it did its work is not known, so it is not run again: look, "
                "then start the workflow anew where it is still needed"
            )
        call = ToolCall(id=derived_id("call", spot.job, spot.path), name=name, arguments=orjson.dumps(arguments).decode())
        context = ToolContext(owner=spot.owner, session=spot.session, turn_id=spot.turn_id, call_id="", address=address)
        (said,) = await toolbox.run([call], context, lambda event: None)
        if not said.ok:
            raise NodeFailed(whole(said.text))
        return whole(said.text)

    async def _message(self, message: Message, values: Values, spot: Spot) -> Json:
        arguments = values.filled({**message.arguments})
        assert isinstance(arguments, dict)
        try:
            if message.to is not None:
                address = parse_address(values.text(message.to).strip())
                arguments |= {"channel": address.channel, "chat_id": address.chat_id}
            else:
                address = address_of(as_text(arguments.get("channel")), as_text(arguments.get("chat_id")))
        except InvalidAddress as error:
            raise NodeFailed(error.message) from None
        # Whom the caller named is whom this run answers; of all others mayMessage decides.
        named = address if is_named(address, values.own_words) else None
        said = await self._call(_MESSAGE, arguments, spot, named)
        delivery = await self.deliveries.outcome(derived_id("evt", spot.turn_id, "0.0"), 0)
        if delivery.state in _LOST:
            raise NodeFailed(said)
        return said


class StopReason(Protocol):
    """Why the turn of a node is stopped: "interrupted" lets it go on after a restart."""

    def __call__(self) -> Stop: ...


def _failure(error: NanobotError) -> Exception:
    return Interrupted() if isinstance(error, ShuttingDown) else NodeFailed(error.message)


def _remove(uploads: Sequence[Upload]) -> None:
    for upload in uploads:
        upload.path.unlink(missing_ok=True)
