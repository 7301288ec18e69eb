"""Who answers a request, and with what history: the model id chooses the contract.

| model | who answers | history |
|---|---|---|
| absent, or the default agent's model | the default agent | kept here; the request holds one user message |
| `agent:<id>` and its other spellings, or a header | that agent | the client's; or kept here, where the request names a session or a user |
| `workflow:<id>`, where that is offered | a run of that workflow | the client's |
| anything else | that model itself | the client's |
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from starlette.types import Scope

from assistant.api.middleware.scope import header
from assistant.api.session_keys import checked, session_key
from assistant.contracts.errors import ModelNotFound
from assistant.contracts.turns import MAIN

_AGENT: Final = re.compile(r"(?:(?:agent|nanobot|moltbot|openclaw):|(?:nanobot|openclaw)/)(.*)", re.DOTALL)
_DEFAULT_BY_NAME: Final = frozenset({"moltbot", "openclaw"})
_DEFAULT_IDS: Final = frozenset({MAIN, "default"})
_PRODUCTS: Final = (b"nanobot", b"moltbot", b"openclaw")
"""Whose headers are taken, the first that is there."""
_SESSION_HEADER: Final = "x-nanobot-session-key"
_WORKFLOW: Final = "workflow:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What there is to choose from."""

    model: str
    """The default agent's model, under whose name it is listed."""
    agents: Collection[str]
    """The ids of all agents, MAIN among them."""
    workflows: Collection[str] = ()
    """The ids of the workflows that can be asked."""
    takes_history: bool = False
    """Whether the default agent is asked with the client's history under its model's name, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a request says of who should answer, and in which conversation. None: nothing."""

    model: str | None = None
    session_id: str | None = None
    user: str | None = None
    agent_header: str | None = None
    session_header: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToAgent:
    """An agent answers."""

    agent: str
    session: str | None
    """The key of the session that keeps the conversation; None: the request stands for itself."""
    takes_history: bool
    """Whether the messages may hold what was said before."""
    shown: str
    """The model's name in the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToModel:
    """A model answers, without tools of ours and without a session. Whether there is such a model is not known yet."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToWorkflow:
    """A workflow runs, and its outputs are the answer."""

    id: str


Route = ToAgent | ToWorkflow | ToModel


def names_of(chosen: Route, known: Known) -> tuple[str, ...]:
    """The ids by which /v1/models lists who answers: a key that may use one of them may ask."""
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
    """`default`: the default agent's model, under whose name it is listed, too."""
    return (default, f"agent:{agent}") if agent == MAIN else (f"agent:{agent}",)


def route(named: Named, known: Known) -> Route:
    """Raises ModelNotFound for an agent that is not there, InvalidRequest for an id of a session or a user that can't be one."""
    if named.agent_header is not None:
        return _to_agent(_agent(named.agent_header, known), named)
    if known.takes_history and named.model in (None, known.model):
        return replace(_to_agent(MAIN, named), shown=known.model)
    if named.model is None or named.model == known.model:
        return ToAgent(agent=MAIN, session=_session(named, MAIN) or session_key(None), takes_history=False, shown=known.model)
    if named.model in _DEFAULT_BY_NAME:
        return _to_agent(MAIN, named)
    if spelled := _AGENT.fullmatch(named.model):
        return _to_agent(_agent(spelled[1], known), named)
    if (workflow := named.model.removeprefix(_WORKFLOW)) in known.workflows and workflow != named.model:
        return ToWorkflow(id=workflow)
    return ToModel(id=named.model)


def headers_of(scope: Scope) -> tuple[str | None, str | None]:
    """The agent and the session that the headers name."""
    return _header(scope, b"agent-id"), _header(scope, b"session-key")


def _header(scope: Scope, name: bytes) -> str | None:
    for product in _PRODUCTS:
        value = header(scope, b"x-" + product + b"-" + name)
        if value is not None:
            return value.decode("utf-8", "replace").strip()
    return None


def _to_agent(agent: str, named: Named) -> ToAgent:
    return ToAgent(agent=agent, session=_session(named, agent), takes_history=True, shown=f"agent:{agent}")


def _agent(written: str, known: Known) -> str:
    name = written.strip().lower()
    name = MAIN if name in _DEFAULT_IDS else name
    if name not in known.agents:
        raise ModelNotFound(f"There is no agent '{written[:64]}' here. GET /v1/models lists those there are.", param="model")
    return name


def _session(named: Named, agent: str) -> str | None:
    """The key that the request names: by header, else by session_id, else by user."""
    if named.session_header is not None:
        own = f"agent:{agent}:"
        if named.session_header.lower().startswith(own):  # a key of this agent's, as GET /v1/sessions lists it
            return own + checked(named.session_header[len(own) :], _SESSION_HEADER)
        return session_key(named.session_header, param=_SESSION_HEADER)
    if named.session_id is not None:
        return session_key(named.session_id)
    return f"agent:{agent}:openai-user:{checked(named.user, 'user')}" if named.user else None
