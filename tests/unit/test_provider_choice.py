"""Which provider is chosen, and the reason that is given for it."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import replace

import pytest
from pydantic import TypeAdapter, ValidationError

from assistant.providers import listing
from assistant.providers.choice import ChosenModel, NoSuchProvider, choose
from assistant.providers.listing import LOCAL_SERVERS
from assistant.providers.presets import KNOWN_MODELS, PRESETS, UNSUPPORTED, known_model
from assistant.providers.registry import open_provider
from assistant.providers.settings import ProviderSettings, ProvidersSettings
from tests.doubles.model_server import ModelServer

SETTINGS: TypeAdapter[Mapping[str, ProviderSettings]] = TypeAdapter(ProvidersSettings)


async def chosen(
    model: str | None = None,
    provider: str = "auto",
    providers: Mapping[str, object] | None = None,
    local: int = 0,
    environment: Mapping[str, str] | None = None,
) -> ChosenModel:
    """`local`: the port where an Ollama listens; none otherwise."""
    servers = [replace(LOCAL_SERVERS[0], port=local, base_url=f"http://127.0.0.1:{local}/v1")] if local else []
    parsed = SETTINGS.validate_python(providers or {})
    return await choose(model=model, provider=provider, providers=parsed, environment=environment or {}, local=servers)


async def what(
    model: str | None = None,
    provider: str = "auto",
    providers: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[str, str]:
    found = await chosen(model, provider, providers, environment=environment)
    return found.provider, found.model


async def test_with_nothing_at_all_it_is_offline_and_says_why() -> None:
    found = await chosen()
    assert found.provider == "offline"
    assert str(found).startswith("offline (no provider is configured, no key is in the environment")


@pytest.mark.parametrize(
    ("variables", "provider"),
    [
        (["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"], "openai"),
        (["OPENROUTER_API_KEY", "ANTHROPIC_API_KEY"], "anthropic"),
        (["GEMINI_API_KEY", "OPENROUTER_API_KEY"], "openrouter"),
        (["GEMINI_API_KEY"], "gemini"),
        (["DEEPSEEK_API_KEY"], "deepseek"),
    ],
)
async def test_the_first_key_of_the_environment_decides(variables: list[str], provider: str) -> None:
    found = await chosen(environment=dict.fromkeys(variables, "sk-123456"))
    assert (found.provider, found.model) == (provider, PRESETS[provider].default_model)
    assert found.reason == f"{PRESETS[provider].key_variable} is set"
    assert found.key.get_secret_value() == "sk-123456"


async def test_a_blank_key_is_no_key() -> None:
    assert (await chosen(environment={"OPENAI_API_KEY": " "})).provider == "offline"


async def test_a_base_url_of_the_environment_is_taken_as_the_official_client_takes_it() -> None:
    environment = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    assert (await chosen(environment=environment)).settings.api_base == "http://127.0.0.1:9/v1"
    configured = {"openai": {"apiBase": "https://mine.example/v1"}}
    assert (await chosen(providers=configured, environment=environment)).settings.api_base == "https://mine.example/v1"
    assert (await chosen(environment={"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"})).provider == "offline"


async def test_the_configuration_comes_before_the_environment() -> None:
    found = await chosen(providers={"groq": {"apiKey": "gsk_1"}}, environment={"OPENAI_API_KEY": "sk-1"})
    assert (found.provider, found.reason) == ("groq", "providers.groq is configured")


KEYS = {"openrouter": {"apiKey": "a"}, "anthropic": {"apiKey": "b"}, "deepseek": {"apiKey": "c"}}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("anthropic/claude-opus-4-5", ("anthropic", "claude-opus-4-5")),
        ("claude-opus-4-5", ("anthropic", "claude-opus-4-5")),
        ("openrouter/anthropic/claude-opus-4-5", ("openrouter", "anthropic/claude-opus-4-5")),
        ("deepseek-reasoner", ("deepseek", "deepseek-reasoner")),
        ("meta-llama/llama-4", ("openrouter", "meta-llama/llama-4")),
        ("openai/gpt-5", ("openrouter", "openai/gpt-5")),
        ("gpt-5", ("openrouter", "gpt-5")),
        ("ollama/qwen3:8b", ("ollama", "qwen3:8b")),
        (None, ("openrouter", "openai/gpt-5-mini")),
    ],
)
async def test_a_models_name_chooses_its_provider(model: str | None, expected: tuple[str, str]) -> None:
    assert await what(model, providers=KEYS) == expected


async def test_a_provider_that_is_named_is_the_one() -> None:
    assert await what("anthropic/claude-opus-4-5", "openrouter", KEYS) == ("openrouter", "anthropic/claude-opus-4-5")
    assert await what("x", "lmStudio") == ("lm_studio", "x")
    assert await what("x", "offline", environment={"OPENAI_API_KEY": "sk-1"}) == ("offline", "offline")


async def test_an_endpoint_of_ones_own_is_chosen_by_its_name() -> None:
    mine = {"companyProxy": {"apiBase": "http://10.0.0.1/v1"}}
    assert await what("company-proxy/big", providers=mine) == ("company_proxy", "big")
    assert await what("gpt-5", providers=mine) == ("company_proxy", "gpt-5")


async def test_a_model_of_a_provider_without_a_key_says_which_is_missing() -> None:
    found = await chosen("anthropic/claude-opus-4-5", environment={"OPENAI_API_KEY": "sk-1"})
    assert (found.provider, found.reason) == ("offline", "the model anthropic/claude-opus-4-5 needs ANTHROPIC_API_KEY, which is not set")


@pytest.mark.parametrize(
    ("provider", "words"), [("opnai", "not a known provider"), ("github_copilot", "not supported"), ("custom", "apiBase")]
)
async def test_a_provider_that_cant_be_had_is_an_error_that_says_so(provider: str, words: str) -> None:
    with pytest.raises(NoSuchProvider, match=words):
        await chosen("x", provider)


async def test_a_provider_is_not_asked_for_a_model_that_is_known_as_anothers() -> None:
    found = await chosen("claude-opus-4-5", providers={"groq": {"apiKey": "gsk_1"}})
    assert (found.provider, found.reason) == ("offline", "the model claude-opus-4-5 needs ANTHROPIC_API_KEY, which is not set")


async def test_a_server_on_this_machine_is_found_with_its_model() -> None:
    async with ModelServer() as server:
        found = await chosen(local=server.port)
        assert (found.provider, found.model) == ("ollama", "fake-model")
        assert found.reason == f"it answers at http://127.0.0.1:{server.port}/v1"
        assert (await chosen("another-model", local=server.port)).provider == "offline"
        provider = open_provider(found)
        await provider.probe()
        await provider.close()


async def test_a_key_comes_before_a_server_on_this_machine() -> None:
    async with ModelServer() as server:
        assert (await chosen(local=server.port, environment={"OPENAI_API_KEY": "sk-1"})).provider == "openai"


async def test_another_service_at_a_usual_port_is_not_taken_for_a_model() -> None:
    async with ModelServer() as server:
        server.configure(mode="html")
        assert (await chosen(local=server.port)).provider == "offline"


async def test_a_port_that_says_nothing_holds_the_start_up_for_a_moment_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with asyncio.timeout(30):
            assert (await chosen(local=silent.getsockname()[1])).provider == "offline"
    assert listing._LOCAL_PATIENCE < 0.2  # pyright: ignore[reportPrivateUsage] - seconds


async def test_a_configured_local_server_without_a_model_is_asked_for_its_first() -> None:
    async with ModelServer() as server:
        assert await what(providers={"vllm": {"apiBase": server.url}}) == ("vllm", "fake-model")
    with pytest.raises(NoSuchProvider, match=r"Set agents\.defaults\.model"):
        await what(providers={"vllm": {"apiBase": server.url}})


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"OPENAI_API_KEY": "sk-secret\nsecret"}, "OPENAI_API_KEY holds a line break"),
        ({"OPENAI_API_KEY": "sk-secret", "OPENAI_BASE_URL": "127.0.0.1:9/v1"}, "OPENAI_BASE_URL must begin with http://"),
    ],
)
async def test_what_no_request_can_carry_is_an_error_that_names_the_variable(environment: dict[str, str], words: str) -> None:
    with pytest.raises(NoSuchProvider, match=words) as caught:
        await chosen(environment=environment)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "remedy"),
    [("claude-sonnet-5", "export ANTHROPIC_API_KEY=<your key>"), ("foo/bar", "correct agents.defaults.model"), (None, "")],
)
async def test_a_model_that_was_asked_for_and_cant_be_had_comes_with_its_remedy(model: str | None, remedy: str) -> None:
    found = await chosen(model)
    assert found.provider == "offline"
    assert found.remedy.startswith(remedy)
    assert bool(found.remedy) is bool(remedy)


async def test_a_choice_never_shows_its_key() -> None:
    found = await chosen(providers={"groq": {"apiKey": "gsk_secret1"}}, environment={"OPENAI_API_KEY": "sk-secret2"})
    assert "secret" not in repr(found) + str(found) + repr(found.settings)


async def test_with_fallbacks_the_first_is_the_one_that_is_told() -> None:
    both = [await chosen("gpt-5", environment={"OPENAI_API_KEY": "sk-1"}), await chosen()]
    provider = open_provider(both[0], fallbacks=both[1:])
    assert provider.info.id == "gpt-5"
    await provider.close()


def test_nanobots_keys_are_taken_in_both_spellings() -> None:
    found = SETTINGS.validate_python(
        {
            "lmStudio": {"apiKey": "", "apiBase": None, "extraHeaders": None},
            "openai": {"api_key": "k", "extra_headers": {"A": "b"}},
            "openaiCodex": {},
        }
    )
    assert list(found) == ["lm_studio", "openai", "openai_codex"]
    assert found["lm_studio"] == ProviderSettings()


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"opnai": {"apiKey": "k"}}, "Did you mean 'openai'"),
        ({"openai": {"apiKeys": "k"}}, "apiKeys"),
        ({"openai": {"apiBase": "api.x"}}, "http://"),
    ],
)
def test_a_mistake_in_the_section_is_named(section: Mapping[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SETTINGS.validate_python(section)


def test_every_preset_can_be_reached_and_named() -> None:
    for name, preset in PRESETS.items():
        assert name == preset.name == name.lower()
        assert name not in UNSUPPORTED
        assert preset.base_url or name in {"custom", "azure_openai"}
        assert not preset.base_url.endswith("/")
        assert preset.base_url.startswith("http://127.0.0.1:" if preset.port else "https://") or not preset.base_url
        assert bool(preset.key_variable) != bool(preset.port) or name == "custom"


def test_no_known_model_hides_behind_a_shorter_prefix() -> None:
    for known in KNOWN_MODELS:
        found = known_model(f"somebody/{known.prefix}-x")
        assert found is not None
        assert found.prefix == known.prefix
