"""/v1/people and /v1/link: what a key may see and change, and that what it makes is its person's. On SQLite and PostgreSQL."""

import asyncio

import pytest

from assistant.contracts.people import OWNER_ID
from tests.flow.api_rig import error_of, finish

from .conftest import SHARED, Keyed, Opener, bearer, begun
from .test_keys import REVOKED_WITHIN, says_a_word_and_waits

OWNER = bearer(SHARED)


async def test_a_key_is_a_person_and_sees_only_itself(keyed: Keyed) -> None:
    (key, headers), (other, _) = await keyed.key(name="build"), await keyed.key()
    client = keyed.api.client
    me = (await client.get("/v1/people/me", headers=headers)).json()
    assert (me["id"], me["name"], me["role"], me["identities"]) == (f"key:{key}", "build", "user", [f"key:{key}"])
    assert (await client.get(f"/v1/people/key:{key}", headers=headers)).json() == me
    for answer in (
        await client.get("/v1/people", headers=headers),
        await client.get(f"/v1/people/key:{other}", headers=headers),
        await client.post(f"/v1/people/key:{other}/codes", headers=headers),
        await client.post("/v1/people/me", headers=headers, json={"role": "owner"}),
        await client.delete(f"/v1/people/me/identities/key:{key}", headers=headers),
    ):
        assert (answer.status_code, error_of(answer)["code"]) == (403, "insufficient_scope")


async def test_the_owner_sees_and_changes_all(keyed: Keyed) -> None:
    key, _ = await keyed.key(name="build")
    client, path = keyed.api.client, f"/v1/people/key:{key}"
    assert [person["id"] for person in (await client.get("/v1/people", headers=OWNER)).json()["data"]] == ["owner", f"key:{key}"]
    change = {"name": "Anna \u202e\n", "role": "guest", "zone": "Europe/Berlin", "quiet": "22:00-07:00"}
    changed = (await client.post(path, headers=OWNER, json=change)).json()
    expected = {"name": "Anna", "role": "guest", "zone": "Europe/Berlin", "zone_chosen": True, "quiet": "22:00-07:00"}
    assert {name: changed[name] for name in expected} == expected
    changed = (await client.post(path, headers=OWNER, json={"zone": "", "quiet": ""})).json()
    assert (changed["name"], changed["zone"], changed["zone_chosen"], changed["quiet"]) == ("Anna", "UTC", False, None)
    assert (await client.get("/v1/people/owner", headers=OWNER)).json()["identities"] == [OWNER_ID]
    named = (await client.post("/v1/people/owner", headers=OWNER, json={"name": "Me"})).json()
    assert (named["id"], named["name"], named["prefers"]) == ("owner", "Me", [])
    chats = ["telegram:42", "telegram:43"]
    assert (await client.post(path, headers=OWNER, json={"prefers": chats})).json()["prefers"] == chats
    assert (await client.post(path, headers=OWNER, json={"name": "B"})).json()["prefers"] == chats
    assert (await client.post(path, headers=OWNER, json={"prefers": []})).json()["prefers"] == []


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        ("/v1/people/owner", {"role": "user"}, 409),
        ("/v1/people/telegram:1", {"name": "x"}, 404),
        ("/v1/people/owner", {"zone": "Europe/Nowhere"}, 400),
        ("/v1/people/owner", {"zone": "../etc/passwd"}, 400),
        ("/v1/people/owner", {"quiet": "22-7"}, 400),
        ("/v1/people/owner", {"role": "boss"}, 400),
        ("/v1/people/owner", {"id": "x"}, 400),
        ("/v1/people/owner", {"prefers": ["pigeon:1"]}, 400),
        ("/v1/people/owner", {"prefers": ["telegram:mother"]}, 400),
    ],
)
async def test_what_can_not_be_is_refused(keyed: Keyed, path: str, change: dict[str, object], status: int) -> None:
    refused = await keyed.api.client.post(path, headers=OWNER, json=change)
    assert refused.status_code == status
    error_of(refused)


async def test_two_keys_become_one_person_and_keep_their_limits(opened: Opener) -> None:
    async with opened() as one, opened() as other:
        (first, mine), (second, its) = await one.key(), await one.key(requests=40)
        assert (await one.api.client.get("/v1/people/me", headers=its)).json()["id"] == f"key:{second}"
        code = (await one.api.client.post("/v1/people/me/codes", headers=mine)).json()["code"]
        wrong = await other.api.client.post("/v1/link", headers=its, json={"code": "WRONG234"})
        assert (wrong.status_code, error_of(wrong)["code"]) == (400, "wrong_code")
        joined = await other.api.client.post("/v1/link", headers=its, json={"code": code})
        assert joined.json()["id"] == f"key:{first}"
        async with asyncio.timeout(REVOKED_WITHIN):
            while (await one.api.client.get("/v1/people/me", headers=its)).json()["id"] != f"key:{first}":  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.1)
        assert (await one.chat(its)).status_code == 200
        asked = one.api.turns.requests[-1]
        assert (asked.owner, asked.caller) == (f"key:{first}", f"key:{second}")
        while (answer := await other.chat(its)).status_code == 200:
            pass
        assert answer.status_code == 429
        assert (await other.chat(mine)).status_code == 200


async def test_the_owner_can_not_become_anothers_and_nothing_moves_by_the_attempt(keyed: Keyed) -> None:
    _, headers = await keyed.key()
    code = (await keyed.api.client.post("/v1/people/me/codes", headers=headers)).json()["code"]
    refused = await keyed.api.client.post("/v1/link", headers=OWNER, json={"code": code})
    assert (refused.status_code, error_of(refused)["code"]) == (409, "person_conflict")
    assert (await keyed.api.client.get("/v1/people/me", headers=OWNER)).json()["id"] == "owner"


async def test_what_a_key_has_open_ends_when_it_becomes_another_persons(opened: Opener) -> None:
    async with opened(play=says_a_word_and_waits) as keyed:
        (first, _), (second, headers), (_, others) = await keyed.key(), await keyed.key(), await keyed.key()
        await keyed.store.links.join(f"key:{second}", f"key:{first}")
        waiting, going_on = asyncio.create_task(keyed.chat(headers)), asyncio.create_task(keyed.chat(others))
        await begun(keyed.api.turns, 2)
        await keyed.store.links.unlink(f"key:{second}")
        async with asyncio.timeout(REVOKED_WITHIN):
            assert (await waiting).status_code == 401
        assert not going_on.done()
        for turn in keyed.api.turns.turns:
            finish(turn, "done")
        assert (await going_on).status_code == 200
