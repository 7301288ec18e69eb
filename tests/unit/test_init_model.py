"""What an answer to "which model?" writes, without asking anyone."""

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.cli.init_model import NotChosen, Offer, model_changes
from assistant.config import load_config

OFFERS = (Offer("ollama", ("llama3.2", "qwen3"), "on this machine"), Offer("openai", (), "gpt-5-mini"))
MODEL = ("agents", "defaults", "model")


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AZURE_OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def written(tmp_path: Path, answer: str, *asked: str, key: str | None = None, **config: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """(values by their dotted paths, secrets); `asked`: what is typed at further questions, in order."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    loaded = load_config(file, {"NANOBOT_HOME": str(tmp_path / "home")})
    answers = iter(asked)

    def ask(words: str, hidden: bool) -> str:
        return next(answers)

    changes = model_changes(answer, OFFERS, loaded, ask, key=key, check=False)
    assert next(answers, None) is None
    return {".".join(path): value for path, value in changes.values.items()}, changes.secrets


@pytest.mark.parametrize(
    ("answer", "asked", "values"),
    [
        ("1", ("qwen3",), {"agents.defaults.model": "ollama/qwen3"}),
        ("1", ("",), {"agents.defaults.model": "ollama/llama3.2"}),
        ("ollama/llama3.2", (), {"agents.defaults.model": "ollama/llama3.2"}),
        ("none", (), {"agents.defaults.model": "offline"}),
        ("2", ("sk-1",), {"providers.openai.apiKey": "${OPENAI_API_KEY}", "agents.defaults.model": "openai/gpt-5-mini"}),
        ("OpenAI/gpt-5", ("sk-1",), {"providers.openai.apiKey": "${OPENAI_API_KEY}", "agents.defaults.model": "openai/gpt-5"}),
        (
            "https://models.example/v1",
            ("", "large"),
            {"providers.custom.apiBase": "https://models.example/v1", "agents.defaults.model": "custom/large"},
        ),
        (
            "azure-openai",
            ("https://a.openai.azure.com/openai/v1", "k", "mine"),
            {
                "providers.azure_openai.apiBase": "https://a.openai.azure.com/openai/v1",
                "providers.azure_openai.apiKey": "${AZURE_OPENAI_API_KEY}",
                "agents.defaults.model": "azure_openai/mine",
            },
        ),
    ],
)
def test_an_answer_writes_what_it_means(tmp_path: Path, answer: str, asked: tuple[str, ...], values: dict[str, Any]) -> None:
    assert written(tmp_path, answer, *asked)[0] == values


def test_what_would_win_over_the_model_is_taken_back(tmp_path: Path) -> None:
    defaults = {"provider": "anthropic", "modelPreset": "fast"}
    values, secrets = written(tmp_path, "2", key="sk-2", agents={"defaults": defaults}, modelPresets={"fast": {"model": "x"}})
    assert (values["agents.defaults.provider"], values["agents.defaults.modelPreset"]) == ("auto", None)
    assert secrets == {"OPENAI_API_KEY": "sk-2"}


def test_a_key_that_is_there_is_kept(tmp_path: Path) -> None:
    values, secrets = written(tmp_path, "openai", "", providers={"openai": {"apiKey": "sk-old"}})
    assert (values, secrets) == ({"agents.defaults.model": "openai/gpt-5-mini"}, {})


@pytest.mark.parametrize(
    ("answer", "asked", "words"),
    [
        ("3", (), "'3' is no provider"),
        ("http://", (), "that URL names no host"),
        ("lm-studio", (), "lm_studio does not answer at http://127.0.0.1:1234/v1"),
        ("openai", ("",), "openai needs a key: OPENAI_API_KEY in the environment, or --key"),
        ("openai", ("two words",), "a key is one word without spaces"),
        ("azure_openai", ("nowhere",), "azure_openai needs the URL of its API"),
        ("moonshot", ("k", ""), "moonshot needs the name of a model: moonshot/NAME"),
    ],
)
def test_an_answer_that_means_nothing_says_what_to_give(tmp_path: Path, answer: str, asked: tuple[str, ...], words: str) -> None:
    with pytest.raises(NotChosen, match=words.replace("(", r"\(")):
        written(tmp_path, answer, *asked)
