"""config.toml, as Server Node's page has it."""

from pathlib import Path

import pytest

from assistant.config import ConfigError, Loaded, load_config

PAGE = """
[api]
enabled = true
address = "127.0.0.1:8080"
# For external access:
# address = "0.0.0.0:8080"
# Authentication
api_key = "sk-your-secret-key"
require_auth = true
# Rate limiting
max_requests_per_minute = 60
max_tokens_per_minute = 100000
# CORS (for web clients)
cors_enabled = true
cors_origins = ["http://localhost:3000"]

[api.models]
[api.models.my-chat-model]
path = "/models/chat-model-v1"
type = "chat"
context_length = 4096
default_temperature = 0.7

[api.models.my-embedding-model]
path = "/models/embedding-model-v1"
type = "embedding"
dimensions = 768

[api.models.my-completion-model]
path = "/models/completion-model-v1"
type = "completion"
context_length = 2048
"""


def load(folder: Path, text: str) -> Loaded:
    path = folder / "config.toml"
    path.write_text(text)
    return load_config(path, {"NANOBOT_HOME": str(folder / "home")}, directory=folder)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load(folder, text)
    return str(refused.value)


def test_the_page_is_read_as_it_is(tmp_path: Path) -> None:
    config = load(tmp_path, PAGE).config
    assert (config.api.host, config.api.port) == ("127.0.0.1", 8080)
    assert config.api.api_key is not None
    assert config.api.api_key.get_secret_value() == "sk-your-secret-key"
    assert (config.api.limits.requests_per_minute, config.api.limits.tokens_per_minute) == (60, 100_000)
    assert config.api.cors.origins == ("http://localhost:3000",)
    assert list(config.models) == ["my-chat-model", "my-embedding-model", "my-completion-model"]
    chat, embedding, completion = config.models.values()
    assert (chat.type, chat.path, chat.context_length, chat.default_temperature) == ("chat", "/models/chat-model-v1", 4096, 0.7)
    assert (embedding.type, embedding.dimensions) == ("embedding", 768)
    assert (completion.type, completion.context_length) == ("completion", 2048)


def test_what_is_switched_off_does_not_hold(tmp_path: Path) -> None:
    off = '[api]\napi_key = "secret"\nrequire_auth = false\ncors_enabled = false\ncors_origins = ["http://localhost:3000"]\naddress = "[::1]:9000"'
    config = load(tmp_path, off).config
    assert config.api.api_key is None
    assert config.api.cors.origins == ()
    assert (config.api.host, config.api.port) == ("::1", 9000)


def test_our_own_words_may_stand_beside(tmp_path: Path) -> None:
    config = load(tmp_path, '[api]\ntimeout = 5\n[models.x]\ntype = "completion"\n[agents.beta]\ninstructions = "Be brief."').config
    assert (config.api.timeout, config.models["x"].type) == (5, "completion")
    assert config.named_agents["beta"].instructions == "Be brief."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[api]\nenabled = false", "api.enabled: is false"),
        ('[api]\nenabled = "yes"', "api.enabled: must be true or false"),
        ("[api]\nrequire_auth = true", "api.require_auth: is true, and api_key is not set"),
        ('[api]\naddress = "8080"', 'api.address: must be "host:port"'),
        ("[api]\nmax_requests = 5", "api.max_requests: there is no such key"),
        ("[api]\nmax_requests_per_minute = 0", "api.limits.requestsPerMinute"),
        ('[api.models.x]\ntype = "sound"', "models.x.type"),
        ('[api.models.x]\npath = "/a"\ndimensions = 5', "models.x: has dimensions"),
        ("[api.models.x]\n[models.y]", "models: is given beside api.models"),
        ("[api", "is not TOML"),
    ],
)
def test_what_can_not_be_meant_is_named_with_the_file(tmp_path: Path, text: str, words: str) -> None:
    told = refusal(tmp_path, text)
    assert words in told
    assert str(tmp_path / "config.toml") in told


def test_moltbots_switch_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"gateway": {"http": {"endpoints": {"chatCompletions": {"enabled": false}}}}}')
    config = load_config(path, {"NANOBOT_HOME": str(tmp_path / "home")}, directory=tmp_path).config
    assert config.api.endpoints.chat_completions.enabled is False


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ('"agent:x" = {}', "it names an agent"),
        ("moltbot = {}", "it names an agent"),
        ('x = { path = "/a", model = "b" }', "keep the one that is meant"),
        ("x = { dimensions = 5 }", 'only a model of type "embedding" has'),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(tmp_path: Path, model: str, words: str) -> None:
    assert words in refusal(tmp_path, f"[models]\n{model}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("idle_seconds = 5", "has idle_seconds, which only a model with a path has"),
        ('path = "x.gguf"\nvision = true', "a file takes no images"),
        ('path = "x.gguf"\nmodel = "y"', "keep the one that is meant"),
        ('path = "x.gguf"\nqueue = -1', "queue"),
    ],
)
def test_what_a_file_has_and_has_not_is_checked(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, f"[models.x]\n{text}")


def test_a_file_has_settings_of_its_own(tmp_path: Path) -> None:
    loaded = load(tmp_path, '[models.x]\npath = "x.gguf"\nthreads = 3\ngpuLayers = -1\nqueue = 0\nidle_seconds = 5')
    settings = loaded.config.models["x"]
    assert (settings.threads, settings.gpu_layers, settings.queue, settings.idle_seconds) == (3, -1, 0, 5)
    assert loaded.folder == tmp_path
