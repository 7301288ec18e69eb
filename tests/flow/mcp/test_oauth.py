"""Logins by OAuth: found, granted, renewed by one process at a time, and never lost by a fault of the other side."""

import asyncio
import sys
from dataclasses import replace

import httpx2
import pytest

from assistant.contracts.errors import ToolFailed
from assistant.mcp.grants import Grants
from assistant.mcp.login import log_in
from assistant.mcp.settings import McpServer
from assistant.store.mcp import Grant
from tests.doubles.mcp_http import McpOverHttp

from .conftest import Rig, call, names


def at(server: McpOverHttp) -> McpServer:
    return McpServer.model_validate({"url": server.url})


async def logged_in(rig: Rig, server: McpOverHttp) -> Grant:
    """A person who opens the address that they are shown."""
    browsing: list[asyncio.Task[httpx2.Response]] = []

    async def browse(url: str) -> httpx2.Response:
        async with httpx2.AsyncClient(follow_redirects=True, timeout=30) as browser:
            return await browser.get(url)

    granted = await log_in(at(server), {}, lambda url: browsing.append(asyncio.create_task(browse(url))))
    assert "You are logged in" in (await browsing[0]).text
    assert granted is not None
    await rig.store.mcp.keep_grant("one", server.url, granted)
    return granted


async def test_a_login_is_used_at_once_until_it_is_forgotten(rig: Rig) -> None:
    async with McpOverHttp(rig.program(), guarded=True) as server:
        servers = rig.open(one=at(server))
        assert await names(servers) == []
        granted = await logged_in(rig, server)
        assert (granted.client_id, granted.token_endpoint, granted.resource) == ("client-1", f"{server.base}/token", server.url)
        servers.servers["one"].link.forgive()
        await servers.servers["one"].link.connected()
        assert (await call(servers, "mcp_one_note", {})).text == "note {}"
        assert await rig.store.mcp.drop_grant("one")
        server.sessions.clear()
        with pytest.raises(ToolFailed, match="nanobot mcp login one"):
            await call(servers, "mcp_one_note", {})


async def test_a_server_that_wants_none_is_told_apart(rig: Rig) -> None:
    async with McpOverHttp(rig.program()) as server:
        assert await log_in(at(server), {}, print) is None


@pytest.mark.parametrize("replaces", [True, False])
async def test_a_refused_token_is_renewed_and_the_call_repeated(rig: Rig, replaces: bool) -> None:
    async with McpOverHttp(rig.program(), guarded=True) as server:
        await logged_in(rig, server)
        servers = rig.open(one=at(server))
        assert (await call(servers, "mcp_one_note", {})).text == "note {}"
        server.replaces = replaces
        for renewals in (1, 2):  # the refresh token of an answer without one stays good
            server.tokens.clear()
            assert (await call(servers, "mcp_one_note", {})).text == "note {}"
            assert server.renewals == renewals


@pytest.mark.parametrize("mode", ["500", "hang"])
async def test_a_fault_of_the_authorization_server_loses_nothing(rig: Rig, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with McpOverHttp(rig.program(), guarded=True) as server:
        granted = await logged_in(rig, server)
        grants = Grants(rig.store.mcp)
        server.mode = mode
        renewing = asyncio.create_task(grants.renewed("one", server.url, granted.access_token))
        if mode == "hang":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await asyncio.shield(renewing)
            server.mode = ""
            server.lifts.set()
            fresh = await renewing  # a caller that gave up did not stop it
            assert fresh is not None
            assert fresh.access_token in server.tokens
        else:
            assert await renewing is None
            assert await rig.store.mcp.grant("one", server.url) == granted
            server.mode = ""
            fresh = await grants.renewed("one", server.url, granted.access_token)
        assert await rig.store.mcp.grant("one", server.url) == fresh


async def test_a_refresh_token_that_is_refused_asks_for_a_login_and_is_not_tried_again(rig: Rig) -> None:
    async with McpOverHttp(rig.program(), guarded=True) as server:
        granted = await logged_in(rig, server)
        server.refresh_tokens.clear()
        grants = Grants(rig.store.mcp)
        assert await grants.renewed("one", server.url, granted.access_token) is None
        kept = await rig.store.mcp.grant("one", server.url)
        assert kept == replace(granted, refused="invalid_grant")
        assert await grants.current("one", server.url) is None


async def test_a_grant_is_not_sent_to_another_address(rig: Rig) -> None:
    async with McpOverHttp(rig.program(), guarded=True) as server, McpOverHttp(rig.folder / "one", guarded=True) as other:
        await logged_in(rig, server)
        assert await names(rig.open(one=at(other))) == []
        assert not any("Authorization" in headers for headers in other.headers)


async def test_two_processes_renew_once_for_each_token(rig: Rig) -> None:
    async with McpOverHttp(rig.program(), guarded=True) as server:
        server.expires_in = 1  # each use finds its token too old
        await logged_in(rig, server)
        line = [sys.executable, "-m", "tests.flow.mcp.renewing", str(rig.folder / "state"), "one", server.url, "6"]
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
        both = [await asyncio.create_subprocess_exec(*line, **pipes) for _ in range(2)]  # pyright: ignore[reportArgumentType]
        outputs = [await process.communicate() for process in both]
        assert [process.returncode for process in both] == [0, 0], outputs
        tokens = [token for out, _ in outputs for token in out.decode().split()]
        assert "none" not in tokens
        assert len(tokens) == 12
        assert server.renewals == len(set(tokens))  # a token of the other's is shared, none was renewed by both
        kept = await rig.store.mcp.grant("one", server.url)
        assert kept is not None
        assert kept.refresh_token in server.refresh_tokens
