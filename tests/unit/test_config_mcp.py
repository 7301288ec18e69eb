"""Servers of MCP in the configuration: blocks of other products, ours, and what is wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.app.mcp import OpenMcp
from assistant.config import ConfigError, Loaded, load_config
from assistant.mcp.service import McpServers
from assistant.mcp.settings import McpServer


def load(folder: Path, content: dict[str, Any]) -> Loaded:
    (folder / "config.json").write_text(json.dumps(content))
    return load_config(None, {"NANOBOT_HOME": str(folder / "home"), "TOKEN": "t0p"}, directory=folder)


@pytest.mark.parametrize("place", [["mcpServers"], ["tools", "mcpServers"], ["mcp", "servers"], ["mcp_servers"]])
def test_a_block_is_read_wherever_products_keep_it(tmp_path: Path, place: list[str]) -> None:
    content: dict[str, Any] = {"notes": {"command": "notes", "args": ["-v"], "env": {"KEY": "${TOKEN}"}}}
    for name in reversed(place):
        content = {name: content}
    loaded = load(tmp_path, content)
    server = loaded.config.mcp.servers["notes"]
    assert (server.command, server.args, server.env["KEY"].get_secret_value()) == ("notes", ("-v",), "t0p")
    assert loaded.notices == ()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "streamableHttp"}, {"type": "http"}),
        ({"type": "streamable-http"}, {"type": "http"}),
        ({"type": "sse"}, {"type": "sse"}),
        ({"disabled": True}, {"enabled": False}),
        ({"toolTimeout": 60}, {"timeout": 60.0}),
        ({"enabledTools": ["*"]}, {"tools": None}),
        ({"enabledTools": ["a"]}, {"tools": ("a",)}),
        ({"autoApprove": ["a"], "cwd": "/x", "description": "d", "auth": None, "command": ""}, {"enabled": True}),
        ({"people": ["all"]}, {"people": ("all",)}),
        ({}, {"people": ("owner",), "timeout": 20.0, "type": None}),
    ],
)
def test_keys_of_other_products_mean_what_they_say(given: dict[str, Any], expected: dict[str, Any]) -> None:
    server = McpServer.model_validate({"url": "https://example.org/mcp", **given})
    assert {name: getattr(server, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"mcpServers": {"a": {"command": "x", "url": "http://h/mcp"}}}, r'needs a "command" or a "url", not both'),
        ({"mcpServers": {"a": {}}}, r'needs a "command" or a "url"'),
        ({"mcpServers": {"a": {"url": "ftp://h"}}}, r"mcp\.servers\.a\.url"),
        ({"mcpServers": {"a": {"command": "x", "timeuot": 3}}}, r'timeuot: there is no such key; did you mean "mcp.servers.a.timeout"'),
        ({"mcpServers": {"a": {"command": "x", "type": "carrier pigeon"}}}, r"mcp\.servers\.a\.type"),
        ({"agents": {"defaults": {"mcp": ["b"]}}}, r'agents\.defaults\.mcp names "b", which is not one of mcp\.servers'),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        load(tmp_path, content)


@pytest.mark.parametrize(
    ("agent", "has"),
    [({}, True), ({"mcp": ["a"]}, True), ({"mcp": []}, False), ({"tools": []}, False), ({"tools": [], "mcp": ["a"]}, True)],
)
def test_an_agent_has_the_servers_that_it_names(tmp_path: Path, agent: dict[str, Any], has: bool) -> None:
    loaded = load(tmp_path, {"mcpServers": {"a": {"command": "x"}}, "agents": {"helper": agent}})
    servers: McpServers = object.__new__(McpServers)
    assert (OpenMcp(servers=servers).of_agent(loaded.config.named_agents["helper"]) is not None) is has
    assert OpenMcp(servers=None).of_agent(loaded.config.named_agents["helper"]) is None


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, {"mcpServers": {"a": {"url": "http://h/mcp", "headers": {"Authorization": "Bearer s3cret"}, "clientSecret": "s3cret"}}}
    )
    assert "s3cret" not in repr(loaded.config)
