"""agents.<id>: other agents beside the default one."""

from pathlib import Path

import pytest

from assistant.config import Config, ConfigError, load_config
from assistant.contracts.messages import Json


def config(agents: Json, **sections: Json) -> Config:
    overrides = {f"agents.{name}": value for name, value in agents.items()} if isinstance(agents, dict) else {}
    return load_config(None, {"NANOBOT_HOME": "/nowhere"}, {**overrides, **sections}, directory=Path("/")).config


def refusal(agents: Json) -> str:
    with pytest.raises(ConfigError) as refused:
        config(agents)
    return str(refused.value)


def test_what_an_agent_leaves_open_is_as_in_the_defaults() -> None:
    found = config({"defaults": {"model": "a", "temperature": 1, "maxToolIterations": 7}, "Beta": {"instructions": "Be brief."}})
    beta = found.named_agents["beta"]
    assert (beta.instructions, beta.model, beta.temperature, beta.max_tool_iterations) == ("Be brief.", "a", 1, 7)
    assert found.agent.instructions == ""


def test_an_agent_with_a_model_of_its_own_takes_nothing_of_the_defaults_model() -> None:
    defaults: Json = {"model": "a", "provider": "groq", "temperature": 1, "fallbackModels": ["b"], "mayMessage": "any"}
    beta = config({"defaults": defaults, "beta": {"model": "c", "max_tokens": 5}}).named_agents["beta"]
    assert (beta.model, beta.provider, beta.temperature, beta.max_tokens) == ("c", "auto", None, 5)
    assert (beta.fallback_models, beta.may_message) == ((), "any")


def test_an_agent_may_take_a_preset() -> None:
    presets: Json = {"fast": {"model": "new", "provider": "mistral", "temperature": 0}}
    beta = config({"beta": {"modelPreset": "fast", "temperature": 1}}, modelPresets=presets).named_agents["beta"]
    assert (beta.model, beta.provider, beta.temperature) == ("new", "mistral", 1)
    assert "agents.beta.modelPreset" in refusal({"beta": {"modelPreset": "slow"}})


@pytest.mark.parametrize(
    ("agents", "words"),
    [
        ({"main": {}}, "its settings are under agents.defaults"),
        ({"default": {}}, "its settings are under agents.defaults"),
        ({"defualts": {}}, 'did you mean "agents.defaults"?'),
        ({"a b": {}}, "an agent's id is 1 to 64"),
        ({"beta": {"instructoins": "x"}}, "agents.beta.instructions"),
        ({"beta": {"workspace": "x"}}, "agents.beta.workspace"),
        ({"beta": {"mayMessage": ["nowhere"]}}, "agents.beta.mayMessage"),
    ],
    ids=str,
)
def test_what_is_no_agent_is_refused_with_what_was_meant(agents: Json, words: str) -> None:
    assert words in refusal(agents)
