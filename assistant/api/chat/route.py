"""Which agent, model or workflow answers a request, in which session, with which options."""

import re
from collections.abc import Collection, Mapping
from dataclasses import field, replace
from functools import cache
from typing import Final

from starlette.types import Scope

from assistant.api.chat.tools import client_tools, functions_of, left_out, others_of
from assistant.api.chat.wire import ChatOptions
from assistant.contracts.errors import InvalidRequest, ModelNotFound, SessionNotFound
from assistant.contracts.messages import Json
from assistant.contracts.models import ToolChoice, ToolSpec
from assistant.contracts.records import record
from assistant.contracts.sessions import ONCE
from assistant.contracts.turns import MAIN
from channels.catalog import OWN, installed_names

DEFAULT_SESSION = "default"
MAX_KEY_LENGTH = 256
_PREFIX = "api:"
_NO_SESSIONS = [
    "api", "slack", "matrix", "email", "websocket", "cli", "cron", "heartbeat", "subagent", "workflow", "job", "agent", "system",
]  # fmt: skip


@cache
def _reserved() -> frozenset[str]:
    """Prefixes of session keys, of installed channels too. An id of the API must not begin with one: it must never look like a key."""
    return frozenset({*_NO_SESSIONS, ONCE.removesuffix(":"), *OWN, *installed_names()})


def session_key(session_id: str | None, *, param: str = "session_id") -> str:
    """A request's session id as the key of its session. Raises InvalidRequest for an id that is empty, too long, unprintable or reserved."""
    identity = DEFAULT_SESSION if session_id is None else checked(session_id, param)
    prefix, colon, _ = identity.partition(":")
    if colon and prefix.lower() in _reserved():
        raise InvalidRequest(f"'{param}' must not begin with '{prefix}:', which is reserved.", param=param)
    return _PREFIX + identity


def checked(identity: str, param: str) -> str:
    """The id, unchanged. Raises InvalidRequest where it is empty, too long or unprintable."""
    if not 1 <= len(identity) <= MAX_KEY_LENGTH or not identity.isprintable():
        raise InvalidRequest(f"'{param}' must be 1 to {MAX_KEY_LENGTH} printable characters.", param=param)
    return identity


def known_key(session_id: str) -> str:
    """The key of a session by its id in lists: the API's own, or the key of another front end (telegram:42). Raises SessionNotFound."""
    if not 1 <= len(session_id) <= 2 * MAX_KEY_LENGTH or not session_id.isprintable():
        raise SessionNotFound
    prefix, colon, _ = session_id.partition(":")
    return session_id if colon and prefix.lower() in _reserved() else _PREFIX + session_id


def listed_id(key: str) -> str:
    """A session's id in lists; see `known_key`."""
    return key.removeprefix(_PREFIX)


_AGENT: Final = re.compile(r"(?:agent:|(?:nanobot|moltbot|openclaw)[:/])(.*)", re.DOTALL | re.IGNORECASE)
_DEFAULT_BY_NAME: Final = frozenset({"moltbot", "openclaw"})
_DEFAULT_IDS: Final = frozenset({MAIN, "default"})
_PRODUCTS: Final = (b"nanobot", b"moltbot", b"openclaw")
"""The products whose headers are read; the first one that was sent counts."""
_AGENT_HEADERS: Final = [b"x-%b-agent-id" % product for product in _PRODUCTS]
_SESSION_HEADERS: Final = [b"x-%b-session-key" % product for product in _PRODUCTS]
_HEADERS: Final = frozenset(_AGENT_HEADERS + _SESSION_HEADERS)
_SESSION_HEADER: Final = "x-nanobot-session-key"
_WORKFLOW: Final = "workflow:"


@record
class AgentCatalog:
    """The agents and workflows that a request may name."""

    model: str
    """The default agent's model, whose name it is listed under."""
    agents: Collection[str]
    """The ids of all agents, MAIN among them."""
    workflows: Collection[str] = ()
    """The ids of the workflows that can be used as models."""
    takes_history: bool = False
    """Whether the default agent takes the client's history under its model's name, too (`api.history`)."""


@record
class RoutingHints:
    """The fields and headers that choose who answers, and in which session."""

    model: str | None = None
    session_id: str | None = None
    user: str | None = None
    agent_header: str | None = None
    session_header: str | None = None


@record
class ToAgent:
    """An agent answers."""

    agent: str
    session: str | None
    """The key of the session; None: the request gets a session of its own."""
    takes_history: bool
    """Whether the messages may hold the history."""
    shown: str
    """The model's name in the answer."""


@record
class ToModel:
    """A registered model answers, without our tools and without a session. Whether it exists is not known yet."""

    id: str


@record
class ToWorkflow:
    """A workflow runs, and its outputs are the answer."""

    id: str


Route = ToAgent | ToWorkflow | ToModel


def names_of(chosen: Route, known: AgentCatalog) -> tuple[str, ...]:
    """The ids in /v1/models of who answers; a key that may use one of them may ask."""
    match chosen:
        case ToAgent(agent=agent):
            return names_of_agent(agent, known.model)
        case ToWorkflow(id=workflow):
            return (name_of_workflow(workflow),)
        case ToModel(id=model):
            return (model,)


def name_of_workflow(workflow: str) -> str:
    return _WORKFLOW + workflow


def names_of_agent(agent: str, default: str) -> tuple[str, ...]:
    """`default`: the default agent's model, whose name it is listed under, too."""
    return (default, f"agent:{agent}") if agent == MAIN else (f"agent:{agent}",)


def route(named: RoutingHints, known: AgentCatalog) -> Route:
    """Raises ModelNotFound for an unknown agent, InvalidRequest for an invalid id of a session or a user."""
    if named.agent_header is not None:
        return _to_agent(_agent_named(named.agent_header, known), named)
    if known.takes_history and named.model in (None, known.model):
        return replace(_to_agent(MAIN, named), shown=known.model)
    if named.model is None or named.model == known.model:
        return ToAgent(agent=MAIN, session=_session(named, MAIN) or session_key(None), takes_history=False, shown=known.model)
    if named.model.lower() in _DEFAULT_BY_NAME:
        return _to_agent(MAIN, named)
    if spelled := _AGENT.fullmatch(named.model):
        return _to_agent(_agent_named(spelled[1], known), named)
    if (workflow := named.model.removeprefix(_WORKFLOW)) in known.workflows and workflow != named.model:
        return ToWorkflow(id=workflow)
    return ToModel(id=named.model)


def headers_of(scope: Scope) -> tuple[str | None, str | None]:
    """The agent and the session that the headers name."""
    found = {name: value for name, value in reversed(scope["headers"]) if name in _HEADERS}
    agent, session = [next((found[name] for name in names if name in found), None) for names in (_AGENT_HEADERS, _SESSION_HEADERS)]
    return (
        None if agent is None else agent.decode("utf-8", "replace").strip(),
        None if session is None else session.decode("utf-8", "replace").strip(),
    )


def _to_agent(agent: str, named: RoutingHints) -> ToAgent:
    return ToAgent(agent=agent, session=_session(named, agent), takes_history=True, shown=f"agent:{agent}")


def _agent_named(written: str, known: AgentCatalog) -> str:
    name = written.strip().lower()
    name = MAIN if name in _DEFAULT_IDS else name
    if name not in known.agents:
        raise ModelNotFound(f"There is no agent '{written[:64]}' here. GET /v1/models lists those there are.", param="model")
    return name


def _session(named: RoutingHints, agent: str) -> str | None:
    """The session's key: by header, else by session_id, else by user."""
    if named.session_header is not None:
        own = f"agent:{agent}:"
        if named.session_header.lower().startswith(own):  # the agent's key, as GET /v1/sessions lists it
            return own + checked(named.session_header[len(own) :], _SESSION_HEADER)
        return session_key(named.session_header, param=_SESSION_HEADER)
    if named.session_id is not None:
        return session_key(named.session_id)
    return f"agent:{agent}:openai-user:{checked(named.user, 'user')}" if named.user else None


@record
class ModelOptions:
    n: int = 1
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_calls: bool | None = None
    named_tools: frozenset[str] = frozenset()
    """The agent's own tools that `allowed_tools` names; empty: none, which allows all."""
    barred_tools: frozenset[str] = frozenset()
    """Functions of the client that it does not name: an own tool of that name stays replaced."""
    top_logprobs: int | None = None
    extra_fields: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """What a registered model gets as the client sent it."""
    hints: frozenset[str] = frozenset()
    """Those of them that a provider may do without."""
    notice: str = ""
    """What of the request was left out, for the client; empty: nothing."""


_NO_OPTIONS = ModelOptions()
_OWN_WAYS: Final = {
    ToAgent: ("an agent gives one answer per request", "an agent"),
    ToWorkflow: ("a workflow is run once per request", "a workflow"),
}
"""For error texts, by who answers. Sampling options are accepted: a workflow ignores them, and many clients always send some."""
_MODELS: Final = "Ask a model itself: '<provider>/<model>', or one that GET /v1/models lists."


def options_of(options: ChatOptions, chosen: Route) -> ModelOptions:
    """Raises InvalidRequest for options that agents and workflows do not take, and for options that contradict each other."""
    if options.functions:
        raise InvalidRequest("'functions' are not supported: send 'tools'.", param="functions")
    if not isinstance(chosen, ToModel):
        answers, name = _OWN_WAYS[type(chosen)]
        if options.n is not None and options.n > 1:
            raise InvalidRequest(f"'n' must be 1: {answers}. {_MODELS}", param="n")
        if options.logprobs:
            raise InvalidRequest(f"'logprobs' go with a model: {name} has none. {_MODELS}", param="logprobs")
        if isinstance(chosen, ToWorkflow) and functions_of(options):
            raise InvalidRequest("A workflow takes no tools: ask an agent ('agent:main') or a model.", param="tools")
        if not options.tools and options.tool_choice is None and options.parallel_tool_calls is None:
            return _NO_OPTIONS
        if isinstance(chosen, ToWorkflow):
            return replace(_NO_OPTIONS, notice=left_out("Tools", others_of(options)))
    if options.top_logprobs and not options.logprobs:
        raise InvalidRequest("'top_logprobs' needs 'logprobs'.", param="top_logprobs")
    asked = client_tools(options, own=isinstance(chosen, ToAgent))
    return ModelOptions(
        n=options.n or 1,
        tools=asked.tools,
        tool_choice=asked.choice,
        parallel_calls=options.parallel_tool_calls,
        named_tools=asked.named,
        barred_tools=asked.barred,
        top_logprobs=(options.top_logprobs or 0) if options.logprobs else None,
        notice=asked.notice,
    )
