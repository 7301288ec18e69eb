"""`nanobot web` beside a server that runs: the link, and logging out everywhere."""

import re
import time
from pathlib import Path

import httpx2
import pytest

from tests.doubles.live_server import live_server, offline
from tests.flow.nanobot_process import Nanobot


@pytest.fixture
def nanobot(tmp_path: Path, url: str) -> Nanobot:
    return Nanobot(folder=tmp_path, env={"NANOBOT_STORE__URL": url, "NANOBOT_AUTH__MODE": "keys"})


def link(nanobot: Nanobot, *options: str) -> str:
    done = nanobot("web", "--no-open", *options)
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"http://127\.0\.0\.1:8900/#login=(nbl_[\w-]{43})\n", done.stdout)
    assert found, done.stdout
    assert "once, within 5 minutes" in done.stderr
    return found[1]


def test_a_link_opens_the_page_of_a_server_that_runs_until_all_are_logged_out(nanobot: Nanobot, tmp_path: Path, url: str) -> None:
    secret = link(nanobot)
    config = {**offline(), "store": {"url": url}, "auth": {"mode": "keys"}}
    with live_server(tmp_path / "one", config=config) as server, httpx2.Client(base_url=server.url, timeout=30) as browser:
        headers = {"origin": server.url}
        assert browser.get("/v1/me").status_code == 401
        assert browser.post("/v1/login", json={"link": secret}, headers=headers).status_code == 201
        mine = browser.get("/v1/me").json()
        assert (mine["person"]["id"], mine["scopes"]) == ("owner", None)
        assert {"deliveries", "schedules", "tasks", "approvals", "workflows", "memory", "usage", "audit", "files", "people"} <= set(
            mine["features"]
        )
        out = nanobot("web", "--log-out-everywhere")
        assert (out.returncode, out.stdout) == (0, "1 browser was logged out; what they have open ends within a second\n")
        end = time.monotonic() + 30
        while time.monotonic() < end and browser.get("/v1/me").status_code == 200:
            pass
        assert browser.get("/v1/me").status_code == 401
        assert secret not in server.log.read_text()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_link_is_for_a_person_and_an_address_that_are_known(nanobot: Nanobot) -> None:
    nanobot("keys", "create", "Anna")
    assert "the page of Anna once" in nanobot("web", "--no-open", "--person", "anna").stderr
    lost = nanobot("web", "--no-open", "--person", "Bert")
    assert (lost.returncode, lost.stdout, lost.stderr) == (1, "", "nanobot: There is no such person.\n")
    everywhere = Nanobot(folder=nanobot.folder, env={**nanobot.env, "NANOBOT_API__HOST": "::", "NANOBOT_API__PORT": "9"})
    assert everywhere("web", "--no-open").stdout.startswith("http://[::1]:9/#login=nbl_")
