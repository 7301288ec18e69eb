"""Feishu: who may call, every kind of message, text on cards, keys and what is known of them, errors by code."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from assistant.contracts.channels import ChannelContext, ChannelFailed, PlatformCall, SendFailed, SendLater, SendRefused, SendUndecided
from assistant.contracts.outbox import Button
from assistant.testing.platform import FolderFiles, RecordingLink, Said, event_to, running, send
from channels.feishu.cards import card_parts, plain
from channels.feishu.kind import KIND, open_channel
from channels.feishu.settings import FeishuSettings
from tests.contract.plugins.test_feishu import ADA, BO, CHAT, GROUP, THREAD, FeishuPlatform
from tests.doubles.feishu_server import APP, BOT, KEY, SECRET, VERIFY, FeishuServer, call_of, encrypted, signed
from tests.doubles.mutated import check, mutations, survive

POST = [
    [{"tag": "text", "text": "a "}, {"tag": "a", "text": "b", "href": "https://x.y"}],
    [{"tag": "img", "image_key": "img_1"}],
]


def message(kind: str = "text", content: object = None, **more: Any) -> dict[str, Any]:
    said = orjson.dumps({"text": "hello"} if content is None else content).decode()
    about = {
        "message_id": "om_1",
        "chat_id": CHAT,
        "chat_type": "p2p",
        "message_type": kind,
        "content": said,
        "create_time": "1790000000000",
    }
    return {"sender": {"sender_id": {"open_id": ADA}, "sender_type": "user"}, "message": {**about, **more}}


async def take(platform: FeishuPlatform, link: RecordingLink, event: dict[str, Any]) -> Any:
    assert (await platform.adapter.called(call_of("im.message.receive_v1", event))).status == 200
    return await link.next()


async def test_the_challenge_is_answered_without_a_signature(platform: FeishuPlatform) -> None:
    body = {"type": "url_verification", "challenge": "c1", "token": VERIFY}
    reply = await platform.adapter.called(PlatformCall(method="POST", query={}, headers={}, body=encrypted(orjson.dumps(body)), url=""))
    assert (reply.status, orjson.loads(reply.body)) == (200, {"challenge": "c1"})


def posted(body: bytes) -> PlatformCall:
    return PlatformCall(method="POST", query={}, headers={}, body=body, url="")


SAID = orjson.dumps({"header": {"token": VERIFY, "event_type": "im.message.receive_v1"}, "event": message()})
FORGED: dict[str, Callable[[], PlatformCall]] = {
    "get": lambda: replace(signed(encrypted(SAID)), method="GET"),
    "plain challenge": lambda: posted(b'{"type": "url_verification", "challenge": "c"}'),
    "plain": lambda: signed(SAID),
    "token": lambda: signed(encrypted(SAID.replace(VERIFY.encode(), b"another"))),
    "key": lambda: signed(encrypted(SAID), "another"),
    "key of the body": lambda: signed(encrypted(SAID, "another")),
    "an hour ago": lambda: signed(encrypted(SAID), ago=3600),
    "short": lambda: signed(b'{"encrypt": "AAAA"}'),
    "number": lambda: signed(b'{"encrypt": 7}'),
    "nested": lambda: signed(b"[" * 100_000),
    "unsigned": lambda: posted(encrypted(SAID)),
}
"""Made when they are called: their times count from then."""


async def test_a_call_that_is_like_the_forged_ones_but_right_is_taken(platform: FeishuPlatform, link: RecordingLink) -> None:
    assert (await platform.adapter.called(signed(encrypted(SAID)))).status == 200
    assert (await link.next()).text == "hello"


@pytest.mark.parametrize("call", FORGED.values(), ids=list(FORGED))
async def test_forged_calls_are_refused(platform: FeishuPlatform, link: RecordingLink, call: Callable[[], PlatformCall]) -> None:
    assert (await platform.adapter.called(call())).status == 401
    assert link.offered.empty()


async def test_a_token_alone_is_enough_where_there_is_no_key(server: FeishuServer, tmp_path: Path) -> None:
    platform = FeishuPlatform(server, tmp_path, encryptKey="")
    body = {"schema": "2.0", "header": {"event_type": "im.message.receive_v1", "token": VERIFY}, "event": message()}
    async with running(platform.channel) as link:
        call = PlatformCall(method="POST", query={}, headers={}, body=orjson.dumps(body), url="")
        assert (await platform.adapter.called(call)).status == 200
        assert (await link.next()).text == "hello"
        body["header"] = {"event_type": "im.message.receive_v1", "token": "another"}
        call = PlatformCall(method="POST", query={}, headers={}, body=orjson.dumps(body), url="")
        assert (await platform.adapter.called(call)).status == 401
    await platform.channel.close()


@pytest.mark.parametrize("more", [{}, {"appId": APP}, {"appId": APP, "appSecret": SECRET}])
def test_it_does_not_open_without_what_protects_it(more: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ChannelFailed):
        open_channel(FeishuSettings.model_validate(more), ChannelContext(files=FolderFiles(tmp_path), version="1"))


def test_nanobots_keys_are_taken() -> None:
    keys = {"appId": APP, "appSecret": SECRET, "encryptKey": KEY, "verificationToken": VERIFY, "allowFrom": [ADA], "reactEmoji": "OK"}
    old = {**keys, "groupPolicy": "open", "replyToMessage": True, "streaming": True, "domain": "lark"}
    found = FeishuSettings.model_validate(old)
    assert (found.groups, found.reply_in_thread, found.preview, found.base) == ("all", True, "edit", "https://open.larksuite.com")
    assert KIND.named(found) == [ADA]


@pytest.mark.parametrize(
    ("kind", "content", "text", "files"),
    [
        ("post", {"title": "T", "content": POST}, "T\na b (https://x.y)", ["image"]),
        ("post", {"content": [[{"tag": "code_block", "language": "GO", "text": "x"}], 7, [7]]}, "```go\nx\n```", []),
        ("image", {"image_key": "img_1"}, "", ["image"]),
        ("audio", {"file_key": "f1", "duration": 1000}, "", ["voice"]),
        ("media", {"file_key": "f1", "image_key": "i", "file_name": "v.mp4"}, "", ["video"]),
        ("sticker", {"file_key": "f1"}, "[sticker]", []),
        ("location", {"name": "Zoo", "longitude": "13.4", "latitude": "52.5"}, "Location: 52.5, 13.4 (Zoo)", []),
        ("merge_forward", {}, "[forwarded messages]", []),
    ],
)  # fmt: skip
async def test_kinds_of_messages(
    platform: FeishuPlatform, link: RecordingLink, kind: str, content: object, text: str, files: list[str]
) -> None:
    found = await take(platform, link, message(kind, content))
    assert (found.text, [file.kind for file in found.files]) == (text, files)


@pytest.mark.parametrize(
    "event",
    [
        message(content={"text": ""}),
        message(content=[7]),
        message("image", {"image_key": "../x"}),
        message(message_id="../x"),
        message(message_id=["om_1"]),
        message(chat_id="x" * 1000),
        message("video_chat", {}),
        {**message(), "sender": {"sender_id": {"open_id": "x" * 1000}}},
        {**message(), "sender": None},
    ],
)
async def test_what_is_no_message_is_acknowledged(platform: FeishuPlatform, link: RecordingLink, event: dict[str, Any]) -> None:
    assert (await platform.adapter.called(call_of("im.message.receive_v1", event))).status == 200
    assert (await take(platform, link, message(message_id="om_last"))).message_id == "om_last"
    assert link.kept.empty()


async def test_mentions_are_names(platform: FeishuPlatform, link: RecordingLink) -> None:
    mentions = [{"key": "@_user_1", "id": {"open_id": BOT}, "name": "Assistant"}, {"key": "@_user_10", "id": {"open_id": BO}, "name": "Bo"}]
    content = {"text": "@_user_1 ask @_user_10 and @_all"}
    found = await take(platform, link, message(content=content, chat_id=GROUP, chat_type="group", mentions=mentions))
    assert (found.text, found.private) == ("ask @Bo and @all", False)


@pytest.mark.parametrize(
    ("mentions", "text", "heard"),
    [
        ([("@_user_1", BOT, "Nano"), ("@_user_2", BO, "@_user_1@_user_3"), ("@_user_3", BO, "@_user_2" * 20)],
         "@_user_1 @_user_2 w1", "@@_user_1@_user_3 w1"),
        ([("@_user_10", BO, "Bo"), ("@_user_1", BOT, "Nano")], "@_user_10 w1 @_user_1", "@Bo w1 @Nano"),
        ([("w", BO, "x" * 100), ("", BO, "y"), ("@_user_1", BOT, "Nano")], "w1", "w1"),
        ([("@_user_1", BOT, "")], "w1 @_user_1 @_user_7", "w1 @ @_user_7"),
    ],
    ids=["keys in names", "keys in keys", "keys of other kinds", "no name"],
)  # fmt: skip
async def test_names_stand_for_the_keys_alone(
    platform: FeishuPlatform, link: RecordingLink, mentions: list[tuple[str, str, str]], text: str, heard: str
) -> None:
    """A person chooses their own name: what is in it is no key, or a few names would grow without end."""
    told = [{"key": key, "id": {"open_id": id}, "name": name} for key, id, name in mentions]
    found = await take(platform, link, message(content={"text": text}, chat_id=GROUP, chat_type="group", mentions=told))
    assert found.text == heard


async def test_an_answer_without_an_id_makes_no_chat_listened_to(platform: FeishuPlatform, link: RecordingLink) -> None:
    platform.server.says = b'{"code": 0, "data": {}}'
    [sent] = await send(platform)
    assert sent.message_id is None
    platform.write(Said(text="w1", group=True))
    platform.write(Said(text="w2"))
    assert (await link.next()).text == "w2"


async def test_events_of_every_shape_are_answered(platform: FeishuPlatform) -> None:
    def call_with(body: bytes) -> PlatformCall:
        return signed(encrypted(body))

    header = {"event_type": "im.message.receive_v1", "event_id": "e1"}
    said = Said(text="w1", group=True, mention=True, thread_id=THREAD, quotes="w2")
    post = orjson.dumps({"title": "T", "content": POST}).decode()
    press = {"operator": {"open_id": ADA}, "action": {"value": {"nanobot": "say:w1", "thread": THREAD}}}
    press["context"] = {"open_message_id": "om_1", "open_chat_id": CHAT}
    await survive(
        platform,
        call_with,
        [
            {"header": header, "event": platform.event(said, "om_1")},
            {"header": header, "event": message("post", orjson.loads(post))},
            {"header": {**header, "event_type": "card.action.trigger"}, "event": press},
        ],
        wrapped=lambda made: {**made, "token": VERIFY},
    )


@pytest.mark.parametrize("kind", ["text", "post", "image", "file", "location", "sticker"])
async def test_contents_of_every_shape_are_read(platform: FeishuPlatform, link: RecordingLink, kind: str) -> None:
    content = {"text": "w1", "title": "T", "content": POST, "image_key": "img_1", "file_key": "f1", "file_name": "a.pdf"}
    for made in mutations({**content, "name": "Zoo", "longitude": "13.4", "latitude": "52.5"}):
        event = message(kind)
        event["message"]["content"] = json.dumps(made)
        assert (await platform.adapter.called(call_of("im.message.receive_v1", event))).status == 200
        while not link.kept.empty():
            check(link.kept.get_nowait(), platform)


async def test_an_answer_to_ours_quotes_its_words(platform: FeishuPlatform, link: RecordingLink) -> None:
    """A card's words can't be read back, so they are remembered."""
    [sent] = await send(platform, "**our** words")
    found = await take(platform, link, message(parent_id=sent.message_id))
    assert (found.quote.text, found.quote.author_id) == ("our words", "")
    asked = [path for method, path in platform.server.requests if method == "GET" and "/messages/" in path]
    assert asked == []


async def test_an_answer_to_a_preview_that_became_ours_quotes_its_words(platform: FeishuPlatform, link: RecordingLink) -> None:
    [shown] = await send(platform, "…")
    await send(platform, key="b", event=event_to(platform.address, "our words", replaces=shown.message_id))
    assert (await take(platform, link, message(parent_id=shown.message_id))).quote.text == "our words"


async def test_a_press_in_a_topic_of_a_group(platform: FeishuPlatform, link: RecordingLink) -> None:
    assert platform.group is not None
    topic = type(platform.group)(channel="feishu", chat_id=GROUP, thread_id=THREAD)
    [sent] = await send(platform, event=event_to(topic, "w1", buttons=((Button(text="b1"),),)))
    value = platform.server.offered[sent.message_id or ""]["b1"]
    context = {"open_message_id": sent.message_id, "open_chat_id": GROUP}
    event = {"operator": {"open_id": BO}, "action": {"value": value}, "context": context}
    await platform.adapter.called(call_of("card.action.trigger", event, id="p1"))
    found = await link.next()
    assert (found.address, found.private, found.text, found.sender.id) == (topic, False, "b1", BO)


async def test_without_topics_of_its_own_a_message_begins_one_if_asked(server: FeishuServer, tmp_path: Path) -> None:
    platform = FeishuPlatform(server, tmp_path, replyInThread=True)
    async with running(platform.channel) as link:
        id = platform.write(Said(text="w1", group=True, mention=True))
        assert (await link.next()).address.thread_id == id
        platform.write(Said(text="w2"))
        assert (await link.next()).address.thread_id is None
    await platform.caller.close()
    await platform.channel.close()


async def test_a_key_that_feishu_has_forgotten_decides_nothing(platform: FeishuPlatform) -> None:
    again = datetime.now(UTC) - timedelta(hours=1)
    with pytest.raises(SendUndecided):
        await send(platform, again=again)
    await send(platform, again=again, repeat=True)
    assert platform.texts() == ["w1"]


async def test_a_token_that_ends_is_renewed(platform: FeishuPlatform) -> None:
    await send(platform, "w1", key="a")
    platform.server.tokens += 1
    await send(platform, "w2", key="b")
    assert platform.texts() == ["w1", "w2"]


async def test_a_file_with_words_and_buttons_is_sent_once(platform: FeishuPlatform) -> None:
    media = platform.files.put("a.pdf", b"%PDF", "application/pdf")
    event = event_to(platform.address, "w1", media=(media,), buttons=((Button(text="b1"),),))
    for _ in range(2):
        await send(platform, event=event)
    assert [(each.text, each.files, each.buttons) for each in platform.seen()] == [("w1", (), ("b1",)), ("", ("a.pdf",), ())]


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        ((230002, "The bot can not be outside the group."), SendRefused, "not_a_member"),
        ((230013, "Bot has NO availability to this user."), SendRefused, "forbidden"),
        ((230001, "invalid request parameter, ext=invalid receive_id"), SendRefused, "chat_not_found"),
        ((232009, "dissolved"), SendRefused, "chat_not_found"),
        ((230020, "This operation triggers the frequency limit."), SendLater, "flood_wait"),
        ((230049, "The message is being sent."), SendLater, "not_now"),
        ((230022, "sensitive: w1"), SendRefused, "content_refused"),
        ((99999, "new: w1"), SendRefused, "99999"),
    ],
)
async def test_errors(platform: FeishuPlatform, answer: tuple[int, str], kind: type[SendFailed], code: str) -> None:
    platform.server.answer_with = answer
    with pytest.raises(kind) as failed:
        await send(platform)
    assert failed.value.trouble.code == code
    assert "w1" not in failed.value.trouble.words


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("a * b", "a &#42; b"),
        ("**b** <at id=all></at>", "**b** &#60;at id=all>&#60;/at>"),
        ("`<at id=all>` x", "`<\u200bat id=all>` x"),
        ("# H", "**H**"),
        ("[x](https://e.org/a_(b))", "[x](https://e.org/a_%28b%29)"),
    ],
)
def test_text_on_cards(markdown: str, text: str) -> None:
    assert [part.text for part in card_parts(markdown)] == [text]


def test_plain_text_pings_no_one() -> None:
    assert "<at" not in plain('<at user_id="all">all</at>')
