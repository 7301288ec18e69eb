"""Mattermost beyond the contract suite: its key, its refusals, threads, presses."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiohttp import web

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, PlatformCall, SendFailed, SendLater, SendRefused, SendUnclear
from assistant.contracts.outbox import Button
from assistant.testing.platform import FolderFiles, RecordingLink, event_to, running
from assistant.testing.platform import send as send_parts
from channels.mattermost.adapter import MattermostChannel
from channels.mattermost.settings import MattermostSettings
from channels.mattermost.wire import rules_for
from tests.doubles.mattermost_server import ADA, BOT, DIRECT, ROOM, MattermostServer, id_of, refusal
from tests.doubles.odd_json import oddities, said
from tests.flow.mattermost.conftest import Connected

TO = Address(channel="mattermost", chat_id=ROOM)
CALLBACK = "https://nanobot.example.org/channels/mattermost"


class Platform:
    """What `send` of the contract suite needs."""

    def __init__(self, channel: MattermostChannel, address: Address = TO) -> None:
        self.channel = channel
        self.address = address


async def send(channel: MattermostChannel, text: str = "w1", address: Address = TO, **more: Any) -> str | None:
    event = more.pop("event", None)
    [receipt] = await send_parts(Platform(channel, address), text, event=event, **more)  # pyright: ignore[reportArgumentType] - it has what is used
    return receipt.message_id


async def test_the_key_holds_when_the_server_has_forgotten_it(server: MattermostServer, connected: Connected) -> None:
    """`pending_post_id` counts for 30 seconds; after that the adapter looks the post up."""
    began = datetime.now(UTC)
    async with connected() as (channel, _):
        server.fail("lose")
        with pytest.raises(SendUnclear):
            await send(channel)
        server.pending.clear()
        first = await send(channel, again=began)
        assert list(server.accepted) == [first]
        await send(channel, "w2", key="other", again=began)
    assert [each.text for each in server.accepted.values()] == ["w1", "w2"]


@pytest.mark.parametrize(
    ("status", "id", "kind", "code"),
    [
        (403, "api.context.permissions.app_error", SendRefused, "forbidden"),
        (404, "app.channel.get.existing.app_error", SendRefused, "chat_not_found"),
        (400, "api.post.create_post.can_not_post_to_deleted.error", SendRefused, "chat_archived"),
        (400, "api.post.create_post.can_not_post_in_restricted_dm.error", SendRefused, "blocked"),
        (400, "model.post.is_valid.message_length.app_error", SendRefused, "too_long"),
        (401, "api.context.session_expired.app_error", SendLater, "unauthorized"),
        (429, "", SendLater, "flood_wait"),
        (500, "api.post.deduplicate_create_post.pending", SendUnclear, "not_now"),
        (500, "app.post.save.app_error", SendUnclear, "server_error"),
        (502, "", SendUnclear, "server_error"),
        (503, "", SendLater, "server_error"),
    ],
)
async def test_each_refusal_is_told_apart(
    server: MattermostServer, connected: Connected, status: int, id: str, kind: type[SendFailed], code: str
) -> None:
    async with connected() as (channel, _):
        server.refusing["/api/v4/posts"] = refusal(status, id)
        with pytest.raises(kind) as failed:
            await send(channel)
    assert failed.value.trouble.code == code
    assert "w1" not in failed.value.trouble.words


async def test_a_preview_that_can_not_be_deleted_stays(server: MattermostServer, connected: Connected, files: FolderFiles) -> None:
    async with connected() as (channel, _):
        id = await send(channel, "preview", key="other")
        server.refusing[f"/api/v4/posts/{id}"] = refusal(500, "")
        await send(channel, event=event_to(TO, "w1", media=(files.put("a.pdf", b"x"),), replaces=id))
    assert [(each.text, each.files) for each in server.accepted.values()] == [("preview", ()), ("w1", ("a.pdf",))]


@pytest.mark.parametrize("answer", [{}, [], {"id": 7}, {"id": None}, {"id": ""}], ids=str)
async def test_a_receipt_without_an_id_has_none(server: MattermostServer, connected: Connected, answer: object) -> None:
    async with connected() as (channel, _):
        server.refusing["/api/v4/posts"] = web.json_response(answer, status=201)
        assert await send(channel) is None


async def test_a_preview_without_an_id_becomes_nothing(server: MattermostServer, connected: Connected) -> None:
    async with connected(preview="edit") as (channel, _):
        server.refusing["/api/v4/posts"] = web.json_response({"id": None}, status=201)
        preview = channel.conversation.preview(TO, reply_to=None, posted=None, note=print)
        assert preview is not None
        preview.update("w1")
        await server.until(lambda: not server.refusing)
        assert await preview.close() is None


@pytest.mark.parametrize("answer", [{}, [], {"file_infos": []}, {"file_infos": [{"id": None}]}], ids=str)
async def test_an_upload_that_can_not_be_read_posts_nothing(
    server: MattermostServer, connected: Connected, files: FolderFiles, answer: object
) -> None:
    event = event_to(TO, "w1", media=(files.put("a.pdf", b"x"),))
    async with connected() as (channel, _):
        server.refusing["/api/v4/files"] = web.json_response(answer, status=201)
        with pytest.raises(SendLater):
            await send(channel, event=event)
        await send(channel, event=event)
    assert [(each.text, each.files) for each in server.accepted.values()] == [("w1", ("a.pdf",))]


@pytest.mark.parametrize("answer", [{}, [], {"id": BOT}, {"id": 7, "username": "x"}, {"id": BOT, "username": ""}], ids=str)
async def test_an_account_that_can_not_be_read_is_no_account(server: MattermostServer, connected: Connected, answer: object) -> None:
    """It would read its own posts, or take each for a mention."""
    async with connected() as (channel, _):
        server.refusing["/api/v4/users/me"] = web.json_response(answer)
        with pytest.raises(ChannelFailed):
            await channel.identity()


async def test_a_preview_that_is_gone_is_posted_once_again(server: MattermostServer, connected: Connected) -> None:
    """The key says whether an earlier try arrived."""
    began = datetime.now(UTC)
    async with connected() as (channel, _):
        id = await send(channel, "preview", key="other")
        for _ in range(2):
            server.fail("edit_gone")
            await send(channel, event=event_to(TO, "w1", replaces=id), again=began)
            server.pending.clear()
    assert [each.text for each in server.accepted.values()] == ["preview", "w1"]


@pytest.mark.parametrize(
    ("markdown", "written"),
    [
        ("@all @ada a@b.org", "@\u200ball @\u200bada a@b.org"),
        ("a+@all .@here _@all", "a+@\u200ball .@\u200bhere \\_@\u200ball"),
        ("@||all||", "@\u200ball"),
        ("https://medium.org/@all https://@all", "https://medium.org/@all https://@\u200ball"),
        ("https://x_y/@all", "https://x_y/@all"),
        ("**b** *i* ~~s~~", "**b** *i* ~~s~~"),
        ("# T\n\n- a", "# T\n- a"),
        ("\\*not bold\\*", "\\*not bold\\*"),
    ],
)
def test_markdown_pings_no_one(markdown: str, written: str) -> None:
    [part] = rules_for(MattermostSettings()).texts(markdown, 1000)
    assert part.text == written


async def test_words_whose_form_is_refused_ping_no_one(server: MattermostServer, connected: Connected) -> None:
    async with connected(callbackUrl=CALLBACK) as (channel, _):
        for _ in range(2):
            server.fail("form")
        await send(channel, event=event_to(TO, "`@all` a@b.org", buttons=((Button(text="@all", command="/mail @all"),),)))
    assert [each.text for each in server.accepted.values()] == ["@\u200ball a@b.org\n\nReply /mail @\u200ball"]


async def test_a_user_is_written_to_in_direct_messages(server: MattermostServer, connected: Connected) -> None:
    async with connected() as (channel, _):
        await send(channel, address=replace(TO, chat_id=ADA))
        with pytest.raises(SendRefused):
            await send(channel, address=replace(TO, chat_id=id_of("nobody")))
    assert [each.chat_id for each in server.accepted.values()] == [DIRECT]


async def test_where_no_button_can_call_they_are_written(server: MattermostServer, connected: Connected) -> None:
    async with connected() as (channel, _):
        await send(channel, event=event_to(TO, "w1", buttons=((Button(text="yes"), Button(text="page", url="https://example.org/")),)))
    [shown] = server.accepted.values()
    assert "yes" in shown.text
    assert "https://example.org/" in shown.text
    assert shown.buttons == ()


async def test_a_mention_begins_a_thread_in_which_no_mention_is_needed(server: MattermostServer, connected: Connected) -> None:
    async with connected() as (channel, link):
        root = server.add({"channel_id": ROOM, "message": "@nanobot hello"})
        first = await link.next()
        server.add({"channel_id": ROOM, "message": "@nanobots, not you; mail nanobot@example.org"})
        server.add({"channel_id": ROOM, "message": "and this", "root_id": root})
        second = await link.next()
        server.add({"channel_id": ROOM, "message": "Assistant, are you there? @ada"})
        third = await link.next()
        own = await send(channel, "a thread of its own")
        server.add({"channel_id": ROOM, "message": "answer", "root_id": own})
        fourth = await link.next()
    assert first.text == "hello"
    assert first.address == second.address == replace(TO, thread_id=root)
    assert (second.text, second.sender.name, second.sender.id) == ("and this", "ada", ADA)
    assert third.text == ", are you there? @ada"
    assert fourth.address.thread_id == own


async def test_no_press_of_any_shape_is_an_error(server: MattermostServer, connected: Connected) -> None:
    async with connected(callbackUrl=CALLBACK) as (channel, link):
        id = await send(channel, event=event_to(TO, "w1", buttons=((Button(text="yes"),),)))
        assert id is not None
        context = server.posts[id]["props"]["attachments"][0]["actions"][0]["integration"]["context"]
        right = {"user_id": ADA, "channel_id": ROOM, "post_id": id, "trigger_id": "t", "context": context}
        assert {await press(channel, each.encode()) for each in oddities(right)} <= {200, 401, 503}
        while not link.kept.empty():
            assert said(link.kept.get_nowait())


async def press(channel: MattermostChannel, body: object) -> int:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return (await channel.called(PlatformCall(method="POST", query={}, headers={}, body=raw, url=CALLBACK))).status


async def test_a_press_counts_only_with_its_signature_and_once(server: MattermostServer, connected: Connected) -> None:
    async with connected(callbackUrl=CALLBACK) as (channel, link):
        id = await send(channel, event=event_to(TO, "w1", buttons=((Button(text="yes"),),)))
        assert id is not None
        [attachment] = server.posts[id]["props"]["attachments"]
        context = attachment["actions"][0]["integration"]["context"]
        good = {"user_id": ADA, "channel_id": ROOM, "post_id": id, "trigger_id": "t1", "context": context}
        for wrong in (
            b"",
            b"[",
            b"{}",
            b"7",
            {**good, "context": {**context, "value": "do:/approve x"}},
            {**good, "context": {"value": "say:x"}},
        ):
            assert await press(channel, wrong) == 401
        for odd in ({**good, "user_id": "../x"}, {**good, "user_id": BOT}, {**good, "channel_id": "../../x"}, {**good, "post_id": 7}):
            assert await press(channel, odd) in (200, 503)
        assert [await press(channel, good), await press(channel, good)] == [200, 200]
        first, second = await link.next(), await link.next()
        assert await press(channel, {**good, "trigger_id": "t2"}) == 200
        third = await link.next()
    assert link.kept.empty()
    assert (first.text, first.chosen, first.private, first.sender.name) == ("yes", True, False, "ada")
    assert first.external_id == second.external_id != third.external_id


async def test_a_press_counts_while_the_connection_ends(server: MattermostServer, connected: Connected) -> None:
    async with connected(callbackUrl=CALLBACK) as (channel, _):
        id = await send(channel, event=event_to(TO, "w1", buttons=((Button(text="yes"),),)))
        assert id is not None
        context = server.posts[id]["props"]["attachments"][0]["actions"][0]["integration"]["context"]
        link = RecordingLink()
        async with running(channel, link):
            server.may_read.clear()
            body = {"user_id": ADA, "channel_id": ROOM, "post_id": id, "trigger_id": "t", "context": context}
            pressed = asyncio.create_task(press(channel, body))
            await server.reading.wait()
        server.may_read.set()
        assert await pressed == 200
        assert (await link.next()).text == "yes"


async def test_an_edit_takes_the_buttons_away(server: MattermostServer, connected: Connected) -> None:
    async with connected(callbackUrl=CALLBACK) as (channel, _):
        id = await send(channel, event=event_to(TO, "w1", buttons=((Button(text="yes"),),)))
        await send(channel, event=event_to(TO, "w2", replaces=id))
    assert [(each.text, each.buttons) for each in server.accepted.values()] == [("w2", ())]


async def test_words_arrive_where_files_are_switched_off(server: MattermostServer, connected: Connected, files: FolderFiles) -> None:
    async with connected() as (channel, _):
        server.refusing["/api/v4/files"] = refusal(501, "api.file.attachments.disabled.app_error")
        await send(channel, event=event_to(TO, "w1", media=(files.put("a.pdf", b"x"),)))
    assert [(each.text, each.files) for each in server.accepted.values()] == [("w1", ())]


async def test_a_token_that_is_not_accepted_is_told(server: MattermostServer, connected: Connected) -> None:
    async with connected() as (channel, _):
        assert await channel.identity() == f"@nanobot ({BOT}) on {server.url}"
        server.fail("unauthorized")
        with pytest.raises(ChannelFailed) as failed:
            await channel.identity()
        assert failed.value.fatal
