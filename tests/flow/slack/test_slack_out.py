"""What goes to Slack: its text form, its refusals, buttons beside files, members as addresses, previews."""

import asyncio
from dataclasses import replace

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendFailed, SendLater, SendRefused, SendUnclear
from assistant.contracts.outbox import Button, OutboundEvent, Receipt
from assistant.testing.platform import FolderFiles, event_to
from assistant.testing.platform import send as send_parts
from channels.slack.adapter import SlackChannel
from channels.text.slack import slack_parts
from tests.doubles.slack_server import SlackServer
from tests.flow.slack.conftest import Connected

ROOM = Address(channel="slack", chat_id="C0000001")


class Platform:
    """What `send` of the contract suite needs."""

    def __init__(self, channel: SlackChannel, address: Address = ROOM) -> None:
        self.channel = channel
        self.address = address


async def send(channel: SlackChannel, event: OutboundEvent) -> list[Receipt]:
    return await send_parts(Platform(channel, event.address), event=event)  # pyright: ignore[reportArgumentType] - it has what is used


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        ("**bold** *it* ~~gone~~ `code`", "*bold* _it_ ~gone~ `code`"),
        ("a**b**c", "a\u200b*b*\u200bc"),
        ("# Title\n\ntext", "*Title*\ntext"),
        ("# A **b** c", "*A b c*"),
        ("[words](https://example.org/?a=1&b=|2)", "<https://example.org/?a=1&amp;b=%7C2|words>"),
        ("<!channel> <@U1> @here & <b>", "&lt;!channel&gt; &lt;@U1&gt; @here &amp; &lt;b&gt;"),
        ("```python\nx < 1 && '```'\n```", "```\nx &lt; 1 &amp;&amp; '``\u200b`'\n```"),
        ("- a\n  - b\n\n1. c", "• a\n  ◦ b\n\n1. c"),
        ("> quoted\n> more", "> quoted\n> more"),
        ("`` a`b ``", "`aˋb`"),
        ("||secret||", "secret"),
        ("![cat](https://example.org/c.png)", "<https://example.org/c.png|cat>"),
        ("***both***", "*_both_*"),
    ],
)
def test_markdown_is_written_as_mrkdwn(markdown: str, mrkdwn: str) -> None:
    [part] = slack_parts(markdown)
    assert part.text == mrkdwn


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        ("channel_not_found", SendRefused, "chat_not_found"),
        ("not_in_channel", SendRefused, "not_in_chat"),
        ("is_archived", SendRefused, "chat_archived"),
        ("restricted_action", SendRefused, "forbidden"),
        ("messages_tab_disabled", SendRefused, "blocked"),
        ("msg_too_long", SendRefused, "too_long"),
        ("no_text", SendRefused, "no_text"),
        ("Some <b>new</b> error", SendRefused, "unknown_error"),
        ("invalid_auth", SendLater, "unauthorized"),
        ("account_inactive", SendLater, "unauthorized"),
        ("token_revoked", SendLater, "unauthorized"),
        ("rate_limited", SendLater, "flood_wait"),
        ("service_unavailable", SendLater, "not_now"),
        ("team_added_to_org", SendLater, "not_now"),
        ("fatal_error", SendUnclear, "server_error"),
        ("internal_error", SendUnclear, "server_error"),
    ],
)
async def test_each_refusal_is_told_apart(slack: SlackServer, connected: Connected, code: str, kind: type[SendFailed], told: str) -> None:
    async with connected() as (channel, _):
        slack.refusing["chat.postMessage"] = code
        with pytest.raises(kind) as failed:
            await send(channel, event_to(ROOM, "w1"))
    assert failed.value.trouble.code == told
    assert "w1" not in failed.value.trouble.words


async def test_words_arrive_where_the_app_may_share_no_files(slack: SlackServer, connected: Connected, files: FolderFiles) -> None:
    media = files.put("a.pdf", b"x")
    async with connected() as (channel, _):
        slack.refusing["files.getUploadURLExternal"] = "missing_scope files:write"
        [receipt] = await send(channel, event_to(ROOM, "w1", media=(media,)))
    assert slack.said(ROOM.chat_id) == ["w1"]
    assert "a.pdf" in receipt.notice


@pytest.mark.parametrize("step", ["files.getUploadURLExternal", "conversations.open"])
async def test_an_answer_that_is_lost_before_anything_is_posted_is_no_doubt(
    slack: SlackServer, connected: Connected, files: FolderFiles, step: str
) -> None:
    """Only the last call posts; those before it may be repeated."""
    to = Address(channel="slack", chat_id="U0000001")
    async with connected() as (channel, _):
        slack.silent = step
        with pytest.raises(SendLater):
            await send(channel, event_to(to, "w1", media=(files.put("a.pdf", b"x"),)))
        slack.silent = ""
        await send(channel, event_to(to, "w1", media=(files.put("a.pdf", b"x"),)))
    assert [each.files for each in slack.accepted.values()] == [("a.pdf",)]


async def test_buttons_stand_under_words_where_files_are_sent_too(slack: SlackServer, connected: Connected, files: FolderFiles) -> None:
    media = (files.put("a.pdf", b"x"), files.put("b.pdf", b"y"))
    rows = ((Button(text="yes"), Button(text="no")),)
    async with connected() as (channel, _):
        await send(channel, event_to(ROOM, "w1", media=media, buttons=rows))
        await send(channel, event_to(ROOM, "", media=media[:1], buttons=rows))
    words, both, alone = slack.accepted.values()
    assert (words.text, words.buttons) == ("w1", ("yes", "no"))
    assert both.files == ("a.pdf", "b.pdf")
    assert "yes" in alone.text, "buttons without words are written"


@pytest.mark.parametrize("answer", [{}, {"ts": None}, {"ts": 7}, {"ts": ""}, {"ts": ["x"]}], ids=str)
async def test_a_receipt_without_an_id_has_none(slack: SlackServer, connected: Connected, answer: dict[str, object]) -> None:
    async with connected() as (channel, _):
        slack.answering["chat.postMessage"] = {"ok": True, **answer}
        [receipt] = await send(channel, event_to(ROOM, "w1"))
    assert receipt.message_id is None


@pytest.mark.parametrize("answer", [{}, {"upload_url": 7, "file_id": "F1"}, {"upload_url": "https://x", "file_id": None}], ids=str)
async def test_an_upload_that_can_not_be_read_posts_nothing(
    slack: SlackServer, connected: Connected, files: FolderFiles, answer: dict[str, object]
) -> None:
    async with connected() as (channel, _):
        slack.answering["files.getUploadURLExternal"] = {"ok": True, **answer}
        with pytest.raises(SendLater):
            await send(channel, event_to(ROOM, "w1", media=(files.put("a.pdf", b"x"),)))
    assert slack.accepted == {}


async def test_words_whose_form_is_refused_ping_no_one(slack: SlackServer, connected: Connected) -> None:
    async with connected() as (channel, _):
        for _ in range(2):
            slack.fail("form")
        await send(channel, event_to(ROOM, "**<!channel>**", buttons=((Button(text="<!here>", url="https://example.org/?a&b"),),)))
    assert slack.said(ROOM.chat_id) == ["&lt;!channel&gt;\n\n&lt;!here&gt;: https://example.org/?a&amp;b"]


async def test_an_edit_takes_the_buttons_away(slack: SlackServer, connected: Connected) -> None:
    async with connected() as (channel, _):
        [sent] = await send(channel, event_to(ROOM, "w1", buttons=((Button(text="yes"),),)))
        await send(channel, event_to(ROOM, "w2", replaces=sent.message_id))
    [shown] = slack.accepted.values()
    assert (shown.text, shown.buttons, shown.edited) == ("w2", (), True)


async def test_a_member_is_written_to_in_direct_messages(slack: SlackServer, connected: Connected) -> None:
    async with connected() as (channel, _):
        await send(channel, event_to(Address(channel="slack", chat_id="U0000001"), "w1"))
        with pytest.raises(SendRefused) as refused:
            await send(channel, event_to(Address(channel="slack", chat_id="U0000099"), "w1"))
    assert slack.said("D0000001") == ["w1"]
    assert refused.value.trouble.code == "chat_not_found"


async def test_links_are_not_fetched_by_slack_unless_the_settings_say_so(slack: SlackServer, connected: Connected) -> None:
    async with connected() as (channel, _):
        await send(channel, event_to(ROOM, "https://example.org"))
    assert [(each["unfurl_links"], each["unfurl_media"]) for each in slack.arguments_of("chat.postMessage")] == [("false", "false")]


async def test_a_thread_shows_that_the_assistant_thinks_unless_it_may_not(slack: SlackServer, connected: Connected) -> None:
    async with connected() as (channel, _):
        await channel.conversation.typing(ROOM)
        await channel.conversation.typing(replace(ROOM, thread_id="1.000001"))
        slack.refusing["assistant.threads.setStatus"] = "missing_scope assistant:write"
        await channel.conversation.typing(replace(ROOM, thread_id="1.000001"))
        await channel.conversation.typing(replace(ROOM, thread_id="1.000001"))
    assert [each["thread_ts"] for each in slack.arguments_of("assistant.threads.setStatus")] == ["1.000001"] * 2


async def test_a_preview_without_an_id_becomes_nothing(slack: SlackServer, connected: Connected) -> None:
    slack.answering["chat.postMessage"] = {"ok": True, "ts": None}
    async with connected(preview="edit") as (channel, _):
        preview = channel.conversation.preview(ROOM, reply_to=None, posted=None, note=print)
        assert preview is not None
        preview.update("w1")
        await slack.until(lambda: bool(slack.arguments_of("chat.postMessage")))
        assert await preview.close() is None


async def test_an_answer_is_shown_while_it_is_made(slack: SlackServer, connected: Connected) -> None:
    noted: asyncio.Queue[str] = asyncio.Queue()
    async with connected(preview="edit") as (channel, _):
        preview = channel.conversation.preview(ROOM, reply_to=None, posted=None, note=noted.put_nowait)
        assert preview is not None
        preview.update("**w1**")
        id = await noted.get()
        assert await preview.close() == id
        assert slack.said(ROOM.chat_id) == ["*w1*"]
        await send(channel, event_to(ROOM, "w1 w2", replaces=id))
    [message] = slack.accepted.values()
    assert (message.id, message.text) == (id, "w1 w2")
