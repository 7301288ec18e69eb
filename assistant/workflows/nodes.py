"""What each kind of node does, and how it is repeated after a crash without a second effect."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import orjson

from assistant.access.recipients import is_named
from assistant.agent.loop import BETWEEN_STEPS, steps_made, words_of
from assistant.agent.toolbox import Toolbox
from assistant.contracts.access import Admission
from assistant.contracts.addresses import Address, address_of, parse_address
from assistant.contracts.causes import Cause
from assistant.contracts.effects import Effect
from assistant.contracts.errors import InvalidAddress, NanobotError, ShuttingDown
from assistant.contracts.messages import AssistantMessage, Json, ToolCall
from assistant.contracts.models import Sampling
from assistant.contracts.outbox import Deliveries
from assistant.contracts.records import record
from assistant.contracts.sessions import SessionStore
from assistant.contracts.tools import ToolContext
from assistant.contracts.turns import HistoryMessage, TurnRequest, Upload
from assistant.contracts.util import derived_id, new_id, replace_surrogates
from assistant.contracts.workflows import JOB_SESSION
from assistant.store.attachments import AttachmentStore
from assistant.turns.handle import StopCause
from assistant.turns.prompt import FILE_ESTIMATE, estimated_tokens
from assistant.turns.service import Turns
from assistant.workflows.definition import MessageNode, PromptNode, TextNode, ToolNode
from assistant.workflows.references import Reference, Values, as_text

MESSAGE_TOOL: Final = "message"
_NOT_SENT = frozenset({"failed", "expired", "cancelled", "unknown"})
"""States of a delivery that is not going to be sent by itself."""
_STOP_SECONDS = 5.0


class NodeFailed(Exception):
    """A node failed; the message says why."""


class Interrupted(Exception):
    """The server is stopping; the job stays as it is and is resumed later."""


@record
class NodeKey:
    """Which node of which job."""

    job: str
    owner: str
    path: str
    caller: str = ""
    """As in NewJob."""
    again: bool = False
    """It was started before, and did not end."""

    @property
    def turn_id(self) -> str:
        """The same at every start of the node, so that its effects are recognised."""
        return derived_id("turn", self.job, self.path)

    @property
    def session(self) -> str:
        return f"{JOB_SESSION}{self.job}:{self.path}"


@record
class NodeExecutor:
    """Executes nodes, all but those that call a workflow."""

    turns: Turns
    toolbox: Toolbox
    sessions: SessionStore
    attachments: AttachmentStore
    deliveries: Deliveries
    spool: Path
    """The folder for copies of files, until a turn has read them."""

    async def execute(
        self,
        work: PromptNode | ToolNode | MessageNode | TextNode,
        values: Values,
        key: NodeKey,
        why_stopped: Callable[[], StopCause],
        did: list[Effect],
    ) -> Json:
        """The node's output. `why_stopped`: the reason of a cancellation; "interrupted" leaves a turn resumable. `did`: gets what a tool or message
        node did, also where it fails behind that; a turn's is in the journal with its steps.

        Raises NodeFailed, Interrupted, UnresolvedReference, TooLong.
        """
        match work:
            case TextNode():
                return values.fill_text(work.text)
            case PromptNode():
                return await self._prompt(work, values, key, why_stopped)
            case ToolNode():
                return await self._call(work.tool, values.fill({**work.arguments}), key, None, did)
            case MessageNode():
                return await self._message(work, values, key, did)

    async def _prompt(self, prompt: PromptNode, values: Values, key: NodeKey, why_stopped: Callable[[], StopCause]) -> Json:
        if key.again and (answer := await self._answered(key)) is not None:
            return answer
        words = values.fill_prompt(prompt.prompt)
        if not any(each.text.strip() for each in words) and not prompt.files:
            raise NodeFailed("its prompt is empty")
        said = HistoryMessage(content=tuple(words))
        admission = await self.turns.allowance.reserve(
            key.caller or key.owner, estimated_tokens([said], (), Sampling()) + FILE_ESTIMATE * len(prompt.files)
        )
        try:
            uploads = [await self._copy(reference, values, key) for reference in prompt.files]
            content = (*words, *uploads)
            request = TurnRequest(
                id=key.turn_id,
                owner=key.owner,
                caller=key.caller,
                session=key.session,
                content=content,
                agent=prompt.agent,
                cause=Cause(kind="job", id=key.job),
                resumable=True,
            )
            return await self._turn(request, admission, why_stopped)
        finally:
            await admission.end()

    async def _turn(self, request: TurnRequest, admission: Admission, why_stopped: Callable[[], StopCause]) -> str:
        """Its answer. Raises NodeFailed, Interrupted."""
        try:
            turn = self.turns.start(request, admission)
        except NanobotError as error:
            await asyncio.to_thread(_remove, request.uploads)
            raise _failure(error) from None
        try:
            answer = await turn.result()
        except asyncio.CancelledError:
            admission.broke_off(turn.took)  # the turn's end replaces it, where it comes in time
            turn.cancel(why_stopped())
            if turn.task is not None:
                await asyncio.wait([turn.task], timeout=_STOP_SECONDS)
            raise
        except NanobotError as error:
            raise _failure(error) from None
        return replace_surrogates(answer.text)

    async def _answered(self, key: NodeKey) -> str | None:
        """The answer of a turn that ended right before a crash; None: the turn is still to be run or resumed. Raises NodeFailed."""
        messages = [stored.message for stored in await self.sessions.messages(key.owner, key.session)]
        last = messages[-1] if messages else None
        if not isinstance(last, AssistantMessage) or last.tool_calls:
            return None
        if last.cut_off is not None:
            raise NodeFailed(f"its answer was cut off ({last.cut_off})")
        return BETWEEN_STEPS.join(filter(None, [*words_of(steps_made(messages)[:-1], withdrawn=False), last.text]))

    async def _copy(self, reference: Reference, values: Values, key: NodeKey) -> Upload:
        """A copy of a file input, which the turn reads and removes."""
        file = values.inputs[reference.steps[1]]
        attachment = file.get("attachment") if isinstance(file, dict) else None
        if not isinstance(attachment, str):
            raise NodeFailed(f"there is no file in {reference}")
        await asyncio.to_thread(self.spool.mkdir, mode=0o700, parents=True, exist_ok=True)
        copy = await self.attachments.copy(key.owner, f"{JOB_SESSION}{key.job}", attachment, self.spool / new_id("up"))
        if copy is None:
            raise NodeFailed(f"the file of {reference} is not kept any more")
        return copy

    async def _call(self, name: str, arguments: Json, key: NodeKey, address: Address | None, did: list[Effect]) -> str:
        if key.again and not self.toolbox.may_repeat(name):
            raise NodeFailed(
                f"the server stopped while {name} ran. Whether it did its work is not known, so it is not run again: look, "
                "then start the workflow again if it is still needed"
            )
        call = ToolCall(id=derived_id("call", key.job, key.path), name=name, arguments=orjson.dumps(arguments).decode())
        context = ToolContext(owner=key.owner, session=key.session, turn_id=key.turn_id, call_id="", address=address)
        (result,) = await self.toolbox.run([call], context, lambda event: None)
        did += result.effects
        if not result.ok:
            raise NodeFailed(replace_surrogates(result.text))
        return replace_surrogates(result.text)

    async def _message(self, message: MessageNode, values: Values, key: NodeKey, did: list[Effect]) -> Json:
        arguments = values.fill({**message.arguments})
        assert isinstance(arguments, dict)
        try:
            if message.to is not None:
                address = parse_address(values.fill_text(message.to).strip())
                arguments |= {"channel": address.channel, "chat_id": address.chat_id}
            else:
                address = address_of(as_text(arguments.get("channel")), as_text(arguments.get("chat_id")))
        except InvalidAddress as error:
            raise NodeFailed(error.message) from None
        # A chat that the caller named counts as the one this run answers; mayMessage decides about all others.
        named = address if is_named(address, values.own_words) else None
        result = await self._call(MESSAGE_TOOL, arguments, key, named, did)
        delivery = await self.deliveries.outcome(derived_id("evt", key.turn_id, "0.0"), 0)
        if delivery.state in _NOT_SENT:
            raise NodeFailed(result)
        return result


def _failure(error: NanobotError) -> Exception:
    return Interrupted() if isinstance(error, ShuttingDown) else NodeFailed(error.message)


def _remove(uploads: Sequence[Upload]) -> None:
    for upload in uploads:
        upload.path.unlink(missing_ok=True)
