"""The configuration as a backup holds it: no secret is left in it, and all else is as it was."""

import json
from pathlib import Path

import pytest

from assistant.config import load_config
from assistant.config.reference import settings_of
from assistant.config.secretless import secretless

FILE = {
    "providers": {"openai": {"apiKey": "sk-1", "extraHeaders": {"X-Team": "blue"}}, "custom": {"apiBase": "http://me:pw@host/v1"}},
    "auth": {"mode": "token", "token": "t" * 32},
    "store": {"url": "postgresql://nanobot:pw@host/nanobot"},
    "channels": {"apprise": {"enabled": False, "services": {"phone": "pover://user@token"}}},
    "api": {"port": 9001, "apiKey": "${MINE}"},
    "agents": {"defaults": {"model": "openai/gpt-5-mini"}},
}
SECRETS = ("sk-1", "blue", "t" * 32, ":pw@", "pover://")


@pytest.mark.parametrize("suffix", ["json", "json5"])
def test_no_secret_is_left_and_the_rest_stays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"config.{suffix}"
    path.write_text(("// mine\n" if suffix == "json5" else "") + json.dumps(FILE, indent=2))
    name, text, names = secretless(path, load_config(path, {"MINE": "m" * 20, "NANOBOT_HOME": str(tmp_path)}).config)
    assert name == path.name
    assert [secret for secret in SECRETS if secret in text] == []
    assert text.startswith("// mine") == (suffix == "json5")
    assert '"${MINE}"' in text
    assert '"port": 9001' in text
    assert "PROVIDERS_OPENAI_API_KEY" in names
    path.write_text(text)
    given = dict.fromkeys(names, "x" * 32) | {"MINE": "m" * 20, "NANOBOT_HOME": str(tmp_path)}
    given |= {"STORE_URL": "postgresql://a:b@c/d", "PROVIDERS_CUSTOM_API_BASE": "http://host/v1"}
    again = load_config(path, given)
    assert again.config.agent.model == "openai/gpt-5-mini"


def test_a_toml_file_becomes_json(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[auth]\nmode = "token"\ntoken = "' + "t" * 32 + '"\n')
    name, text, names = secretless(path, load_config(path, {"NANOBOT_HOME": str(tmp_path)}).config)
    assert (name, names) == ("config.json", ("AUTH_TOKEN",))
    assert json.loads(text)["auth"] == {"mode": "token", "token": "${AUTH_TOKEN}"}


def test_a_file_without_secrets_is_kept_letter_by_letter(tmp_path: Path) -> None:
    path = tmp_path / "config.json5"
    path.write_text("{api: {port: 9001,},} // mine\n")
    assert secretless(path, load_config(path, {"NANOBOT_HOME": str(tmp_path)}).config) == ("config.json5", path.read_text(), ())


def test_secrets_in_arguments_and_addresses_are_found_by_what_names_them(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    arguments = ["-y", "notes", "--token", "given-1", "--api-key=given-2", "--log", "kept", "--key=${MINE}"]
    servers = {"a": {"command": "npx", "args": arguments}, "b": {"url": "https://b.example/mcp?team=kept&api_key=given-3"}}
    path.write_text(json.dumps({"mcp": {"servers": servers}}))
    loaded = load_config(path, {"MINE": "m" * 20, "NANOBOT_HOME": str(tmp_path)})
    _, text, names = secretless(path, loaded.config)
    assert names == ("MCP_SERVERS_A_ARGS_3", "MCP_SERVERS_A_ARGS_4", "MCP_SERVERS_B_URL")
    wanted = [*arguments[:3], "${MCP_SERVERS_A_ARGS_3}", "${MCP_SERVERS_A_ARGS_4}", *arguments[5:]]
    assert json.loads(text)["mcp"]["servers"] == {"a": {"command": "npx", "args": wanted}, "b": {"url": "${MCP_SERVERS_B_URL}"}}
    told = {key: value for key, value, _ in settings_of(loaded) if key.startswith("mcp.servers")}
    assert told["mcp.servers.a.args"] == [*arguments[:3], "**********", "**********", "--log", "kept", "**********"]
    assert told["mcp.servers.b.url"] == "**********"
