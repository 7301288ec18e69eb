"""From a message over a WebSocket to the turn that it starts."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from assistant.access.authenticator import Authenticator
from assistant.access.principals import Principal
from assistant.api.body.spool import Spool
from assistant.api.chat.endpoint import direct_request
from assistant.api.chat.read import ChatInput
from assistant.api.chat.route import AgentCatalog, ModelOptions, RoutingHints, ToAgent, ToModel, ToWorkflow, names_of, route, session_key
from assistant.api.complaints import complaint
from assistant.api.settings import ApiSettings
from assistant.api.sockets.client_tools import ClientTool
from assistant.api.sockets.codec import Frame
from assistant.api.sockets.wire import ClientMessage, take_in
from assistant.api.turns import TurnStarter
from assistant.contracts.errors import InvalidRequest, ModelNotFound
from assistant.contracts.models import Sampling
from assistant.contracts.turns import AgentFacts, HistoryMessage, TurnRequest, Upload, UserText
from assistant.contracts.util import new_id
from assistant.contracts.workflows import Workflows
from assistant.providers.registry import ModelRegistry
from assistant.turns.direct import Direct, DirectRequest
from assistant.turns.handle import RunningTurn
from assistant.turns.prompt import estimated_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketServices:
    """What every conversation needs."""

    turns: TurnStarter
    registry: ModelRegistry
    direct: Direct
    known: AgentCatalog
    keeper: Authenticator
    workflows: Workflows | None
    """None: there are none here."""
    settings: ApiSettings
    spool_folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A message that may be asked."""

    asks: TurnRequest | DirectRequest
    content: tuple[UserText | Upload, ...]
    thread: str
    provider: str
    """Of the model that answers."""

    @property
    def tokens(self) -> int:
        """What it is estimated to take."""
        return estimated_tokens([HistoryMessage(content=self.content)], (), self.asks.sampling)

    @property
    def ends_with_client(self) -> bool:
        """Whether nobody else could ever read the answer: that of a registered model is not kept."""
        return isinstance(self.asks, DirectRequest)

    def start(self, door: SocketServices) -> RunningTurn:
        """Raises SessionBusy, ShuttingDown."""
        return door.turns.start(self.asks) if isinstance(self.asks, TurnRequest) else door.direct.start(self.asks)


def read_message(frame: Frame) -> ClientMessage:
    """Raises InvalidRequest and its kin."""
    try:
        return ClientMessage.model_validate(frame)
    except ValidationError as error:
        raise complaint(error.errors(include_url=False)) from None


async def read_question(
    message: ClientMessage, door: SocketServices, who: Principal, thread: str, tools: tuple[ClientTool, ...], spool: Spool
) -> Question:
    """`tools`: the client's, which an agent may use. Files lie in `spool`. Raises InvalidRequest and its kin, ModelNotFound, ProviderFailed."""
    session = session_key(thread, param="thread_id")
    to = route(RoutingHints(model=message.model or None, session_id=thread), door.known)
    if not any(map(who.may_use, names_of(to, door.known))):
        raise ModelNotFound(param="model")
    if isinstance(to, ToWorkflow):
        raise InvalidRequest("Over a WebSocket, a workflow is named by 'workflow_id'.", param="model")
    if not isinstance(to, ToAgent):
        return await _to_model(message, to, thread, door, spool)
    facts = door.turns.facts(to.agent)
    _check_tools(message, facts, tools)
    content = await take_in(message.content, spool, door.settings.limits)
    turn = TurnRequest(
        id=new_id("turn"),
        owner=who.id,
        agent=to.agent,
        session=session,
        content=content,
        stream=True,
        tools=tools,
        only_tools=None if message.tools is None else frozenset(message.tools),
    )
    return Question(asks=turn, content=content, thread=thread, provider=facts.provider)


async def _to_model(message: ClientMessage, to: ToModel, thread: str, door: SocketServices, spool: Spool) -> Question:
    """A registered model answers each message for itself: without tools, and without what was said before, which only the client could send."""
    if message.tools:
        raise InvalidRequest("A registered model uses no tools: leave 'tools' out, or ask an agent.", param="tools")
    content = await take_in(message.content, spool, door.settings.limits)
    asked = ChatInput(
        route=to,
        said=(HistoryMessage(content=content),),
        instructions=(),
        sampling=Sampling(),
        stream=True,
        include_usage=False,
        wishes=ModelOptions(),
    )
    wanted = await direct_request(asked, to.id, door.registry)
    return Question(asks=wanted, content=content, thread=thread, provider=wanted.model.info.provider)


def _check_tools(message: ClientMessage, facts: AgentFacts, tools: tuple[ClientTool, ...]) -> None:
    names = {tool.spec.name for tool in tools}
    if taken := names & facts.tools:
        raise InvalidRequest(f"This agent has a tool called '{min(taken)}' of its own: give yours another name.", param="tools")
    known = names | facts.tools
    if unknown := sorted(set(message.tools or ()) - known):
        raise InvalidRequest(f"There is no tool '{unknown[0][:64]}'. The tools are: {', '.join(sorted(known))}.", param="tools")
