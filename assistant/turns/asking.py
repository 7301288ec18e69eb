"""What a turn asks of its agent: the request for the model, the context for the tools, the transcript that both see."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from assistant.agent.toolbox import Toolbox
from assistant.contracts.errors import InvalidRequest, TurnCancelled
from assistant.contracts.messages import AssistantMessage, Images, Message, ToolCall, ToolMessage, UserMessage
from assistant.contracts.models import ModelProvider, ModelRequest, NamedTool, Sampling, ToolChoice
from assistant.contracts.records import record
from assistant.contracts.sessions import History
from assistant.contracts.tools import ToolContext
from assistant.contracts.turns import Emit, TurnRequest
from assistant.contracts.util import new_id
from assistant.turns.prompt import Context, Transcript


@record
class Agent:
    """A model with tools, instructions and limits."""

    model: ModelProvider
    toolbox: Toolbox
    context: Context
    max_steps: int
    """Model calls that may use tools, in one turn."""
    sampling: Sampling
    """Defaults for what a request leaves open."""
    claim_check: bool = True
    """Whether its answers are compared with what it did."""

    def pictures(self) -> int:
        """How many pictures of documents a message may bring."""
        return self.context.pictures if self.model.info.vision else 0


class Prompt(NamedTuple):
    """What the model reads first, and how it is made shorter (as in ModelRequest)."""

    instructions: tuple[str, ...]
    messages: tuple[Message, ...]
    images: Images
    compact: Callable[[int], Awaitable[tuple[Message, ...]]]


def model_request(request: TurnRequest, agent: Agent, toolbox: Toolbox, choice: ToolChoice | None, prompt: Prompt) -> ModelRequest:
    """What is asked of the model."""
    return ModelRequest(
        instructions=prompt.instructions,
        messages=prompt.messages,
        images=prompt.images,
        compact=prompt.compact,
        tools=toolbox.specs or agent.toolbox.specs,  # none at all, behind calls of some, is what providers refuse
        may_call=bool(toolbox.specs) and choice != "none",
        tool_choice=None if choice == "none" else choice,
        parallel_calls=request.parallel_calls,
        sampling=request.sampling.over(agent.sampling),
        stream=request.stream,
        conversation=f"{request.owner} {request.session}",
        payer=request.payer,
    )


def tool_context(request: TurnRequest, agent: Agent) -> ToolContext:
    return ToolContext(
        owner=request.owner,
        session=request.session,
        turn_id=request.id,
        call_id="",
        address=request.address,
        cause=request.cause,
        pictures=agent.pictures(),
        agent=request.agent,
        caller=request.caller,
        only_tools=request.only_tools,
        within=request.within,
        inherits=request.inherits,
        asker=request.asker,
    )


async def run_approved(
    call: ToolCall, request: TurnRequest, agent: Agent, toolbox: Toolbox, emit: Emit
) -> list[AssistantMessage | ToolMessage]:
    """The step of a call that was approved: the call, as if the model had made it, and its result."""
    step = AssistantMessage(id=new_id("msg"), tool_calls=(call,), finish_reason="tool_calls")
    return [step, *await toolbox.run([call], replace(tool_context(request, agent), approval=request.approval), emit)]


async def toolbox_of(request: TurnRequest, agents: Mapping[str, Agent]) -> Toolbox:
    """What a turn may use. Raises as `Toolbox.for_turn`."""
    agent = agents[request.agent]
    box = await agent.toolbox.in_session(request.owner, request.session)
    only, few = request.only_tools, agent.context.chosen[0]
    if few is not None:
        only = few if only is None else only & few
    box = box.for_turn(only, request.tools, request.client_tools)
    return box.guarded([agents[name].toolbox for name in request.within]) if request.within else box


def current_transcript(known: Transcript | None, history: History) -> Transcript:
    """The cached transcript with what is new in the store, or all of it."""
    if known is not None and not history.fresh:
        known.extend(history.messages, history.seq - 1)
        return known
    transcript = Transcript(history)
    if known is not None and known.row == transcript.row:
        transcript.scale = known.scale
    return transcript


def choice_of(wanted: ToolChoice, toolbox: Toolbox) -> ToolChoice:
    """Raises InvalidRequest for a choice that none of the turn's tools can satisfy."""
    names = [spec.name for spec in toolbox.specs]
    if isinstance(wanted, NamedTool) and wanted.name not in names:
        raise InvalidRequest("'tool_choice' names a tool that is neither one of 'tools' nor one of this agent's.", param="tool_choice")
    if wanted == "required" and not names:
        raise InvalidRequest("'tool_choice' needs 'tools'.", param="tool_choice")
    return wanted


def last_words(transcript: Transcript) -> UserMessage:
    """The message the turn answers. Raises TurnCancelled where the conversation was started over meanwhile."""
    for message in reversed(transcript.messages):
        if isinstance(message, UserMessage):
            return message
    raise TurnCancelled
