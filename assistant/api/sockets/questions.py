"""From a message over a WebSocket to the turn that it starts."""

from pathlib import Path

from assistant.access.authenticator import Authenticator
from assistant.access.principals import Principal
from assistant.api.body.spool import Spool
from assistant.api.chat.endpoint import ChatService, direct_request
from assistant.api.chat.read import ChatInput
from assistant.api.chat.route import ModelOptions, RoutingHints, ToAgent, ToModel, ToWorkflow, names_of, route, session_key
from assistant.api.settings import ApiSettings
from assistant.api.sockets.client_tools import ClientTool
from assistant.api.sockets.wire import ClientMessage, take_in
from assistant.contracts.causes import Payer
from assistant.contracts.errors import InvalidRequest, ModelNotFound
from assistant.contracts.models import Sampling
from assistant.contracts.records import record
from assistant.contracts.turns import AgentFacts, HistoryMessage, TurnRequest, Upload, UserText
from assistant.contracts.util import new_id
from assistant.contracts.workflows import Workflows
from assistant.turns.direct import DirectRequest


@record
class SocketServices:
    """What every conversation needs."""

    chat: ChatService
    authenticator: Authenticator
    workflows: Workflows | None
    """None: there are none."""
    settings: ApiSettings
    spool_folder: Path


@record
class Question:
    """A checked message, and the turn that it starts."""

    turn: TurnRequest | DirectRequest
    content: tuple[UserText | Upload, ...]
    thread: str
    provider: str
    """Of the model that answers."""


async def read_question(
    message: ClientMessage, services: SocketServices, who: Principal, thread: str, tools: tuple[ClientTool, ...], spool: Spool
) -> Question:
    """`tools`: the client's, which an agent may use. Files are in `spool`. Raises InvalidRequest and its kin, ModelNotFound, ProviderFailed."""
    chat = services.chat
    session = session_key(thread, param="thread_id")
    to = route(RoutingHints(model=message.model or None, session_id=thread), chat.known)
    if not any(map(who.may_use, names_of(to, chat.known))):
        raise ModelNotFound(param="model")
    if isinstance(to, ToWorkflow):
        raise InvalidRequest("Over a WebSocket, a workflow is named by 'workflow_id'.", param="model")
    if not isinstance(to, ToAgent):
        return await _to_model(message, to, thread, chat, spool, who.payer)
    facts = chat.turns.facts(to.agent)
    _check_tools(message, facts, tools)
    content = await take_in(message.content, spool)
    only = None if message.tools is None else frozenset(message.tools)
    turn = TurnRequest(
        id=new_id("turn"),
        owner=who.person,
        caller=who.id,
        agent=to.agent,
        session=session,
        content=content,
        stream=True,
        tools=tools,
        only_tools=only,
    )
    return Question(turn=turn, content=content, thread=thread, provider=facts.provider)


async def _to_model(message: ClientMessage, to: ToModel, thread: str, chat: ChatService, spool: Spool, payer: Payer) -> Question:
    """A registered model answers each message alone: without tools, and without the history, which only the client has."""
    if message.tools:
        raise InvalidRequest("A registered model uses no tools: leave 'tools' out, or ask an agent.", param="tools")
    content = await take_in(message.content, spool)
    said = (HistoryMessage(content=content),)
    asked = ChatInput(route=to, said=said, instructions=(), sampling=Sampling(), stream=True, include_usage=False, options=ModelOptions())
    turn = await direct_request(asked, to.id, chat.registry, payer)
    return Question(turn=turn, content=content, thread=thread, provider=turn.model.info.provider)


def _check_tools(message: ClientMessage, facts: AgentFacts, tools: tuple[ClientTool, ...]) -> None:
    names = {tool.spec.name for tool in tools}
    if taken := names & facts.tools:
        raise InvalidRequest(f"This agent has a tool called '{min(taken)}' of its own: give yours another name.", param="tools")
    known = names | facts.tools
    if unknown := sorted(set(message.tools or ()) - known):
        raise InvalidRequest(f"There is no tool '{unknown[0][:64]}'. The tools are: {', '.join(sorted(known))}.", param="tools")
