"""LINE: replies and pushes and what is known of each, buttons, quotes, events of every shape."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assistant.contracts.channels import ChannelContext, ChannelFailed, SendFailed, SendLater, SendRefused, SendUnclear, SendUndecided
from assistant.contracts.outbox import Button
from assistant.testing.platform import FolderFiles, RecordingLink, Said, event_to, running, send
from channels.line.kind import KIND
from channels.line.settings import LineSettings
from tests.contract.plugins.test_line import ADA, BO, GROUP, LinePlatform
from tests.doubles.line_server import NOW, SECRET, TOKEN, LineServer, call_of, error, signed
from tests.doubles.mutated import survive

SOURCE = {"type": "user", "userId": ADA}


def event(**more: Any) -> dict[str, Any]:
    return {"type": "message", "webhookEventId": "e1", "timestamp": NOW, "source": SOURCE, "mode": "active", **more}


async def said(platform: LinePlatform, link: RecordingLink, text: str = "hello") -> None:
    platform.write(Said(text=text))
    await link.next()


async def test_an_answer_is_a_reply_and_more_is_pushed(platform: LinePlatform, link: RecordingLink) -> None:
    await said(platform, link)
    await send(platform, "w " * 4000)
    assert [how for how, _ in platform.server.posted] == ["reply", "push"]
    await send(platform, "w1", key="later")
    assert platform.server.posted[-1][0] == "push"


async def test_a_reply_token_that_is_not_taken_any_more_is_no_harm(platform: LinePlatform, link: RecordingLink) -> None:
    await said(platform, link)
    platform.server.tokens.clear()
    await send(platform)
    assert [how for how, _ in platform.server.posted] == ["push"]
    assert platform.texts() == ["w1"]


async def test_a_reply_without_an_answer_is_not_sent_again(platform: LinePlatform, link: RecordingLink) -> None:
    """It has no key: a person or the settings decide."""
    await said(platform, link)
    platform.fail("lose")
    with pytest.raises(SendUnclear):
        await send(platform)
    await platform.reopen()
    again = datetime.now(UTC)
    with pytest.raises(SendUndecided):
        await send(platform, again=again)
    assert platform.texts() == ["w1"]
    await send(platform, again=again, repeat=True)
    assert platform.texts() == ["w1", "w1"]


async def test_replies_without_an_answer_are_noted_a_few(platform: LinePlatform, link: RecordingLink) -> None:
    """And no longer than they are unclear."""
    note = f"reply:{ADA}"
    for number in range(30):
        await said(platform, link)
        platform.fail("lose")
        with pytest.raises(SendUnclear):
            await send(platform, key=f"k{number}")
    assert (await platform.notes.get(note) or "").split() == [f"k{number}0" for number in range(10, 30)]
    await said(platform, link)
    await send(platform, key="answered")
    assert "answered" not in (await platform.notes.get(note) or "")
    again = datetime.now(UTC)
    for number in range(11, 30):
        with pytest.raises(SendUndecided):
            await send(platform, key=f"k{number}", again=again)
        await send(platform, key=f"k{number}", again=again, repeat=True)
    assert await platform.notes.get(note) is None


async def test_without_reply_tokens_all_is_pushed(server: LineServer, tmp_path: Path) -> None:
    platform = LinePlatform(server, tmp_path, replyTokens=False)
    async with running(platform.channel) as link:
        await said(platform, link)
        await send(platform)
    assert [how for how, _ in server.posted] == ["push"]
    await platform.caller.close()
    await platform.channel.close()


async def test_a_key_that_line_has_forgotten_decides_nothing(platform: LinePlatform) -> None:
    with pytest.raises(SendUndecided):
        await send(platform, again=datetime.now(UTC) - timedelta(hours=24))
    assert platform.texts() == []


@pytest.mark.parametrize(
    ("status", "words", "kind", "code"),
    [
        (429, "You have reached your monthly limit.", SendRefused, "quota"),
        (429, "The API rate limit has been exceeded. Try again later.", SendLater, "flood_wait"),
        (400, "Failed to send messages", SendRefused, "refused"),
        (403, "Not authorized to use this API", SendRefused, "forbidden"),
    ],
)
async def test_errors(
    platform: LinePlatform, monkeypatch: pytest.MonkeyPatch, status: int, words: str, kind: type[SendFailed], code: str
) -> None:
    monkeypatch.setattr(platform.server, "refusals", lambda: {"refuse": lambda: error(status, words)})
    platform.fail("refuse")
    with pytest.raises(kind) as failed:
        await send(platform)
    assert failed.value.trouble.code == code


@pytest.mark.parametrize(("count", "text", "kind"), [(4, "w1", "template"), (5, "w1", "text"), (2, "w1 " * 80, "text"), (13, "w1", "text")])
async def test_buttons_are_a_template_or_quick_replies(platform: LinePlatform, count: int, text: str, kind: str) -> None:
    labels = [f"b{number}" for number in range(count)]
    await send(platform, event=event_to(platform.address, text, buttons=(tuple(Button(text=label) for label in labels),)))
    assert platform.server.posted[-1][1]["messages"][0]["type"] == kind
    assert platform.seen()[-1].buttons == tuple(labels)


async def test_files_are_said_in_words(platform: LinePlatform) -> None:
    media = platform.files.put("a.pdf", b"%PDF", "application/pdf")
    [receipt] = await send(platform, event=event_to(platform.address, "w1", media=(media,)))
    assert "a.pdf" in receipt.notice


async def test_quotes_show_ours_and_theirs(platform: LinePlatform, link: RecordingLink) -> None:
    [ours] = await send(platform, "our words")
    message = {"id": "501", "type": "text", "text": "what?", "quotedMessageId": ours.message_id}
    await platform.adapter.called(call_of(event(message=message)))
    quote = (await link.next()).quote
    assert quote is not None
    assert (quote.text, quote.author_id) == ("our words", "")
    await platform.adapter.called(call_of(event(webhookEventId="e2", message={**message, "id": "502", "quotedMessageId": "501"})))
    quote = (await link.next()).quote
    assert quote is not None
    assert (quote.text, quote.author_id) == ("what?", ADA)


async def test_a_press_is_quoted_by_no_one(platform: LinePlatform, link: RecordingLink) -> None:
    """It is no message and has no id: the next messages, in whatever chat, answer nothing either."""
    await send(platform, event=event_to(platform.address, "w1", buttons=((Button(text="b1"),),)))
    platform.press("b1")
    assert (await link.next()).text == "b1"
    platform.write(Said(text="w2", by="stranger"))
    assert (await link.next()).quote is None


async def test_a_name_is_asked_for_where_a_message_is_for_the_assistant(platform: LinePlatform, link: RecordingLink) -> None:
    platform.write(Said(text="w1", group=True))
    platform.write(Said(text="w2", group=True, mention=True, by="stranger"))
    found = await link.next()
    assert (found.text, found.sender.name) == ("w2", "Ada")
    assert [path for _, path in platform.server.requests if "/member/" in path] == [f"/v2/bot/group/{GROUP}/member/{BO}"]


async def test_secrets_are_read_without_the_space_around_them(server: LineServer, tmp_path: Path) -> None:
    """As a file or a terminal leaves it there: a signature with it is another."""
    about = {"channelAccessToken": f" {TOKEN}\n", "channelSecret": f"{SECRET}\n"}
    async with LinePlatform(server, tmp_path, **about) as platform, running(platform.channel) as link:
        await said(platform, link)
        await send(platform)


@pytest.mark.parametrize(
    "more", [{}, {"channelAccessToken": "a"}, {"channelSecret": "b"}, {"channelAccessToken": "a", "channelSecret": " "}]
)
def test_it_does_not_open_without_its_keys(more: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ChannelFailed, match="not set"):
        KIND.open(LineSettings.model_validate(more), ChannelContext(files=FolderFiles(tmp_path), version="1"))


async def test_events_of_every_shape_are_answered(platform: LinePlatform) -> None:
    mention = {"mentionees": [{"index": 0, "length": 10, "isSelf": True}]}
    text = {"id": "5", "type": "text", "text": "@Assistant w1", "mention": mention, "quoteToken": "q", "quotedMessageId": "4"}
    source = {"type": "group", "groupId": GROUP, "userId": ADA}
    place = {"id": "6", "type": "location", "title": "Zoo", "address": "Berlin", "latitude": 52.5, "longitude": 13.4}
    events = [
        event(source=source, message=text, replyToken="r"),
        event(message={"id": "7", "type": "file", "fileName": "a.pdf", "fileSize": 5, "contentProvider": {"type": "line"}}),
        event(message=place),
        event(message={"id": "8", "type": "sticker", "text": "w", "keywords": ["a", "b"]}),
        event(type="postback", postback={"data": "say:w1"}),
    ]
    await survive(platform, signed, [{"events": [each]} for each in events])


@pytest.mark.parametrize(
    ("message", "text", "kind"),
    [
        (
            {"type": "location", "title": "Zoo", "address": "Berlin", "latitude": 52.5, "longitude": 13.4},
            "Location: 52.5, 13.4 (Zoo, Berlin)",
            "",
        ),
        ({"type": "sticker", "packageId": "1", "stickerId": "2", "keywords": ["happy", "cat"]}, "[sticker: happy, cat]", ""),
        ({"type": "image"}, "", "image"),
        ({"type": "audio"}, "", "voice"),
        ({"type": "video", "contentProvider": {"type": "line"}}, "", "video"),
    ],
)
async def test_other_messages(platform: LinePlatform, link: RecordingLink, message: dict[str, Any], text: str, kind: str) -> None:
    await platform.adapter.called(call_of(event(message={"id": "5", **message})))
    found = await link.next()
    assert (found.text, [file.kind for file in found.files], found.sender.name) == (text, [kind] if kind else [], "Ada")


@pytest.mark.parametrize(
    "found",
    [
        event(type="follow"),
        event(type="unsend", unsend={"messageId": "5"}),
        event(mode="standby", message={"id": "5", "type": "text", "text": "x"}),
        event(source={"type": "group", "groupId": GROUP}, message={"id": "5", "type": "text", "text": "x"}),
        event(source={"type": "user", "userId": "../x"}, message={"id": "5", "type": "text", "text": "x"}),
        event(type="postback", postback={"data": "evil"}),
        event(message={"id": "../x", "type": "image"}),
        event(message={"id": "5", "type": "image", "contentProvider": {"type": "external", "originalContentUrl": "http://127.0.0.1/"}}),
        event(timestamp=10**18, message={"id": ["x"], "type": "text", "text": "", "mention": {"mentionees": 7}}),
        event(webhookEventId="x" * 1000, message={"id": "5", "type": "text", "text": "x"}),
    ],
)
async def test_what_is_no_message_is_acknowledged(platform: LinePlatform, link: RecordingLink, found: dict[str, Any]) -> None:
    assert (await platform.adapter.called(call_of(found))).status == 200
    await said(platform, link, "last")
    assert link.kept.empty()


async def test_a_group_shows_no_typing(platform: LinePlatform) -> None:
    assert platform.group is not None
    await platform.adapter.conversation.typing(platform.group)
    assert platform.server.typing == []
