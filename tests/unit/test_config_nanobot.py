import json
from pathlib import Path

import pytest

from assistant.config import Config, ConfigError, Loaded, load_config
from assistant.config.aliases import NANOBOT_KEYS, NANOBOT_SECTIONS, RETIRED
from assistant.config.json_schema import leaves, schema_of
from assistant.contracts.messages import Json


def load(folder: Path, content: Json) -> Loaded:
    (folder / "config.json").write_text(json.dumps(content))
    return load_config(None, {"NANOBOT_HOME": str(folder / "home")}, directory=folder)


def test_a_key_of_nanobot_without_effect_is_accepted_and_said(tmp_path: Path):
    loaded = load(tmp_path, {"agents": {"defaults": {"botName": "Kit", "timezone": "UTC"}}, "gateway": {"heartbeat": {"interval_s": 60}}})
    assert loaded.notices == (
        "agents.defaults.botName: known from nanobot, has no effect here",
        "gateway.heartbeat.intervalS: known from nanobot, has no effect here",
    )


def test_many_entries_of_one_kind_are_said_once(tmp_path: Path):
    loaded = load(tmp_path, {"providers": {"one": {"region": "a"}, "two": {"region": "b"}}})
    assert loaded.notices == ("providers.<name>.region: known from nanobot, has no effect here",)


def test_what_is_empty_or_switched_off_is_not_said(tmp_path: Path):
    content: Json = {"channels": {"wecom": {"enabled": False, "botToken": "x"}}, "tools": {"web": {"proxy": None}, "mcpServers": {}}}
    assert load(tmp_path, content).notices == ()


def test_a_channel_that_is_switched_on_is_said(tmp_path: Path):
    assert load(tmp_path, {"channels": {"wecom": {"enabled": True}}}).notices == ("channels.wecom: known from nanobot, has no effect here",)


def test_variables_in_keys_without_effect_need_not_be_set(tmp_path: Path):
    load(tmp_path, {"channels": {"wecom": {"enabled": True, "botToken": "${NOT_SET_ANYWHERE}"}}})


def test_a_misspelt_key_in_a_section_of_nanobot_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r'tools.exec.timeuot: there is no such key; did you mean "tools.exec.timeout"'):
        load(tmp_path, {"tools": {"exec": {"timeuot": 5}}})


def test_the_file_that_nanobot_writes_loads(tmp_path: Path):
    defaults: Json = {"workspace": "~/.nanobot/workspace", "model": "anthropic/claude-opus-4-5", "provider": "auto", "maxTokens": 8192}
    content: Json = {
        "agents": {"defaults": {**defaults, "temperature": 0.1, "reasoningEffort": None, "dream": {"enabled": True, "intervalH": 2}}},
        "modelPresets": {"fast": {"label": None, "model": "openai/gpt-5-mini", "provider": "auto", "maxTokens": 8192, "temperature": 0.1}},
        "channels": {"sendProgress": True, "telegram": {"enabled": True, "token": "1:x", "allowFrom": ["42"], "groupPolicy": "mention"}},
        "tools": {"web": {"enable": True, "search": {"provider": "duckduckgo"}}, "exec": {"enable": True}, "restrictToWorkspace": False},
    }
    config = load(tmp_path, content).config
    assert (config.agent.model, config.agent.max_tokens, config.agent.temperature) == ("anthropic/claude-opus-4-5", 8192, 0.1)


ONBOARDED = Path(__file__).parent / "data" / "nanobot-0.3.5.json"
"""What `nanobot onboard` of nanobot-ai 0.3.5 writes; `make test-nanobot` takes that of the newest release."""


def test_what_onboard_writes_loads_and_every_key_is_known(tmp_path: Path):
    loaded = load_config(ONBOARDED, {"NANOBOT_HOME": str(tmp_path)}, directory=tmp_path)
    assert loaded.config.agent.model == "anthropic/claude-opus-4-5"
    assert [notice for notice in loaded.notices if "unknown here" in notice] == []


NEXT_RELEASE = [
    ("agents.defaults.brandNew", 3),
    ("agents.defaults.rooms", {"enabled": True}),
    ("tools.exec.jailMode", "strict"),
    ("tools.brandNew", {"enabled": True}),
    ("channels.telegram.reactions", True),
    ("channels.discord.voiceRooms", 2),
    ("channels.pigeon", {"enabled": True, "token": "t"}),
    ("channels.broadcastLimit", 4),
    ("gateway.mesh", {"on": True}),
    ("gateway.heartbeat.jitterS", 4),
    ("transcription.diarize", True),
    ("providers.openai.serviceRegion", "eu"),
    ("modelPresets.fast.labelColor", "red"),
    ("api.maxSockets", 5),
    ("memoryStore", {"path": "x"}),
]


@pytest.mark.parametrize(("key", "value"), NEXT_RELEASE)
def test_a_key_of_the_next_release_is_a_notice(tmp_path: Path, key: str, value: Json):
    content: Json = {"agents": {"defaults": {"botName": "Kit"}}, "modelPresets": {"fast": {"model": "m"}}}
    notices = load(tmp_path, with_key(content, key, value)).notices
    assert notices[-1] == f"{key}: unknown here, has no effect (the file has other keys of nanobot)"


@pytest.mark.parametrize("value", [None, "", [], {}, {"enabled": False, "token": "x"}])
def test_a_key_of_the_next_release_that_asks_for_nothing_is_not_said(tmp_path: Path, value: Json):
    assert load(tmp_path, {"transcription": {"enabled": None}, "channels": {"pigeon": value}}).notices == ()


def test_a_provider_of_the_next_release_is_accepted_while_it_is_empty(tmp_path: Path):
    assert load(tmp_path, {"providers": {"nextai": {"apiKey": None, "apiBase": None, "apiType": "auto"}}}).notices == ()
    with pytest.raises(ConfigError, match="'nextai' is not a known provider and has no apiBase"):
        load(tmp_path, {"providers": {"nextai": {"apiKey": "k"}}})


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("agents.defaults.temprature", "agents.defaults.temperature"),
        ("agents.defaults.maxTokns", "agents.defaults.maxTokens"),
        ("channels.telegram.alowFrom", "channels.telegram.allowFrom"),
        ("channels.telegarm", "channels.telegram"),
        ("tools.exec.timeuot", "tools.exec.timeout"),
        ("api.hots", "api.host"),
        ("api.apiKye", "api.apiKey"),
        ("providers.openai.apiKy", "providers.openai.apiKey"),
        ("auth.tokne", "auth.token"),
        ("store.ulr", "store.url"),
    ],
)
def test_a_misspelt_key_is_refused_in_a_file_of_nanobot_too(tmp_path: Path, key: str, meant: str):
    with pytest.raises(ConfigError, match=f'did you mean "{meant}"'):
        load(
            tmp_path, with_key({"agents": {"defaults": {"botName": "Kit"}}}, key, {"enabled": True} if key == "channels.telegarm" else "x")
        )


def test_an_unknown_key_of_a_section_of_ours_is_refused_in_a_file_of_nanobot_too(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"deliver\.brandNew: there is no such key"):
        load(tmp_path, {"gateway": {"port": 1}, "deliver": {"brandNew": 1}})


def test_an_unknown_key_without_any_of_nanobot_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"agents\.defaults\.brandNew: there is no such key"):
        load(tmp_path, {"agents": {"defaults": {"brandNew": 1}}})


def with_key(content: Json, path: str, value: Json) -> Json:
    """The object with one more key, by its dotted path."""
    name, _, rest = path.partition(".")
    assert isinstance(content, dict)
    return {**content, name: with_key(content.get(name, {}), rest, value) if rest else value}


NANOBOT_PROVIDERS = (
    *("custom", "azureOpenai", "bedrock", "anthropic", "openai", "openrouter", "assemblyai", "huggingface", "skywork", "deepseek", "groq"),
    *("zhipu", "dashscope", "vllm", "ollama", "lmStudio", "atomicChat", "ovms", "gemini", "moonshot", "kimiCoding", "minimax"),
    *("minimaxAnthropic", "mistral", "stepfun", "xiaomiMimo", "longcat", "antLing", "aihubmix", "siliconflow", "novita", "volcengine"),
    *("volcengineCodingPlan", "byteplus", "byteplusCodingPlan", "qianfan", "nvidia", "opencode", "opencodeZen", "opencodeGo"),
)


def test_every_provider_that_nanobot_writes_is_accepted(tmp_path: Path):
    empty: Json = {"apiKey": None, "apiBase": None, "apiType": "auto", "extraHeaders": None, "extraBody": None, "extraQuery": None}
    blank: Json = {**empty, "proxy": None, "thinkingStyle": None, "region": None}
    assert load(tmp_path, {"providers": dict.fromkeys(NANOBOT_PROVIDERS, blank)}).notices == ()


def test_a_provider_that_cannot_be_reached_here_is_said(tmp_path: Path):
    providers: Json = {"bedrock": {"apiKey": "x", "region": "eu-west-1"}, "openai": {"apiKey": "x", "apiType": "responses"}}
    assert load(tmp_path, {"providers": providers}).notices == (
        "providers.<name>.region: known from nanobot, has no effect here",
        "providers.bedrock: known from nanobot, has no effect here",
        "providers.openai.apiType: known from nanobot, has no effect here",
    )


def test_the_api_section_of_nanobot_is_obeyed(tmp_path: Path):
    content: Json = {"api": {"host": "127.0.0.1", "port": 8900, "timeout": 120.0, "apiKey": ""}}
    loaded = load(tmp_path, content)
    assert (loaded.config.api.api_key, loaded.notices) == (None, ())


def test_no_key_is_both_obeyed_and_without_effect():
    obeyed = {".".join(path) for path, _ in leaves(schema_of(Config))}
    foreign = {f"{section}.{key}" for section, keys in NANOBOT_KEYS.items() for key in keys} | set(NANOBOT_SECTIONS)
    assert not obeyed & (foreign | RETIRED.keys())
