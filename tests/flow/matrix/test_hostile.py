"""Whatever a server and people's clients send: nothing is held up, and nothing becomes an id."""

import asyncio
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, SendLater, SendUnclear
from assistant.testing.channel_suite import RecordingLink, event_to, running, send
from channels.kit.hearing import Hearing
from channels.matrix.inbound import MatrixReader
from channels.matrix.rooms import MatrixRoom
from tests.doubles.matrix_platform import DM
from tests.doubles.matrix_server import ANNA, BOT, MatrixServer, refusal
from tests.flow.matrix.rig import Rig, text, until

HOSTILE: list[Any] = [
    {"msgtype": "m.text", "body": "x" * 60_000, "m.mentions": {"user_ids": ["@x:y"] * 5000}},
    {"msgtype": "m.text", "body": "w", "m.relates_to": {"m.in_reply_to": {"event_id": "../../x"}}},
    {"msgtype": "m.text", "body": "w", "m.relates_to": {"rel_type": "m.replace", "event_id": "$x"}, "m.new_content": "text"},
    {"msgtype": "m.text", "body": "w", "m.relates_to": {"rel_type": "m.thread", "event_id": ["$x"]}},
    {"msgtype": "m.file", "body": "../../etc/passwd\u202e", "url": "https://example.org/x", "info": {"size": "9"}},
    {"msgtype": "m.image", "body": "a", "file": {"url": "mxc://test/" + "y" * 5000}, "info": {"mimetype": 3, "size": -1}},
    {"msgtype": {"x": 1}, "body": {"y": 2}},
    {"msgtype": "m.location", "body": [], "geo_uri": {}},
    [],
    "text",
    {"msgtype": "m.text", "body": "w\ud800", "m.relates_to": {"rel_type": "m.thread", "event_id": "$\udfff"}},
    {"msgtype": "m.text", "body": "w", "m.relates_to": {"m.in_reply_to": {"event_id": "$" + "x" * 4_000}}},
    {"msgtype": "m.text", "body": "w", "m.relates_to": {"m.in_reply_to": {"event_id": "$" + "x" * 60_000}}},
    {"msgtype": "m.text", "body": "w", "m.relates_to": {"rel_type": "m.thread", "event_id": "$" + "ü" * 200}},
    {"msgtype": "m.text", "body": "w", "m.relates_to": {"m.in_reply_to": {"event_id": ".."}}},
    {"msgtype": "m.image", "body": "a", "url": "mxc://\ud800/x", "info": {"mimetype": "\ud800/\udfff", "size": 10**30}},
    {"msgtype": "m.file", "body": "a", "file": {"url": "mxc://test/x", "key": "\ud800"}},
    {"msgtype": "m.location", "body": "here", "geo_uri": "\ud800"},
    {"msgtype": ["m.text"], "body": "w"},
    {"msgtype": "m.text", "body": "w", "m.mentions": {"user_ids": [["x"], {"y": 1}]}},
]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_event_holds_up_nothing(server: MatrixServer, rig: Rig, content: Any):
    platform = rig()
    async with running(platform.channel) as link:
        server.say(DM, content, origin_server_ts=1 << 80, type=["m.room.message"])
        server.say(DM, content, origin_server_ts=[1], event_id="$" + "x" * 70_000)
        server.say(DM, content, origin_server_ts=1 << 80)
        server.say(DM, content, by=["@anna:test"])  # pyright: ignore[reportArgumentType] - hostile
        server.say(DM, content, kind="m.room.encrypted", id={"x": 1})  # pyright: ignore[reportArgumentType] - hostile
        await until(link, server)


async def test_hostile_state_is_passed_over(server: MatrixServer, rig: Rig):
    platform = rig()
    broken: list[Any] = [{"type": "m.room.encryption", "state_key": 7, "content": None}, 7, {"type": ["x"], "state_key": "", "content": 1}]
    server.state[DM] = broken
    async with running(platform.channel) as link:
        await until(link, server)


def test_what_of_a_place_is_known_is_said() -> None:
    reader = MatrixReader(BOT, "", Hearing("all"), no_event)
    room = MatrixRoom(DM, joined=2)
    places: list[Any] = [{"body": "here", "geo_uri": "geo:1,2"}, {"body": "here"}, {"geo_uri": "geo:1,2"}, {"body": 7, "geo_uri": None}]
    read = [reader.read(room, {"event_id": "$x", "sender": ANNA, "content": {"msgtype": "m.location", **each}}) for each in places]
    said = [asyncio.run(each) for each in read]
    assert [each.text if each else None for each in said] == ["here (geo:1,2)", "here", "(geo:1,2)", "bot"]


async def no_event(room: str, id: str) -> None: ...


@pytest.mark.parametrize("news", [{"next_batch": None}, {"next_batch": 7}, {"next_batch": ""}, {"next_batch": ["s1"]}], ids=range(4))
async def test_an_answer_without_a_place_to_go_on_from_is_none(server: MatrixServer, rig: Rig, news: dict[str, Any]):
    platform = rig()
    server.news = news
    with pytest.raises(ChannelFailed, match="next_batch"):
        await asyncio.wait_for(platform.channel.run(RecordingLink()), 10)
    server.say(DM, text("hello"))
    async with running(platform.channel) as link:
        assert (await link.next()).text == "hello"


@pytest.mark.parametrize(
    "news",
    [
        {"rooms": 7},
        {"rooms": {"join": [], "leave": 7, "invite": "x"}},
        {"rooms": {"join": {DM: 7, "!\ud800:test": {"timeline": {"events": 7}}}}},
    ],
    ids=range(3),
)
async def test_a_hostile_sync_holds_up_nothing(server: MatrixServer, rig: Rig, news: dict[str, Any]):
    platform = rig()
    async with running(platform.channel) as link:
        server.news = news
        server.wake()
        await until(link, server)


async def test_a_gap_is_filled_by_what_is_there_of_it(server: MatrixServer, rig: Rig):
    platform = rig()
    async with running(platform.channel) as link:
        server.broken["/messages"] = {"chunk": {"x": 1}, "end": 7}
        server.news = {"rooms": {"join": {DM: {"timeline": {"limited": True, "prev_batch": "s0", "events": [7, {"x": 1}]}}}}}
        server.wake()
        await until(link, server)


@pytest.mark.parametrize("path", ["/createRoom", "/upload", "/send/m.room.message/"])
async def test_an_answer_that_says_nothing_is_none(server: MatrixServer, rig: Rig, path: str):
    """It becomes no id ("None")."""
    platform = rig()
    server.broken[path] = {"room_id": None, "content_uri": 7, "event_id": ["x"]}
    media = (platform.files.put("a.txt", b"in the file", "text/plain"),) if path == "/upload" else ()
    with pytest.raises(SendLater if media else SendUnclear):
        await send(platform, event=event_to(Address(channel="matrix", chat_id=ANNA if path == "/createRoom" else DM), "w1", media=media))
    assert server.direct == {}


async def test_a_preview_that_can_not_be_removed_is_left(server: MatrixServer, rig: Rig):
    platform = rig()
    [shown] = await send(platform, "w1")
    media = (platform.files.put("a.txt", b"in the file", "text/plain"),)
    server.broken["/redact/"] = refusal(403, "M_FORBIDDEN", "no")
    await send(platform, key="b", event=event_to(platform.address, "w2", media=media, replaces=shown.message_id))
    assert platform.seen()[-1].files == ("a.txt",)
