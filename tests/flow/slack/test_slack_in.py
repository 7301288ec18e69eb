"""What comes from Slack: threads, hostile events, what was missed, and its calls."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, PlatformCall, SendRefused
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.testing.platform import RecordingLink
from channels.slack.adapter import SlackChannel
from tests.doubles.odd_json import oddities, said
from tests.doubles.slack_server import BOT, SlackServer, signed
from tests.flow.slack.conftest import Connected, Opened

ROOM = "C0000001"


def written(text: str, ts: str, *, user: str = "U0000001", chat: str = ROOM, **more: object) -> dict[str, Any]:
    kind = "im" if chat.startswith("D") else "channel"
    return {"type": "message", "user": user, "text": text, "ts": ts, "channel": chat, "channel_type": kind, **more}


async def test_a_mention_begins_a_thread_in_which_no_mention_is_needed(slack: SlackServer, connected: Connected) -> None:
    async with connected() as (_, link):
        slack.event(written(f"<@{BOT}> hello <@U0000002> in <#C7|home> &amp; <https://example.org|there>", "1.000001"))
        first = await link.next()
        slack.event(written("another thread", "2.000002", thread_ts="1.900000", parent_user_id="U0000002"))
        slack.event(written("and this", "3.000003", thread_ts="1.000001"))
        second = await link.next()
        slack.event(written("an answer to the assistant", "5.000005", thread_ts="4.000004", parent_user_id=BOT))
        third = await link.next()
    assert first.text == "hello @Eve in #home & [there](https://example.org)"
    assert first.address == second.address == Address(channel="slack", chat_id=ROOM, thread_id="1.000001")
    assert (second.text, second.sender.name, second.message_id) == ("and this", "Ada", "3.000003")
    assert third.text == "an answer to the assistant"


async def test_a_thread_that_it_wrote_in_before_a_restart_is_known(slack: SlackServer, connected: Connected) -> None:
    thread = [{"user": "U0000002", "ts": "1.000001", "text": "x"}, {"user": BOT, "ts": "2.000001", "thread_ts": "1.000001", "text": "y"}]
    slack.history[ROOM] += thread
    async with connected() as (_, link):
        slack.event(written("still there?", "3.000003", thread_ts="1.000001"))
        message = await link.next()
        slack.event(written("yes?", "4.000004", thread_ts="1.000001"))
        await link.next()
    assert (message.text, message.quote) == ("still there?", None)
    assert len(slack.arguments_of("conversations.replies")) == 1, "a thread is asked about once"


@pytest.mark.parametrize(("groups", "heard"), [("all", ["w1", "w2"]), ("mention", ["w2"]), ("off", [])])
async def test_channels_are_read_by_the_settings(slack: SlackServer, connected: Connected, groups: str, heard: list[str]) -> None:
    async with connected(groups=groups, allowChannels=[ROOM]) as (_, link):
        slack.event(written("w1", "1.000001"))
        slack.event(written(f"<@{BOT}> w2", "2.000001"))
        slack.event(written(f"<@{BOT}> w3", "3.000001", chat="G0000001"))
        slack.event(written("w4", "4.000001", chat="D0000001"))
        got = [(await link.next()).text for _ in range(len(heard) + 1)]
    assert got == [*heard, "w4"]


@pytest.mark.parametrize(
    "change",
    [
        {"channel": None},
        {"channel": "x" * 300},
        {"user": ["U1"], "bot_id": None},
        {"user": "", "bot_id": ""},
        {"user": "../U1"},
        {"ts": 17.5},
        {"ts": "soon"},
        {"ts": "9" * 40 + ".1"},
        {"ts": "999999999999.000001"},
        {"text": None},
        {"text": {"a": 1}},
        {"subtype": "channel_join"},
        {"files": {"id": "F1"}, "text": ""},
        {"files": [None, 7, {"id": 7}, {"name": "x"}], "text": ""},
        {"attachments": [None, "x", {"text": 7}], "text": ""},
        {"type": "message", "subtype": "message_changed", "message": 7},
        {"type": "message", "subtype": "message_changed", "message": {"edited": 1}, "previous_message": []},
        {"subtype": "message_changed", "message": {"user": "U1", "ts": "1.000001", "text": "x", "edited": {"ts": "soon"}}},
        {"type": "channel_id_changed", "old_channel_id": 7},
    ],
    ids=str,
)
async def test_a_hostile_event_brings_nothing_and_holds_up_nothing(
    slack: SlackServer, connected: Connected, change: dict[str, object]
) -> None:
    async with connected() as (_, link):
        slack.event(written("w1", "1.000001", chat="D0000001") | change)
        slack.event(written("w2", "2.000001", chat="D0000001"))
        assert (await link.next()).text == "w2"
    assert slack.pending == {}, "it is acknowledged, else it would come for ever"


FULL: dict[str, Any] = {
    **written(f"<@{BOT}> look <@U0000002>", "1.000001", thread_ts="0.000001", parent_user_id="U0000002", subtype="file_share"),
    "username": "x",
    "bot_id": "",
    "files": [
        {"id": "F1", "name": "a.pdf", "title": "a", "mimetype": "text/plain", "size": 3, "mode": "hosted", "url_private": "https://x"}
    ],
    "attachments": [{"pretext": "a", "author_name": "b", "title": "c", "text": "d", "fallback": "e"}],
}
EDITED: dict[str, Any] = {
    "type": "message",
    "subtype": "message_changed",
    "channel": "D0000001",
    "channel_type": "im",
    "message": {"type": "message", "user": "U0000001", "text": "w2", "ts": "1.000001", "edited": {"user": "U0000001", "ts": "2.000001"}},
    "previous_message": {"text": "w1"},
}
PRESS: dict[str, Any] = {
    "type": "block_actions",
    "user": {"id": "U0000001"},
    "container": {"message_ts": "1.000001", "channel_id": "D0000001", "thread_ts": "0.000001"},
    "channel": {"id": "D0000001"},
    "actions": [{"action_id": "0.0", "value": "say:yes", "text": {"text": "yes"}, "action_ts": "3.000001"}],
}
SLASH: dict[str, Any] = {"text": "remind me", "user_id": "U0000001", "channel_id": "D0000001", "trigger_id": "13.37"}


@pytest.mark.parametrize(
    ("kind", "right"),
    [("events_api", {"event": FULL}), ("events_api", {"event": EDITED}), ("interactive", PRESS), ("slash_commands", SLASH)],
    ids=["message", "edit", "press", "command"],
)
async def test_nothing_of_any_shape_holds_up_what_follows(slack: SlackServer, connected: Connected, kind: str, right: object) -> None:
    async with connected(groups="all", allowBots=True) as (_, link):
        for payload in oddities(right):
            slack.frame(f'{{"type": "{kind}", "envelope_id": 7, "payload": {payload}}}')
        slack.event(written("the last", "9.000001", chat="D0000001"))
        while "the last" not in said(await link.next()):
            pass


async def test_a_message_has_few_names_looked_up(slack: SlackServer, connected: Connected) -> None:
    calls = [f"<@U{number:07}>" for number in range(1600)]
    texts = ["".join(calls[at : at + 20]) for at in range(0, 1600, 20)]
    attachments = [dict(zip(("pretext", "author_name", "title", "text"), texts[at : at + 4], strict=True)) for at in range(0, 80, 4)]
    async with connected() as (_, link):
        slack.event(written("w1", "1.000001", chat="D0000001", attachments=attachments))
        quote = (await link.next()).quote
    assert len(slack.arguments_of("users.info")) <= 20
    assert quote is not None
    assert "@Ada" in quote.text


async def test_a_name_that_slack_does_not_tell_now_is_asked_for_again(slack: SlackServer, connected: Connected) -> None:
    async with connected() as (_, link):
        slack.refusing["users.info"] = "ratelimited"
        slack.event(written("w1", "1.000001", chat="D0000001"))
        assert (await link.next()).sender.name == "U0000001"
        slack.refusing.clear()
        slack.event(written("w2", "2.000001", chat="D0000001"))
        assert (await link.next()).sender.name == "Ada"


@pytest.mark.parametrize("depth", [1000, 40_000])
async def test_deep_and_large_frames_hold_up_nothing(slack: SlackServer, connected: Connected, depth: int) -> None:
    async with connected() as (_, link):
        slack.frame('{"type": "events_api", "payload": ' + "[" * depth + "]" * depth + "}")
        slack.event(written("<@U" * 20_000 + "<" * 50_000, "1.000001", chat="D0000001"))
        slack.event(written("w2", "2.000001", chat="D0000001"))
        assert (await link.next()).text.startswith("<@U<@U")
        assert (await link.next()).text == "w2"


async def test_what_was_missed_is_fetched_in_order_with_threads(slack: SlackServer, connected: Connected) -> None:
    slack.history[ROOM] = [
        {"type": "message", "user": "U0000001", "text": f"<@{BOT}> old", "ts": "10.000001"},
        {"type": "message", "user": BOT, "text": "answer", "ts": "10.000002", "thread_ts": "10.000001"},
        *[{"type": "message", "user": "U0000001", "text": f"<@{BOT}> w{place}", "ts": f"{20 + place}.000001"} for place in range(250)],
        {"type": "message", "user": "U0000001", "text": "in the thread", "ts": "400.000001", "thread_ts": "10.000001"},
        {"type": "message", "user": "U0000001", "text": "to another", "ts": "401.000001"},
    ]
    link = RecordingLink()
    link.last = {ROOM: f"{ROOM}:10.000001", "C9999999": "C9999999:5.000001", "D0000001": "D0000001:press"}
    async with connected(link) as (_, link):
        texts = [(await link.next()).text for _ in range(251)]
    assert texts == [*[f"w{place}" for place in range(250)], "in the thread"]


async def test_a_limit_while_catching_up_stops_that_and_not_the_channel(slack: SlackServer, connected: Connected) -> None:
    slack.refusing["conversations.history"] = "ratelimited"
    link = RecordingLink()
    link.last = {ROOM: f"{ROOM}:10.000001", "D0000001": "D0000001:9.000001"}
    async with connected(link) as (_, link):
        slack.event(written("w1", "20.000001", chat="D0000001"))
        assert (await link.next()).text == "w1"
    assert len(slack.arguments_of("conversations.history")) == 1


async def test_a_connection_is_renewed_when_slack_asks(slack: SlackServer, connected: Connected) -> None:
    async with connected() as (_, link):
        slack.frame('{"type": "disconnect", "reason": "refresh_requested"}')
        slack.event(written("w1", "1.000001", chat="D0000001"))
        assert (await link.next()).text == "w1"
    assert len(slack.arguments_of("apps.connections.open")) == 2
    assert len(slack.acknowledged) == 1


async def test_socket_mode_that_is_switched_off_is_told(slack: SlackServer, opened: Opened) -> None:
    channel = opened()
    run = asyncio.create_task(channel.run(RecordingLink()))
    await slack.connected.wait()
    slack.frame('{"type": "disconnect", "reason": "link_disabled"}')
    with pytest.raises(ChannelFailed, match="Socket Mode is switched off") as failed:
        await run
    assert failed.value.fatal
    await channel.close()


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
async def test_a_wrong_token_is_told_at_login(slack: SlackServer, connected: Connected, method: str) -> None:
    async with connected() as (channel, _):
        assert await channel.identity() == f"@nanobot ({BOT}) in Home"
        slack.refusing[method] = "missing_scope connections:write"
        with pytest.raises(ChannelFailed, match="connections:write") as failed:
            await channel.identity()
        assert failed.value.fatal


@pytest.mark.parametrize("user", [None, "", 7, "x", "U1|x"], ids=str)
async def test_an_account_that_can_not_be_read_is_no_account(slack: SlackServer, connected: Connected, user: object) -> None:
    """It would read its own messages."""
    async with connected() as (channel, _):
        slack.answering["auth.test"] = {"ok": True, "user_id": user, "user": "nanobot"}
        with pytest.raises(ChannelFailed):
            await channel.identity()


class Strangers(RecordingLink):
    async def accept(self, message: InboundMessage) -> str:
        await super().accept(message)
        return ""


async def test_a_stranger_in_a_channel_is_told_the_way_alone_and_once(slack: SlackServer, connected: Connected) -> None:
    async with connected(Strangers()) as (_, link):
        for place in range(3):
            slack.event(written(f"<@{BOT}> let me in", f"{place}.000001"))
            await link.next()
        slack.event(written("hi", "9.000001", chat="D0000001"))
        await link.next()
        await slack.until(lambda: bool(slack.arguments_of("chat.postEphemeral")))  # it holds up no message
    [told] = slack.arguments_of("chat.postEphemeral")
    assert (told["channel"], told["user"], told["thread_ts"]) == (ROOM, "U0000001", "0.000001")
    assert slack.accepted == {}


async def test_what_a_stranger_is_told_holds_up_nothing(slack: SlackServer, connected: Connected) -> None:
    slack.waiting["chat.postEphemeral"] = asyncio.Event()
    async with connected(Strangers()) as (_, link):
        slack.event(written(f"<@{BOT}> let me in", "1.000001"))
        slack.event(written("w2", "2.000001", chat="D0000001"))
        assert [(await link.next()).text for _ in range(2)] == ["let me in", "w2"]
        slack.waiting["chat.postEphemeral"].set()
        await slack.until(lambda: bool(slack.arguments_of("chat.postEphemeral")))


async def test_a_forwarded_message_is_quoted_and_a_preview_of_a_link_is_no_edit(slack: SlackServer, connected: Connected) -> None:
    message = written("look", "1.000001", chat="D0000001")
    shared = {"author_name": "Eve", "text": "the <@U0000002> words", "is_share": True}
    async with connected() as (_, link):
        slack.event(message | {"attachments": [shared]})
        first = await link.next()
        unfurled = {"type": "message", "subtype": "message_changed", "channel": "D0000001", "message": message, "previous_message": message}
        slack.event(unfurled)
        slack.event(written("w2", "2.000001", chat="D0000001"))
        assert (await link.next()).text == "w2"
    assert (first.text, first.quote and first.quote.text, first.quote and first.quote.kind) == ("look", "Eve\nthe @Eve words", "forward")


@pytest.mark.parametrize(
    ("url", "media_type", "words"),
    [
        ("https://evil.example/files.slack.com", "image/png", "not the platform's"),
        ("https://slack.com.evil.example/x", "image/png", "not the platform's"),
        ("http://files.slack.com/x", "image/png", "not the platform's"),
        ("file:///etc/passwd", "image/png", "not the platform's"),
    ],
)
async def test_the_token_goes_to_slacks_own_hosts_only(connected: Connected, tmp_path: Path, url: str, media_type: str, words: str) -> None:
    file = InboundFile(name="x", kind="image", media_type=media_type, size=None, ref=f"F1 {url}")
    async with connected() as (channel, _):
        with pytest.raises(SendRefused, match=words):
            await channel.conversation.fetch(file, tmp_path / "x", 1000)


async def test_a_login_page_is_no_file_and_a_file_of_another_workspace_is_asked_for(
    slack: SlackServer, connected: Connected, tmp_path: Path
) -> None:
    slack.files["F1"] = (b"<!DOCTYPE html><html>", "image/png")
    slack.files["F2"] = (b"content", "image/png")
    async with connected() as (channel, _):
        page = InboundFile(name="x", kind="image", media_type="image/png", size=None, ref=f"F1 {slack.url}/file/F1")
        with pytest.raises(SendRefused, match="files:read"):
            await channel.conversation.fetch(page, tmp_path / "x", 1000)
        other = InboundFile(name="x", kind="image", media_type="image/png", size=None, ref="F2 ")
        await channel.conversation.fetch(other, tmp_path / "y", 1000)
    assert (tmp_path / "y").read_bytes() == b"content"


async def called(channel: SlackChannel, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    given = signed(body, time.time()) if headers is None else headers
    reply = await channel.called(PlatformCall(method="POST", query={}, headers=given, body=body, url="https://example.org/channels/slack"))
    return reply.status, reply.body


FORGED: dict[str, Callable[[float], dict[str, str]]] = {
    "unsigned": lambda now: {},
    "empty": lambda now: {"x-slack-request-timestamp": "", "x-slack-signature": "v0="},
    "other digits": lambda now: {"x-slack-request-timestamp": "٣٤", "x-slack-signature": "v0=é"},
    "of 1970": lambda now: signed(b"{}", 0),
    "of another hour": lambda now: signed(b"{}", now + 3600),
    "another body": lambda now: signed(b"another body", now),
    "another secret": lambda now: signed(b"{}", now, "x" * 32),
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
async def test_a_call_that_is_not_signed_now_is_refused(connected: Connected, headers: Callable[[float], dict[str, str]]) -> None:
    async with connected(mode="events") as (channel, _):
        assert (await called(channel, b"{}", headers(time.time())))[0] == 401
        assert (await called(channel, b"{}", signed(b"{}", time.time())))[0] == 200


DEEP = b"[" * 50_000
BODIES = {
    "deep": DEEP,
    "deep within": b'{"a":' + DEEP,
    "a deep press": b"payload=" + DEEP,
    "half": b'{"type": "\\ud800"}',
    "NaN": b'{"a": NaN}',
    "empty": b"",
    "cut": b"{",
    "list": b"[]",
    "no UTF-8": b"\xff",
    "a cut press": b"payload=%7B",
    "no form": b"payload",
    "number": b'{"type": 7}',
    "many fields": b"a=1&" * 500,
    "event of a list": b'{"event": []}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_signed_call_of_any_shape_is_answered(connected: Connected, body: bytes) -> None:
    async with connected(mode="events") as (channel, _):
        assert (await called(channel, body))[0] in (200, 400)


async def test_the_address_is_verified_and_a_command_of_the_app_is_one(connected: Connected) -> None:
    command = {"command": "/nanobot", "text": "remind me", "user_id": "U0000001", "channel_id": "D0000001", "trigger_id": "13.37"}
    async with connected(mode="events") as (channel, link):
        challenge = orjson.dumps({"type": "url_verification", "challenge": "3eZbrw"})
        assert await called(channel, challenge) == (200, b'{"challenge":"3eZbrw"}')
        assert (await called(channel, urlencode(command).encode()))[0] == 200
        assert (await called(channel, urlencode(command | {"text": "Snooze 10m"}).encode()))[0] == 200
        message, snooze = await link.next(), await link.next()
    assert (message.text, message.command, message.sender.id) == ("remind me", None, "U0000001")
    assert snooze.command is not None
    assert (snooze.command.name, snooze.command.arguments) == ("snooze", "10m")


async def test_in_socket_mode_and_without_a_link_no_call_is_taken(connected: Connected) -> None:
    async with connected(signingSecret=None) as (channel, _):
        assert (await called(channel, b"{}", signed(b"{}", time.time(), "")))[0] == 401
    async with connected(mode="events") as (channel, _):
        channel.attach(None)
    assert (await called(channel, b'{"type": "event_callback"}'))[0] == 503


async def test_a_channel_that_gets_a_new_id_is_moved(slack: SlackServer, connected: Connected) -> None:
    class Moving(RecordingLink):
        async def moved(self, chat_id: str, now: str) -> None:
            renamed.append((chat_id, now))

    renamed: list[tuple[str, str]] = []
    async with connected(Moving()) as (_, link):
        slack.event({"type": "channel_id_changed", "old_channel_id": "C1", "new_channel_id": "G2"})
        slack.event(written("w1", "1.000001", chat="D0000001"))
        await link.next()
    assert renamed == [("C1", "G2")]
