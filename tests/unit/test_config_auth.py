"""How callers are known, as the file, the environment and other products' documents say it."""

import json
from pathlib import Path

import pytest

from assistant.access.principals import CannotLetIn, auth_mode
from assistant.access.settings import AuthSettings
from assistant.config import load_config
from assistant.config.aliases import moved
from assistant.config.errors import ConfigError
from assistant.contracts.messages import Json


def auth(folder: Path, raw: object, **env: str) -> AuthSettings:
    file = folder / "config.json"
    file.write_text(json.dumps(raw), encoding="utf-8")
    return load_config(file, {"NANOBOT_HOME": str(folder / "home"), **env}).config.auth


def token(settings: AuthSettings) -> str | None:
    return settings.token.get_secret_value() if settings.token else None


def test_moltbots_gateway_auth_is_taken(tmp_path: Path) -> None:
    found = auth(tmp_path, {"gateway": {"port": 18789, "auth": {"mode": "token", "token": "t"}}})
    assert (found.mode, token(found)) == ("token", "t")


def test_moltbots_switch_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"gateway": {"http": {"endpoints": {"chatCompletions": {"enabled": False}}}}}), encoding="utf-8")
    loaded = load_config(file, {"NANOBOT_HOME": str(tmp_path / "home")})
    assert not loaded.config.api.endpoints.chat_completions.enabled
    assert loaded.notices == ()


def test_what_stands_in_both_places_is_ours() -> None:
    both: dict[str, Json] = {"auth": {"mode": "keys"}, "gateway": {"auth": {"mode": "password", "password": "p"}, "port": 1}}
    assert moved(both) == {"auth": {"mode": "keys", "password": "p"}, "gateway": {"port": 1}}
    assert moved({"gateway": {"auth": {}}}) == {"auth": {}}
    assert moved({"gateway": 7, "auth": 8}) == {"gateway": 7, "auth": 8}


def test_an_unknown_key_in_moltbots_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such key"):
        auth(tmp_path, {"gateway": {"auth": {"tokn": "t"}}})


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"CLAWDBOT_GATEWAY_TOKEN": "old"}, "old"),
        ({"NANOBOT_GATEWAY_TOKEN": "new", "CLAWDBOT_GATEWAY_TOKEN": "old"}, "new"),
        ({"NANOBOT_AUTH__TOKEN": "ours", "NANOBOT_GATEWAY_TOKEN": "new"}, "ours"),
        ({"NANOBOT_GATEWAY_TOKEN": ""}, None),
    ],
)
def test_the_token_comes_from_the_environment(tmp_path: Path, env: dict[str, str], expected: str | None) -> None:
    assert token(auth(tmp_path, {}, **env)) == expected


def test_the_password_and_the_project_come_from_the_environment(tmp_path: Path) -> None:
    found = auth(tmp_path, {}, CLAWDBOT_GATEWAY_PASSWORD="p", SUPABASE_URL="https://x.supabase.co", SUPABASE_KEY="k")
    assert found.password is not None
    assert found.password.get_secret_value() == "p"
    assert (found.supabase.url, found.supabase.key.get_secret_value()) == ("https://x.supabase.co", "k")
    assert found.mode is None


@pytest.mark.parametrize(
    ("word", "mode"), [("none", "none"), ("local", "none"), ("static", "token"), ("supabase", "supabase"), ("Static", "token")]
)
def test_nodetools_words_choose_the_mode_where_the_file_does_not(tmp_path: Path, word: str, mode: str) -> None:
    assert auth(tmp_path, {}, AUTH_PROVIDER=word).mode == mode
    assert auth(tmp_path, {"auth": {"mode": "keys"}}, AUTH_PROVIDER=word).mode == "keys"


def test_a_mode_that_there_is_not_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"AUTH_PROVIDER: auth\.mode: .*'supabase'"):
        auth(tmp_path, {}, AUTH_PROVIDER="oauth")


@pytest.mark.parametrize(
    ("settings", "mode"),
    [({}, "none"), ({"token": "t"}, "token"), ({"password": "p"}, "password"), ({"token": " "}, "none"), ({"mode": "keys"}, "keys")],
)
def test_without_a_mode_what_is_set_decides(settings: dict[str, str], mode: str) -> None:
    assert auth_mode(AuthSettings.model_validate(settings), None) == mode


def test_a_blank_secret_never_comes_to_mean_an_open_door() -> None:
    for mode in ("token", "password"):
        with pytest.raises(CannotLetIn):
            auth_mode(AuthSettings.model_validate({"mode": mode, "token": "", "password": "  "}), None)
