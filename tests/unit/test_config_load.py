import json
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_snake

from assistant.config import ConfigError, Loaded, load_config
from assistant.contracts.messages import Json


def load(folder: Path, content: Json | str | bytes, env: dict[str, str] | None = None, overrides: dict[str, Json] | None = None) -> Loaded:
    file = folder / "config.json"
    data = content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode()
    file.write_bytes(data)
    return load_config(file, {"NANOBOT_HOME": str(folder / "home"), **(env or {})}, overrides or {})


def refusal(folder: Path, content: Json | str | bytes, env: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, content, env)
    return str(caught.value)


def test_an_empty_object_gives_the_defaults(tmp_path: Path):
    loaded = load(tmp_path, {})
    assert loaded.config.agent.max_tool_iterations == 40
    assert loaded.notices == ()


def test_keys_are_taken_in_camel_case_and_in_snake_case(tmp_path: Path):
    assert load(tmp_path, {"agents": {"defaults": {"maxTokens": 5}}}).config.agent.max_tokens == 5
    assert load(tmp_path, {"agents": {"defaults": {"max_tokens": 6}}}).config.agent.max_tokens == 6


def test_one_key_in_two_spellings_is_refused(tmp_path: Path):
    assert "agents.defaults.maxTokens: is given twice" in refusal(tmp_path, {"agents": {"defaults": {"maxTokens": 5, "max_tokens": 6}}})


def test_an_unknown_key_is_refused_with_its_path_and_the_nearest_one(tmp_path: Path):
    text = refusal(tmp_path, {"agents": {"defaults": {"maxTokns": 5}}})
    assert text == f'{tmp_path / "config.json"}: agents.defaults.maxTokns: there is no such key; did you mean "agents.defaults.maxTokens"?'


def test_a_key_in_the_wrong_section_is_told_where_it_belongs(tmp_path: Path):
    assert 'did you mean "agents.defaults.workspace"?' in refusal(tmp_path, {"workspace": "/srv/work"})


def test_a_key_that_resembles_none_is_told_where_to_look(tmp_path: Path):
    assert "there is no such key; nanobot config show lists" in refusal(tmp_path, {"zzz": 1})


def test_all_problems_are_named_at_once(tmp_path: Path):
    text = refusal(tmp_path, {"shutdwn": {}, "log": {"level": "${NO_SUCH_LEVEL}"}})
    assert len(text.splitlines()) == 2
    assert 'did you mean "shutdown"?' in text
    assert "log.level: the environment variable NO_SUCH_LEVEL is not set" in text


def test_a_value_of_the_wrong_kind_is_refused_with_its_path_and_without_its_text(tmp_path: Path):
    text = refusal(tmp_path, {"agents": {"defaults": {"maxTokens": "hunter2"}}})
    assert "agents.defaults.maxTokens: must be a valid integer" in text
    assert "hunter2" not in text


@pytest.mark.parametrize("content", ["[]", '"text"', "null"])
def test_a_file_without_an_object_is_refused(tmp_path: Path, content: str):
    assert "must hold a JSON object" in refusal(tmp_path, content)


def test_a_section_that_is_no_object_is_refused(tmp_path: Path):
    assert refusal(tmp_path, {"agents": [1]}).endswith(": agents: must be an object: {…}")
    assert refusal(tmp_path, {"api": {"allowedHosts": {}}}).endswith(": api.allowedHosts: must be a list: […]")


def test_broken_json_is_refused_with_line_and_column(tmp_path: Path):
    assert "at line 2, column 13" in refusal(tmp_path, '{\n  "agents": }')


def test_a_key_that_stands_twice_is_refused(tmp_path: Path):
    assert 'the key "log" stands twice' in refusal(tmp_path, '{"log": {}, "log": {}}')


def test_what_json_does_not_have_is_refused(tmp_path: Path):
    assert "NaN is not JSON" in refusal(tmp_path, '{"shutdown": {"grace": NaN}}')
    assert "nested too deeply" in refusal(tmp_path, '{"a":' * 100_000)
    assert "is not UTF-8 text (byte 0)" in refusal(tmp_path, b"\xff\xfe{\x00}\x00")


def test_a_byte_order_mark_is_accepted(tmp_path: Path):
    assert load(tmp_path, b'\xef\xbb\xbf{"log": {"level": "DEBUG"}}').config.log.level == "debug"


def test_variables_are_filled_in_anywhere_in_a_text(tmp_path: Path):
    content: Json = {"agents": {"defaults": {"instructions": "I am ${NAME} of ${PLACE}, worth $${NAME}."}}}
    loaded = load(tmp_path, content, {"NAME": "Ada", "PLACE": "Kent"})
    assert loaded.config.agent.instructions == "I am Ada of Kent, worth ${NAME}."


def test_a_filled_in_text_is_not_filled_in_again(tmp_path: Path):
    content: Json = {"agents": {"defaults": {"instructions": "${ONE}"}}}
    assert load(tmp_path, content, {"ONE": "${TWO}", "TWO": "no"}).config.agent.instructions == "${TWO}"


def test_the_environment_overrides_the_file_and_the_command_line_both(tmp_path: Path):
    env = {"NANOBOT_AGENTS__DEFAULTS__MAX_TOKENS": "20", "NANOBOT_LOG__LEVEL": "error"}
    loaded = load(tmp_path, {"agents": {"defaults": {"maxTokens": 10}}}, env, {"log.level": "debug"})
    assert loaded.config.agent.max_tokens == 20
    assert loaded.config.log.level == "debug"


def test_an_empty_variable_counts_as_not_set(tmp_path: Path):
    assert load(tmp_path, {}, {"NANOBOT_LOG__LEVEL": ""}).config.log.level == "info"


def test_a_variable_with_one_underscore_too_few_is_noticed(tmp_path: Path):
    loaded = load(tmp_path, {}, {"NANOBOT_API_PORT": "9000", "NANOBOT_URL": "http://127.0.0.1:1", "NANOBOT_LOG__LEVEL": "debug"})
    assert loaded.config.api.port == 8900
    assert loaded.notices == ("NANOBOT_API_PORT: has no effect; two underscores separate the parts of a key: NANOBOT_API__PORT",)


def test_a_variable_may_hold_json_where_an_object_is_wanted(tmp_path: Path):
    loaded = load(tmp_path, {}, {"NANOBOT_MODEL_PRESETS__FAST": '{"model": "gpt-5-mini"}'})
    assert loaded.config.model_presets["fast"].model == "gpt-5-mini"
    assert "NANOBOT_MODEL_PRESETS__FAST: modelPresets.fast: takes JSON here" in refusal(tmp_path, {}, {"NANOBOT_MODEL_PRESETS__FAST": "{"})


def test_a_variable_reaches_a_name_in_any_spelling(tmp_path: Path):
    content: Json = {"modelPresets": {"Big-One": {"model": "a", "maxTokens": 5}}}
    presets = load(tmp_path, content, {"NANOBOT_MODEL_PRESETS__BIG_ONE__MODEL": "b"}).config.model_presets
    assert {name: (preset.model, preset.max_tokens) for name, preset in presets.items()} == {"Big-One": ("b", 5)}


def test_a_wrong_variable_is_named(tmp_path: Path):
    text = refusal(tmp_path, {}, {"NANOBOT_SHUTDOWN__GRACE": "soon", "NANOBOT_LOG__LEVEL": "loud"})
    assert "NANOBOT_SHUTDOWN__GRACE: shutdown.grace: must be a valid number" in text
    assert "NANOBOT_LOG__LEVEL: log.level: must be 'debug'" in text
    assert 'NANOBOT_LOG__LEVLE: log.levle: there is no such key; did you mean "log.level"?' in refusal(
        tmp_path, {}, {"NANOBOT_LOG__LEVLE": "debug"}
    )


def test_the_configuration_is_frozen(tmp_path: Path):
    with pytest.raises(ValueError, match="frozen"):
        load(tmp_path, {}).config.log.level = "debug"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_model_preset_takes_the_place_of_the_agents_own_model(tmp_path: Path):
    content: Json = {
        "agents": {"defaults": {"model": "old", "modelPreset": "fast", "maxTokens": 10, "maxToolIterations": 3}},
        "modelPresets": {"fast": {"model": "new", "provider": "groq", "reasoningEffort": "adaptive"}},
    }
    agent = load(tmp_path, content).config.agent
    assert (agent.model, agent.provider, agent.max_tokens, agent.max_tool_iterations) == ("new", "groq", None, 3)


def test_a_model_preset_that_is_not_there_is_refused(tmp_path: Path):
    assert 'modelPreset names "fast", which is not one of modelPresets' in refusal(
        tmp_path, {"agents": {"defaults": {"modelPreset": "fast"}}}
    )


def test_fallback_models_are_names_of_presets_or_of_models_or_presets_themselves(tmp_path: Path):
    fallbacks: Json = ["fast", "openai/gpt-5-mini", {"model": "own", "provider": "groq", "max_tokens": 5}]
    content: Json = {
        "agents": {"defaults": {"fallbackModels": fallbacks}},
        "modelPresets": {"fast": {"model": "new", "provider": "mistral"}},
    }
    config = load(tmp_path, content).config
    found = config.fallbacks(config.agent)
    assert [(preset.model, preset.provider) for preset in found] == [("new", "mistral"), ("openai/gpt-5-mini", "auto"), ("own", "groq")]


def test_wrong_values_are_named_beside_unknown_keys(tmp_path: Path):
    text = refusal(tmp_path, {"api": {"prot": 1, "port": "x"}, "providers": {"openai": {"apiKey": "${NOT_SET}"}}})
    assert [line.split(": ")[1] for line in text.splitlines()] == ["api.prot", "providers.openai.apiKey", "api.port"]


def test_a_schema_may_be_named(tmp_path: Path):
    assert load(tmp_path, {"$schema": "config.schema.json"}).notices == ()


def test_a_retired_key_is_accepted_and_the_notice_says_what_applies(tmp_path: Path):
    telegram: Json = {"connectionPoolSize": 7, "poolTimeout": None}
    loaded = load(tmp_path, {"channels": {"telegram": telegram}}, {"NANOBOT_DOCUMENTS__IMAGE_FRAMES": "5"})
    assert loaded.notices == (
        "channels.telegram.connectionPoolSize: no longer a setting: at most 100 connections",
        "documents.imageFrames: no longer a setting: an animated picture has at most 100 frames",
    )


GONE_SINCE_0_1_0 = {
    "documents": "textChars imageFrames imageBytes pdfPagesRefused archiveEntries archivePartMib archiveRatio",
    "channels.telegram": "streamEditInterval webhookMaxConnections connectionPoolSize poolTimeout",
    "channels.discord": "intents gatewayUrl proxyUsername proxyPassword",
}


@pytest.mark.parametrize("source", ["camelCase", "snake_case", "environment"])
def test_every_key_of_the_first_release_that_is_gone_is_accepted_with_a_notice(tmp_path: Path, source: str):
    keys = [(section, key) for section, names in GONE_SINCE_0_1_0.items() for key in names.split()]
    content: dict[str, Json] = {}
    env: dict[str, str] = {}
    for section, key in keys:
        if source == "environment":
            env[f"NANOBOT_{section.replace('.', '__')}__{to_snake(key)}".upper()] = "7"
            continue
        place: Any = content
        for name in section.split("."):
            place = place.setdefault(name, {})
        place[key if source == "camelCase" else to_snake(key)] = 7
    notices = load(tmp_path, content, env).notices
    assert {notice.partition(": no longer a setting: ")[0] for notice in notices} == {f"{section}.{key}" for section, key in keys}


def test_names_that_people_choose_are_never_taken_for_each_other(tmp_path: Path):
    content: Json = {"modelPresets": {"big-one": {"model": "a"}, "bigone": {"model": "b"}}}
    assert [preset.model for preset in load(tmp_path, content).config.model_presets.values()] == ["a", "b"]


def test_an_old_name_in_the_file_gives_way_to_the_environment(tmp_path: Path):
    content: Json = {"channels": {"telegram": {"groupPolicy": "open"}}}
    settings = load(tmp_path, content, {"NANOBOT_CHANNELS__TELEGRAM__GROUPS": "off"}).config.channels.by_name()["telegram"]
    assert settings.model_dump()["groups"] == "off"
    content = {"channels": {"telegram": {"groupPolicy": "open", "groups": "off"}}}
    assert "channels.telegram.groups: is given twice" in refusal(tmp_path, content)
