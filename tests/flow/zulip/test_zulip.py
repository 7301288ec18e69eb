"""Zulip beyond the contract suite: topics, mentions and quotes, hostile events, lost queues, refusals, its text."""

import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, SendFailed, SendLater, SendRefused, SendUnclear
from assistant.contracts.errors import InvalidAddress
from assistant.contracts.inbox import InboundFile
from assistant.testing.platform import FolderFiles, RecordingLink, event_to
from assistant.testing.platform import send as send_parts
from channels.zulip.adapter import ZulipChannel
from channels.zulip.kind import check_address
from channels.zulip.settings import ZulipSettings
from channels.zulip.wire import RULES
from tests.doubles.odd_json import oddities, said
from tests.doubles.zulip_server import ADA, BOT, CHANNEL, EVE, ROBOT, ZulipServer, refusal
from tests.flow.zulip.conftest import Connected

TO = Address(channel="zulip", chat_id=f"c{CHANNEL}")


class Platform:
    """What `send` of the contract suite needs."""

    def __init__(self, channel: ZulipChannel, address: Address = TO) -> None:
        self.channel = channel
        self.address = address


async def send(channel: ZulipChannel, text: str = "w1", address: Address = TO, **more: Any) -> str:
    [receipt] = await send_parts(Platform(channel, address), text, **more)  # pyright: ignore[reportArgumentType] - it has what is used
    return receipt.notice


@pytest.mark.parametrize(
    ("status", "code", "words", "kind", "told"),
    [
        (400, "STREAM_DOES_NOT_EXIST", "Channel with ID '99' does not exist", SendRefused, "chat_not_found"),
        (400, "BAD_REQUEST", "Invalid user ID 99", SendRefused, "chat_not_found"),
        (400, "BAD_REQUEST", "Not authorized to send to channel 'x'", SendRefused, "forbidden"),
        (400, "BAD_REQUEST", "'a@example.org' is no longer using Zulip.", SendRefused, "blocked"),
        (401, "INVALID_API_KEY", "Invalid API key", SendLater, "unauthorized"),
        (403, "REALM_DEACTIVATED", "This organization has been deactivated", SendLater, "unauthorized"),
        (429, "RATE_LIMIT_HIT", "API usage exceeded rate limit", SendLater, "flood_wait"),
        (500, "INTERNAL_SERVER_ERROR", "Internal server error", SendUnclear, "server_error"),
        (502, "", "", SendUnclear, "server_error"),
        (503, "", "", SendLater, "server_error"),
    ],
)
async def test_each_refusal_is_told_apart(
    server: ZulipServer, connected: Connected, status: int, code: str, words: str, kind: type[SendFailed], told: str
) -> None:
    async with connected() as (channel, _):
        server.refusing["/api/v1/messages"] = refusal(status, code, words)
        with pytest.raises(kind) as failed:
            await send(channel)
    assert failed.value.trouble.code == told
    assert "a@example.org" not in failed.value.trouble.words


@pytest.mark.parametrize("answer", [{}, [], {"id": "7"}, {"id": None}, {"id": True}, {"id": 1 << 70}], ids=str)
async def test_a_receipt_without_an_id_has_none(server: ZulipServer, connected: Connected, answer: object) -> None:
    async with connected() as (channel, _):
        server.refusing["/api/v1/messages"] = web.json_response(answer)
        [receipt] = await send_parts(Platform(channel), "w1")  # pyright: ignore[reportArgumentType] - it has what is used
    assert receipt.message_id is None


async def test_a_preview_without_an_id_becomes_nothing(server: ZulipServer, connected: Connected) -> None:
    async with connected(preview="edit") as (channel, _):
        server.refusing["/api/v1/messages"] = web.json_response({"result": "success"})
        preview = channel.conversation.preview(TO, reply_to=None, posted=None, note=print)
        assert preview is not None
        preview.update("w1")
        await server.until(lambda: not server.refusing)
        assert await preview.close() is None


@pytest.mark.parametrize("answer", [{}, [], {"url": None, "uri": 7}], ids=str)
async def test_an_upload_that_can_not_be_read_posts_nothing(
    server: ZulipServer, connected: Connected, files: FolderFiles, answer: object
) -> None:
    async with connected() as (channel, _):
        server.refusing["/api/v1/user_uploads"] = web.json_response(answer)
        with pytest.raises(SendLater):
            await send(channel, event=event_to(TO, "w1", media=(files.put("a.pdf", b"x"),)))
    assert server.accepted == {}


@pytest.mark.parametrize("answer", [{}, [], {"user_id": BOT}, {"user_id": 7.5, "full_name": "x"}, {"full_name": "x"}], ids=str)
async def test_an_account_that_can_not_be_read_is_no_account(server: ZulipServer, connected: Connected, answer: object) -> None:
    """It would read its own messages."""
    async with connected() as (channel, _):
        server.refusing["/api/v1/users/me"] = web.json_response(answer)
        with pytest.raises(ChannelFailed):
            await channel.identity()


@pytest.mark.parametrize("answer", [{}, {"queue_id": None}, {"queue_id": 7}], ids=str)
async def test_a_queue_without_an_id_is_none(server: ZulipServer, connected: Connected, answer: object) -> None:
    server.refusing["/api/v1/register"] = web.json_response(answer)
    with pytest.raises(ChannelFailed, match="no queue"):
        async with connected():
            pass


@pytest.mark.parametrize(
    ("markdown", "written"),
    [
        ("**b** *i* ~~s~~ `c`", "**b** *i* ~~s~~ `c`"),
        ("@**Ada** and @*admins* and a@b.org", "@\u200b**Ada** and @\u200b*admins* and a@b.org"),
        ("https://x/@\\*\\*all\\*\\*", "https://x/@\u200b**all**"),
        ("```spoiler\n@**all**\n```", "```\n@**all**\n```"),
        ("```python\nx\n```", "```python\nx\n```"),
        ("\\# no heading", "\u200b# no heading"),
        ("snake_case 2 \\* 3", "snake_case 2 * 3"),
        ("[words](https://example.org)", "[words](<https://example.org>)"),
    ],
)
def test_markdown_pings_no_one(markdown: str, written: str) -> None:
    [part] = RULES.texts(markdown, 1000)
    assert part.text == written


async def test_words_whose_form_is_refused_ping_no_one(server: ZulipServer, connected: Connected, files: FolderFiles) -> None:
    async with connected() as (channel, _):
        server.fail("form")
        await send(channel, event=event_to(TO, "`@**all**` **x**", media=(files.put("@**all**.pdf", b"x"),)))
    [shown] = server.accepted.values()
    assert (shown.text, shown.files) == ("@\u200b**all** x", ("@\u200b**all**.pdf",))


@pytest.mark.parametrize(
    ("chat", "topic", "canonical"),
    [
        ("8", None, "8"),
        ("9,8", None, "8,9"),
        ("9,8,9", None, "8,9"),
        ("c12", "plans", "c12"),
        ("c0", None, ""),
        ("8,", None, ""),
        ("٣", None, ""),
    ],
)
def test_an_address_has_one_spelling(chat: str, topic: str | None, canonical: str) -> None:
    address = Address(channel="zulip", chat_id=chat, thread_id=topic)
    if canonical:
        assert check_address(ZulipSettings(), address).chat_id == canonical
    else:
        with pytest.raises(InvalidAddress):
            check_address(ZulipSettings(), address)


async def test_a_channel_without_a_topic_gets_that_of_the_settings(server: ZulipServer, connected: Connected) -> None:
    async with connected(topic="assistant") as (channel, _):
        await send(channel)
        await send(channel, "w2", Address(channel="zulip", chat_id=f"{ADA},{EVE}"), key="other")
        with pytest.raises(SendRefused):
            await send(channel, "w3", Address(channel="zulip", chat_id="99"), key="third")
    first, second = server.accepted.values()
    assert (first.chat_id, first.thread_id) == (f"c{CHANNEL}", "assistant")
    assert second.chat_id == f"{ADA},{EVE}"


async def test_mentions_are_names_and_quotes_are_quotes(server: ZulipServer, connected: Connected) -> None:
    quote = f"@_**nano bot|{BOT}** [said](https://example.org/#narrow/near/1):\n````quote\n```py\nx\n```\n````\n"
    async with connected() as (_, link):
        server.add("@**nano bot** ask @**Ada|8** in #**general>plans**, @_**Eve**", to=CHANNEL)
        first = await link.next()
        server.add("no one is called", to=CHANNEL)
        server.add(f"{quote}yes, that", to=CHANNEL)
        second = await link.next()
        server.add("@**nano bot**", to=CHANNEL)
        third = await link.next()
    assert first.text == "ask @Ada in #general>plans, @Eve"
    assert (second.text, second.quote and second.quote.text, second.quote and second.quote.author_id) == ("yes, that", "```py\nx\n```", "")
    assert third.text == "@nano bot"


async def test_a_conversation_of_several_is_a_group(server: ZulipServer, connected: Connected) -> None:
    async with connected() as (_, link):
        server.add("hello", to=[ADA, EVE])
        server.add("@**nano bot** hello", to=[ADA, EVE])
        message = await link.next()
    assert (message.text, message.private, message.address.chat_id) == ("hello", False, f"{ADA},{EVE}")


@pytest.mark.parametrize(("groups", "heard"), [("all", ["w1", "w2"]), ("mention", ["w2"]), ("off", [])])
async def test_channels_are_read_by_the_settings(server: ZulipServer, connected: Connected, groups: str, heard: list[str]) -> None:
    async with connected(groups=groups, allowChannels=[CHANNEL]) as (_, link):
        server.add("w1", to=CHANNEL)
        server.add("@**nano bot** w2", to=CHANNEL)
        server.add("@**nano bot** w3", to=13)
        server.add("w4")
        assert [(await link.next()).text for _ in range(len(heard) + 1)] == [*heard, "w4"]


HOSTILE: list[dict[str, object]] = [
    {"id": "x"},
    {"id": -1},
    {"id": True},
    {"sender_id": None},
    {"sender_id": 1 << 70},
    {"timestamp": "soon"},
    {"timestamp": 1e30},
    {"timestamp": 1 << 40},
    {"content": None},
    {"content": ["w1"]},
    {"type": "huddle"},
    {"type": "stream", "stream_id": "12"},
    {"type": "stream", "stream_id": 12, "subject": 7},
    {"display_recipient": "x"},
    {"display_recipient": [None, {"id": "8"}]},
    {"display_recipient": [{"id": number} for number in range(1, 80)]},
    {"content": " \n "},
]


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: str(change)[:60])
async def test_a_hostile_event_brings_nothing_and_holds_up_nothing(
    server: ZulipServer, connected: Connected, change: dict[str, object]
) -> None:
    message = {
        "id": 7,
        "sender_id": ADA,
        "timestamp": 1,
        "content": "w1",
        "type": "private",
        "display_recipient": [{"id": ADA}, {"id": BOT}],
    }
    async with connected() as (_, link):
        server.tell({"type": "message", "message": message | change, "flags": "mentioned"})
        server.add("w2")
        assert (await link.next()).text == "w2"


FULL: dict[str, Any] = {
    "type": "message",
    "flags": ["mentioned"],
    "message": {
        "id": 7,
        "sender_id": ADA,
        "sender_full_name": "Ada",
        "timestamp": 1,
        "type": "private",
        "subject": "x",
        "content": f"@_**nano bot|{BOT}** [said](https://x):\n```quote\nx\n```\n@**nano bot** w1 [a](/user_uploads/2/a.png)",
        "display_recipient": [{"id": ADA}, {"id": BOT}],
    },
}
IN_TOPIC = {**FULL, "message": FULL["message"] | {"type": "stream", "stream_id": CHANNEL, "content": "@**nano bot** w1"}}
EDIT: dict[str, Any] = {
    "type": "update_message",
    "message_id": 7,
    "content": "w1",
    "edit_timestamp": 5,
    "flags": [],
    "rendering_only": False,
}


@pytest.mark.parametrize("right", [FULL, IN_TOPIC, EDIT], ids=["private", "in a topic", "edit"])
async def test_nothing_of_any_shape_holds_up_what_follows(server: ZulipServer, connected: Connected, right: dict[str, Any]) -> None:
    async with connected(groups="all", allowBots=True) as (_, link):
        for event in oddities(right):
            if "NaN" not in event:  # with it, the answer is no JSON
                server.tell_json(event)
        server.add("the last")
        while "the last" not in said(await link.next()):
            pass


async def test_the_place_in_the_queue_is_a_number(server: ZulipServer, connected: Connected) -> None:
    async with connected() as (_, link):
        for id in ("null", "true", '"x"', "[]", "1.5", str(1 << 70), "-5"):
            server.tell_json(f'{{"id": {id}, "type": "heartbeat"}}')
        server.add("w1")
        assert (await link.next()).text == "w1"


async def test_polls_that_bring_nothing_are_few(server: ZulipServer, connected: Connected) -> None:
    """As of a server, or a proxy, that answers each at once."""
    async with connected() as (_, link):
        begun = time.monotonic()
        server.tell_json('{"type": "x"}')
        await server.until(lambda: server.polls >= 51)
        assert time.monotonic() - begun >= 0.49  # fifty pauses of 10 ms: polls without any are done in half of that
        server.add("w1")
        assert (await link.next()).text == "w1"


async def test_a_message_that_is_kept_from_the_bot_holds_up_nothing(server: ZulipServer, connected: Connected) -> None:
    async with connected() as (_, link):
        for status in (400, 403, 404):
            server.refusing["/api/v1/messages/7"] = refusal(status, "BAD_REQUEST", "Invalid message(s)")
            server.tell(EDIT)
            server.add(f"w{status}")
            assert (await link.next()).text == f"w{status}"


async def test_long_runs_of_signs_are_read_in_no_time(server: ZulipServer, connected: Connected) -> None:
    async with connected() as (_, link):
        for sign in ("@**", "[", "`" * 3 + "quote\n", "@_**a|1** [", "](/user_uploads/1/", "!["):
            server.add(sign * 30_000)
            await link.next()


async def test_a_queue_that_is_gone_is_registered_anew_and_nothing_is_lost(server: ZulipServer, connected: Connected) -> None:
    async with connected() as (_, link):
        server.add("w1")
        assert (await link.next()).text == "w1"
        server.forget_queue()
        server.add("w2")
        server.add("@**nano bot** w3", to=CHANNEL)
        assert [(await link.next()).text for _ in range(2)] == ["w2", "w3"]
    assert server.registered == 2


async def test_what_was_missed_is_fetched_in_pages(server: ZulipServer, connected: Connected) -> None:
    server.add("before the first start", told=False)
    async with connected():
        pass
    for number in range(1200):
        server.add(f"w{number}", told=False, sender=ADA if number % 100 == 0 else BOT)
    async with connected(RecordingLink()) as (_, link):
        assert [(await link.next()).text for _ in range(12)] == [f"w{number}" for number in range(0, 1200, 100)]
        assert link.kept.empty()


async def test_edits_are_messages_and_renderings_are_not(server: ZulipServer, connected: Connected) -> None:
    async with connected() as (_, link):
        id = server.add("w1")
        first = await link.next()
        server.tell({"type": "update_message", "message_id": id, "content": "w1", "rendering_only": True, "edit_timestamp": 5})
        server.edit(id, "w2")
        second = await link.next()
        server.edit(id, "w3")
        third = await link.next()
        server.tell({"type": "update_message", "message_id": 99, "content": "gone", "edit_timestamp": 5})
        server.add("w4")
        assert (await link.next()).text == "w4"
    assert [each.text for each in (first, second, third)] == ["w1", "w2", "w3"]
    assert len({each.external_id for each in (first, second, third)}) == 3


async def test_a_files_path_leads_nowhere_else(server: ZulipServer, connected: Connected, tmp_path: Path) -> None:
    async with connected() as (channel, link):
        server.add("w1 [x](/user_uploads/2/../../users/me) [y](https://evil.example/user_uploads/2/a) [z](/user_uploads/2/%2e%2e/a)")
        assert (await link.next()).files == ()
        gone = InboundFile(name="x", kind="document", media_type="text/plain", size=None, ref="/users/me")
        with pytest.raises(SendRefused):
            await channel.conversation.fetch(gone, tmp_path / "x", 1000)


async def test_words_arrive_where_an_upload_is_refused(server: ZulipServer, connected: Connected, files: FolderFiles) -> None:
    media = (files.put("a[1].pdf", b"x"),)
    async with connected() as (channel, _):
        server.fail("files")
        notice = await send(channel, event=event_to(TO, "w1", media=media))
        assert "a[1].pdf" in notice
        await send(channel, event=event_to(TO, "w2", media=media), key="other")
    assert [(each.text, each.files) for each in server.accepted.values()] == [("w1", ()), ("w2", ("a(1).pdf",))]


async def test_a_key_that_is_not_accepted_is_told(server: ZulipServer, connected: Connected) -> None:
    async with connected() as (channel, _):
        assert await channel.identity() == f"nano bot ({BOT}) on {server.url}"
        server.fail("unauthorized")
        with pytest.raises(ChannelFailed, match="apiKey") as failed:
            await channel.identity()
        assert failed.value.fatal


async def test_bots_are_heard_where_the_settings_say_so(server: ZulipServer, connected: Connected) -> None:
    async with connected(allowBots=True) as (_, link):
        server.add("w1", sender=ROBOT, to=[ROBOT])
        message = await link.next()
        server.add("from a bot that Zulip does not show", sender=77, to=[77])
        assert not (await link.next()).trusted
    assert (message.text, message.trusted) == ("w1", False)
