"""What is kept of MCP servers, on SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import pytest

from assistant.mcp.pins import pinned
from assistant.store.mcp import CLAIM_LASTS, Grant, RemoteTool
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .conftest import Opener

URL = "https://example.org/mcp"
GRANT = Grant(
    token_endpoint="https://example.org/token",
    client_id="c",
    client_secret=None,
    auth_method="none",
    access_token="one",
    refresh_token="r1",
    expires_at=None,
    scope=None,
    resource=URL,
)


def tool(name: str, description: str = "", *, reads: bool = True) -> RemoteTool:
    made = pinned(name, description, {"type": "object"}, {"readOnlyHint": reads})
    assert made is not None
    return made


async def test_the_first_list_is_on_and_what_changes_is_off_until_it_was_approved(store: Store) -> None:
    first = await store.mcp.saw("häuser\\1", "a", [tool("x"), tool("y")], ["prompts"])
    assert [each.name for each in first.on] == ["x", "y"]
    assert await store.mcp.saw("häuser\\1", "a", [tool("x"), tool("y")], ["prompts"]) == first
    assert await store.mcp.revisions() == {"häuser\\1": 1}
    later = await store.mcp.saw("häuser\\1", "a", [tool("x", "other"), tool("y"), tool("z")], [])
    assert ([each.name for each in later.on], [each.name for each in later.off]) == (["y"], ["x", "z"])
    assert await store.mcp.approve(first) is False
    assert await store.mcp.approve(later)
    [known] = await store.mcp.all()
    assert ([each.name for each in known.on], known.off, known.revision) == (["x", "y", "z"], (), 3)


async def test_another_origin_is_another_server(store: Store) -> None:
    await store.mcp.saw("one", "a", [tool("x")], [])
    known = await store.mcp.saw("one", "b", [tool("y")], [])
    assert [each.name for each in known.on] == ["y"]


async def test_a_grant_is_of_one_address_and_told_to_those_who_look(store: Store) -> None:
    await store.mcp.saw("one", "a", [], [])
    await store.mcp.keep_grant("one", URL, GRANT)
    assert await store.mcp.grant("one", URL) == GRANT
    assert await store.mcp.grant("one", "https://evil.example/mcp") is None
    assert (await store.mcp.granted(), await store.mcp.revisions()) == ({"one": URL}, {"one": 2})
    assert await store.mcp.drop_grant("one")
    assert await store.mcp.drop_grant("one") is False
    assert await store.mcp.grant("one", URL) is None


async def test_one_claim_at_a_time_renews_a_grant(open_again: Opener) -> None:
    store, other = await open_again(), await open_again()
    await store.mcp.keep_grant("one", URL, GRANT)
    assert await store.mcp.claim_grant("one", URL, "claim_1") == GRANT
    assert await other.mcp.claim_grant("one", URL, "claim_2") is None
    assert await other.mcp.renewed("one", URL, "claim_2", GRANT) is False
    fresh = replace(GRANT, access_token="two")
    assert await store.mcp.renewed("one", URL, "claim_1", fresh)
    assert await other.mcp.claim_grant("one", URL, "claim_2") == fresh
    await other.mcp.let_go("one", "claim_2")
    assert await store.mcp.claim_grant("one", "https://evil.example/mcp", "claim_3") is None


@pytest.mark.parametrize(("passed", "free"), [(CLAIM_LASTS - timedelta(seconds=1), False), (CLAIM_LASTS + timedelta(seconds=1), True)])
async def test_the_claim_of_a_process_that_died_ends(store: Store, clock: TurnedClock, passed: timedelta, free: bool) -> None:
    await store.mcp.keep_grant("one", URL, GRANT)
    await store.mcp.claim_grant("one", URL, "claim_1")
    clock.now += passed
    assert (await store.mcp.claim_grant("one", URL, "claim_2") is not None) is free
