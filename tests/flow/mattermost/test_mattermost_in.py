"""What comes from Mattermost: quotes, hostile posts, edits, what was missed."""

import json
from typing import Any

import pytest

from assistant.contracts.inbox import InboundMessage
from assistant.testing.platform import RecordingLink
from tests.doubles.mattermost_server import ADA, DIRECT, EVE, ROOM, MattermostServer, id_of, refusal
from tests.doubles.odd_json import oddities, said
from tests.flow.mattermost.conftest import Connected


async def test_what_it_is_called_into_is_quoted_once(server: MattermostServer, connected: Connected) -> None:
    file = {"id": id_of("file"), "name": "a.pdf", "mime_type": "application/pdf", "size": 3}
    root = server.add({"channel_id": ROOM, "user_id": EVE, "message": "a plan", "metadata": {"files": [file]}}, told=False)
    async with connected() as (_, link):
        server.add({"channel_id": ROOM, "message": "@nanobot what do you think?", "root_id": root})
        quote = (await link.next()).quote
        server.add({"channel_id": ROOM, "message": "so?", "root_id": root})
        assert (await link.next()).quote is None
    assert quote is not None
    assert (quote.text, quote.author, quote.author_id, [each.name for each in quote.files]) == ("a plan", "eve", EVE, ["a.pdf"])


HOSTILE: list[dict[str, object]] = [
    {"id": "../../x"},
    {"user_id": ["x"]},
    {"user_id": ""},
    {"channel_id": 7},
    {"create_at": "soon"},
    {"create_at": 1 << 70},
    {"create_at": 1 << 46},
    {"create_at": True},
    {"message": {"a": 1}},
    {"message": None},
    {"root_id": "../x"},
    {"type": "system_join_channel"},
    {"delete_at": 5},
    {"message": "", "metadata": {"files": {"id": 7}}},
    {"message": "", "metadata": {"files": [None, {"id": "../x", "size": -1}]}},
    {"message": "", "metadata": {"embeds": [None, {"type": "permalink", "data": []}]}},
]


@pytest.mark.parametrize(
    "change",
    HOSTILE,
    ids=str,
)
async def test_a_hostile_post_brings_nothing_and_holds_up_nothing(
    server: MattermostServer, connected: Connected, change: dict[str, object]
) -> None:
    post = {"id": id_of("p"), "user_id": ADA, "channel_id": DIRECT, "create_at": 1, "message": "w1", "type": ""} | change
    async with connected() as (_, link):
        server.frame(json.dumps({"event": "posted", "data": {"post": json.dumps(post), "channel_type": "D"}}))
        server.add({"message": "w2"})
        assert (await link.next()).text == "w2"


async def test_words_of_any_kind_are_read(server: MattermostServer, connected: Connected) -> None:
    async with connected() as (_, link):
        post = {"id": id_of("p"), "user_id": ADA, "channel_id": DIRECT, "create_at": 1, "message": "half \ud800"}
        server.frame(json.dumps({"event": "posted", "data": {"post": json.dumps(post), "channel_type": "D"}}))
        assert (await link.next()).text == "half \ufffd"
        for deep in ("[" * 100_000, '{"event": "posted", "data": {"post": "' + "[" * 100_000 + '"}}', '{"event": "posted", "seq": NaN}'):
            server.frame(deep)
        server.add({"message": "w2"})
        assert (await link.next()).text == "w2"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_edit_whose_chat_is_not_told_at_once_is_read(server: MattermostServer, connected: Connected, status: int) -> None:
    async with connected() as (_, link):
        id = server.add({"message": "w1"})
        await link.next()
        server.refusing[f"/api/v4/channels/{DIRECT}"] = refusal(status, "")
        server.edit(id, "w2")
        assert (await link.next()).text == "w2"


FULL: dict[str, Any] = {
    "id": id_of("p"),
    "user_id": ADA,
    "channel_id": DIRECT,
    "root_id": id_of("r"),
    "create_at": 1,
    "edit_at": 2,
    "delete_at": 0,
    "type": "",
    "message": "@nanobot w1",
    "props": {"from_bot": "true", "attachments": [{"pretext": "a", "title": "b", "fallback": "c"}]},
    "metadata": {
        "files": [{"id": id_of("f"), "name": "a.pdf", "mime_type": "text/plain", "size": 3}],
        "embeds": [{"type": "permalink", "data": {"post": {"user_id": EVE, "message": "x", "metadata": {"files": [{"id": id_of("g")}]}}}}],
    },
}


@pytest.mark.parametrize("event", ["posted", "post_edited"])
async def test_no_post_of_any_shape_holds_up_what_follows(server: MattermostServer, connected: Connected, event: str) -> None:
    async with connected(groups="all", allowBots=True) as (_, link):
        for post in oddities(FULL):
            server.frame(json.dumps({"event": event, "data": {"post": post, "channel_type": "D" if event == "posted" else ""}}))
        for frame in oddities(
            {"event": event, "data": {"post": json.dumps(FULL), "channel_type": "D", "sender_name": "@ada"}, "status": "OK"}
        ):
            server.frame(frame)
        server.add({"message": "the last"})
        while "the last" not in said(await link.next()):
            pass


async def test_what_was_missed_is_fetched_in_spite_of_a_limit(server: MattermostServer, connected: Connected) -> None:
    async with connected() as (_, link):
        server.add({"message": "w1"})
        await link.next()
    server.add({"message": "w2"}, told=False)
    again = RecordingLink()
    again.last = link.last
    server.refusing[f"/api/v4/channels/{DIRECT}/posts"] = refusal(429, "", {"Retry-After": "0"})
    async with connected(again) as (_, again):
        assert (await again.next()).text == "w2"


async def test_what_was_missed_is_fetched_also_in_chats_that_are_new(server: MattermostServer, connected: Connected) -> None:
    async with connected() as (_, link):
        server.add({"message": "w1"})
        await link.next()
    root = server.add({"channel_id": ROOM, "message": "@nanobot w2"}, told=False)
    server.add({"channel_id": ROOM, "message": "w3", "root_id": root}, told=False)
    server.add({"message": "w4"}, told=False)
    again = RecordingLink()
    again.last = link.last
    async with connected(again) as (_, again):
        texts = [(await again.next()).text for _ in range(3)]
    assert sorted(texts) == ["w2", "w3", "w4"]


async def test_a_press_after_a_message_makes_no_one_read_the_past(server: MattermostServer, connected: Connected) -> None:
    """The last thing from a chat was a press, which has no time."""
    server.posts[server.add({"message": "old"}, told=False)] |= {"create_at": 1, "update_at": 1}
    link = RecordingLink()
    link.last = {DIRECT: f"{id_of('p')}:press:abc"}
    async with connected(link) as (_, link):
        server.add({"message": "new"})
        assert (await link.next()).text == "new"


async def test_bots_words_are_material(server: MattermostServer, connected: Connected) -> None:
    attachments = [{"pretext": "build", "text": "failed"}, {"fallback": "in short"}, None, {"text": 7}]
    async with connected(allowBots=True) as (_, link):
        server.add({"message": "", "type": "slack_attachment", "props": {"from_webhook": "true", "attachments": attachments}})
        message: InboundMessage = await link.next()
    assert (message.text, message.trusted) == ("build\nfailed\nin short", False)
