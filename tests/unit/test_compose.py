"""compose.yaml and the Dockerfile agree with the product: ports, folders, keys of the configuration."""

import re
from typing import Any

import yaml

from assistant.config.load import load_config
from tests.budgets import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVERS = ("nanobot", "replica")


def test_every_variable_of_ours_is_a_key_of_the_configuration() -> None:
    for name in SERVERS:
        given = {key: "postgresql://x/y" if key.endswith("URL") else "k" * 32 for key in COMPOSE["services"][name]["environment"]}
        ours = {key: value for key, value in given.items() if key.startswith("NANOBOT_")}
        assert ours
        loaded = load_config(None, {**ours, "NANOBOT_HOME": "/nowhere"}, directory=ROOT / "docs")
        assert loaded.notices == ()
        assert loaded.config.api.api_key is not None


def test_servers_have_a_root_that_they_cannot_write_and_time_to_end() -> None:
    grace = load_config(None, {"NANOBOT_HOME": "/nowhere"}, directory=ROOT / "docs").config.shutdown.grace
    for name in SERVERS:
        service = COMPOSE["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["volumes"] == ["state:/data"]
        assert float(service["stop_grace_period"].removesuffix("s")) > grace


def test_the_port_is_the_same_everywhere_and_open_to_this_machine_only() -> None:
    port = load_config(None, {"NANOBOT_HOME": "/nowhere"}, directory=ROOT / "docs").config.api.port
    assert f"EXPOSE {port}" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for name in ("nanobot", "caddy"):
        assert COMPOSE["services"][name]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"reverse_proxy replica:{port} {{" in COMPOSE["configs"]["caddyfile"]["content"]


def test_the_second_way_to_start_takes_nothing_of_the_first() -> None:
    services = COMPOSE["services"]
    wanted, found = {"caddy"}, set[str]()
    while wanted:
        name = wanted.pop()
        found.add(name)
        wanted |= {*services[name].get("depends_on", ())} - found
    assert found == {"caddy", "replica", "postgres"}
    assert all("postgres" in services[name]["profiles"] for name in found)
    assert services["replica"]["deploy"]["replicas"] == 2
    assert re.search(r"--profile postgres up -d caddy", (ROOT / "compose.yaml").read_text(encoding="utf-8"))
