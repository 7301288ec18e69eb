"""Who answers, and with what history: the table of the three contracts."""

import pytest

from assistant.api.chat.route import AgentCatalog, Route, RoutingHints, ToAgent, ToModel, ToWorkflow, route
from assistant.contracts.errors import InvalidRequest, ModelNotFound

KNOWN = AgentCatalog(model="MiniMax-M2.7", agents=("main", "beta"))


def kept(session: str = "api:default", *, agent: str = "main") -> ToAgent:
    """The default agent, by the name of its model."""
    return ToAgent(agent=agent, session=session, takes_history=False, shown="MiniMax-M2.7")


def free(agent: str = "main", session: str | None = None) -> ToAgent:
    """An agent by its own name."""
    return ToAgent(agent=agent, session=session, takes_history=True, shown=f"agent:{agent}")


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (RoutingHints(), kept()),
        (RoutingHints(model="MiniMax-M2.7"), kept()),
        (RoutingHints(session_id="mine"), kept("api:mine")),
        (RoutingHints(user="bob"), kept("agent:main:openai-user:bob")),
        (RoutingHints(session_id="mine", user="bob"), kept("api:mine")),
        (RoutingHints(session_header="theirs", session_id="mine", user="bob"), kept("api:theirs")),
        (RoutingHints(model="agent:beta"), free("beta")),
        (RoutingHints(model="agent:BETA"), free("beta")),
        (RoutingHints(model="nanobot:beta"), free("beta")),
        (RoutingHints(model="nanobot/beta"), free("beta")),
        (RoutingHints(model="moltbot:beta"), free("beta")),
        (RoutingHints(model="openclaw:beta"), free("beta")),
        (RoutingHints(model="openclaw/beta"), free("beta")),
        (RoutingHints(model="moltbot/beta"), free("beta")),
        (RoutingHints(model="MOLTBOT:main"), free()),
        (RoutingHints(model="Moltbot/BETA"), free("beta")),
        (RoutingHints(model="Agent:main"), free()),
        (RoutingHints(model="AGENT:Beta"), free("beta")),
        (RoutingHints(model="NanoBot/beta"), free("beta")),
        (RoutingHints(model="OpenClaw:default"), free()),
        (RoutingHints(model="MoltBot"), free()),
        (RoutingHints(model="agent/beta"), ToModel(id="agent/beta")),
        (RoutingHints(model="moltbots:beta"), ToModel(id="moltbots:beta")),
        (RoutingHints(model="my/agent:beta"), ToModel(id="my/agent:beta")),
        (RoutingHints(model="agent:main"), free()),
        (RoutingHints(model="openclaw/default"), free()),
        (RoutingHints(model="moltbot"), free()),
        (RoutingHints(model="openclaw"), free()),
        (RoutingHints(model="agent:beta", user="bob"), free("beta", "agent:beta:openai-user:bob")),
        (RoutingHints(model="agent:beta", user=""), free("beta")),
        (RoutingHints(model="agent:beta", session_id="mine", user="bob"), free("beta", "api:mine")),
        (RoutingHints(model="agent:beta", session_header="theirs", session_id="mine"), free("beta", "api:theirs")),
        (RoutingHints(model="agent:beta", session_header="agent:beta:work"), free("beta", "agent:beta:work")),
        (RoutingHints(agent_header="beta"), free("beta")),
        (RoutingHints(agent_header="Main", model="moltbot"), free()),
        (RoutingHints(agent_header="beta", model="agent:main"), free("beta")),
        (RoutingHints(agent_header="beta", model="MiniMax-M2.7", user="bob"), free("beta", "agent:beta:openai-user:bob")),
        (RoutingHints(model="my-model"), ToModel(id="my-model")),
        (RoutingHints(model="my-model", session_id="mine", user="bob"), ToModel(id="my-model")),
        (RoutingHints(model="openai/gpt-5"), ToModel(id="openai/gpt-5")),
        (RoutingHints(model=""), ToModel(id="")),
    ],
    ids=str,
)
def test_the_model_id_chooses_the_contract(named: RoutingHints, expected: Route) -> None:
    assert route(named, KNOWN) == expected


@pytest.mark.parametrize(
    "named",
    [
        RoutingHints(model="agent:nobody"),
        RoutingHints(model="agent:"),
        RoutingHints(agent_header=""),
        RoutingHints(agent_header="../x"),
    ],
    ids=str,
)
def test_an_agent_that_is_not_there_is_not_found(named: RoutingHints) -> None:
    with pytest.raises(ModelNotFound):
        route(named, KNOWN)


@pytest.mark.parametrize(
    "prefix", ["telegram:1", "Discord:1", "cron:x", "subagent:x", "agent:main:x", "once:turn_1", "api:x", "", "a\nb", "x" * 257]
)
def test_no_key_that_is_not_a_clients_to_name_is_taken_from_one(prefix: str) -> None:
    for named in (
        RoutingHints(session_id=prefix),
        RoutingHints(model="agent:beta", session_id=prefix),
        RoutingHints(model="agent:beta", session_header=prefix),
    ):
        with pytest.raises(InvalidRequest) as refused:
            route(named, KNOWN)
        assert refused.value.param in ("session_id", "x-nanobot-session-key")


def test_a_user_is_named_in_at_most_256_characters() -> None:
    assert route(RoutingHints(model="agent:beta", user="x" * 256), KNOWN)
    with pytest.raises(InvalidRequest):
        route(RoutingHints(model="agent:beta", user="x" * 257), KNOWN)


def test_a_workflow_that_is_offered_is_asked_by_its_name_and_others_are_models() -> None:
    known = AgentCatalog(model="MiniMax-M2.7", agents=("main",), workflows=("greet",))
    assert route(RoutingHints(model="workflow:greet", session_id="mine"), known) == ToWorkflow(id="greet")
    for name in ("workflow:other", "greet", "workflow:", "Workflow:greet"):
        assert route(RoutingHints(model=name), known) == ToModel(id=name)


@pytest.mark.parametrize("model", [None, "MiniMax-M2.7"])
def test_where_there_is_only_chat_the_client_brings_the_history_under_the_models_name_too(model: str | None) -> None:
    known = AgentCatalog(model="MiniMax-M2.7", agents=("main",), takes_history=True)
    assert route(RoutingHints(model=model), known) == ToAgent(agent="main", session=None, takes_history=True, shown="MiniMax-M2.7")
    assert route(RoutingHints(model=model, session_id="mine"), known) == ToAgent(
        agent="main", session="api:mine", takes_history=True, shown="MiniMax-M2.7"
    )
