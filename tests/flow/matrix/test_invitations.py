"""Which rooms the account is brought into, and how many of strangers."""

from typing import Any

import orjson
import pytest

from assistant.testing.channel_suite import running
from tests.doubles.matrix_server import ANNA, BOT, MatrixServer
from tests.flow.matrix.rig import Rig, text, until


def invitation(by: str, *, direct: bool) -> list[dict[str, Any]]:
    content = {"membership": "invite"} | ({"is_direct": True} if direct else {})
    return [{"type": "m.room.member", "state_key": BOT, "sender": by, "content": content}]


@pytest.mark.parametrize(
    ("by", "direct", "settings", "joined"),
    [
        ("@stranger:test", True, {}, True),
        ("@stranger:test", False, {}, False),
        (ANNA, False, {"allowFrom": [ANNA]}, True),
        (ANNA, False, {"owners": [ANNA]}, True),
        (ANNA, True, {"join": "off"}, False),
    ],
)
async def test_invitations(server: MatrixServer, rig: Rig, by: str, direct: bool, settings: dict[str, Any], joined: bool):
    platform = rig(**settings)
    async with running(platform.channel) as link:
        server.room("!new:test", by)
        server.members["!new:test"].pop(BOT)
        server.invites["!new:test"] = invitation(by, direct=direct)
        server.wake()
        await until(link, server)
    assert ("/_matrix/client/v3/join/!new:test" in [path for path, _ in server.calls]) == joined
    assert server.direct == ({by: ["!new:test"]} if joined and direct else {})


async def test_strangers_bring_the_account_into_so_many_rooms_an_hour(server: MatrixServer, rig: Rig):
    platform = rig()
    async with running(platform.channel) as link:
        for number in range(14):
            room = server.room(f"!{number}:test", f"@m{number}:test")
            server.members[room].pop(BOT)
            server.invites[room] = invitation(f"@m{number}:test", direct=True)
        server.invites["!own:test"] = invitation(ANNA, direct=True)
        server.wake()
        await until(link, server)
    paths = [path for path, _ in server.calls]
    assert sum("/join/!" in path for path in paths) == 10
    assert [path for path in paths if path.endswith("/leave")] == [
        f"/_matrix/client/v3/rooms/!{number}:test/leave" for number in range(10, 14)
    ] + ["/_matrix/client/v3/rooms/!own:test/leave"]


async def test_the_oldest_room_of_strangers_is_left_for_a_new_one(server: MatrixServer, rig: Rig):
    platform = rig()
    rooms = [server.room(f"!{number}:test", f"@m{number}:test") for number in range(50)]
    await platform.notes.keep("strangers", orjson.dumps(rooms).decode())
    server.direct = {"@m0:test": ["!0:test"], "@m1:test": ["!1:test", "!5:test"]}
    server.room("!new:test", "@new:test")
    server.members["!new:test"].pop(BOT)
    async with running(platform.channel) as link:
        server.say("!0:test", text("let in"), by="@m0:test")
        await link.next()
        server.invites["!new:test"] = invitation("@new:test", direct=True)
        server.wake()
        await until(link, server)
        server.room("!next:test", "@next:test")
        server.members["!next:test"].pop(BOT)
        server.invites["!next:test"] = invitation("@next:test", direct=True)
        server.wake()
        await until(link, server)
    assert [path for path, _ in server.calls if path.endswith("/leave")] == ["/_matrix/client/v3/rooms/!1:test/leave"]
    assert server.direct == {"@m0:test": ["!0:test"], "@m1:test": ["!5:test"], "@new:test": ["!new:test"], "@next:test": ["!next:test"]}


async def test_upgrades_bring_the_account_into_no_more_rooms_of_strangers(server: MatrixServer, rig: Rig):
    platform = rig()
    server.room("!0:test", "@m:test")
    await platform.notes.keep("strangers", '["!0:test"]')
    async with running(platform.channel) as link:
        for number in range(1, 5):
            server.room(f"!{number}:test", "@m:test", create={"predecessor": {"room_id": f"!{number - 1}:test"}})
            server.members[f"!{number}:test"].pop(BOT)
            moved = {"body": "moved", "replacement_room": f"!{number}:test"}
            server.say(f"!{number - 1}:test", moved, by="@m:test", kind="m.room.tombstone", state_key="")
            await until(link, server)
    assert [room for room, members in server.members.items() if "@m:test" in members and BOT in members] == ["!4:test"]
    assert await platform.notes.get("strangers") == '["!4:test"]'
