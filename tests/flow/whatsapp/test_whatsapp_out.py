"""What is sent by WhatsApp: the 24 hours and templates, statuses, buttons and lists, files by kind, the marks of its text."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assistant.contracts.channels import SendFailed, SendLater, SendRefused, SendUnclear
from assistant.contracts.outbox import Button
from assistant.testing.channel_out import PICTURE
from assistant.testing.platform import RecordingLink, event_to, send
from channels.text.whatsapp import whatsapp_parts
from channels.whatsapp.settings import WhatsAppTemplate
from tests.contract.plugins.test_whatsapp import ADA, WhatsAppPlatform
from tests.doubles.whatsapp_server import call_of, error


def text_at(when: datetime) -> dict[str, Any]:
    return {"from": ADA, "id": f"wamid.{when}", "timestamp": str(int(when.timestamp())), "type": "text", "text": {"body": "x"}}


async def wrote(platform: WhatsAppPlatform, ago: timedelta) -> None:
    await platform.adapter.called(call_of(text_at(datetime.now(UTC) - ago)))


def allow(platform: WhatsAppPlatform, most: int = 60) -> None:
    platform.settings.templates["reopen"] = WhatsAppTemplate(name="reopen", language="de", most=most)


async def test_after_24_hours_without_a_template_nothing_is_sent_and_words_say_why(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    await wrote(platform, timedelta(hours=25))
    with pytest.raises(SendRefused, match=r"templates\.reopen") as refused:
        await send(platform)
    assert refused.value.trouble.code == "window_closed"
    assert platform.server.bodies == []
    await wrote(platform, timedelta(hours=23))
    await send(platform)
    assert platform.texts() == ["w1"]


async def test_a_short_text_goes_out_as_a_template(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    allow(platform)
    await wrote(platform, timedelta(hours=25))
    await send(platform, "**Pills**\n\nat eight")
    [body] = platform.server.bodies
    assert body["template"] == {
        "name": "reopen",
        "language": {"code": "de"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Pills at eight"}]}],
    }


async def test_the_beginning_of_a_long_text_is_sent_once_and_the_rest_waits(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    allow(platform)
    await wrote(platform, timedelta(hours=25))
    for _ in range(2):
        with pytest.raises(SendLater) as later:
            await send(platform, "word " * 100)
        assert (later.value.trouble.code, later.value.counts) == ("window_closed", False)
    [body] = platform.server.bodies
    assert len(body["template"]["components"][0]["parameters"][0]["text"]) == 60
    link.up.clear()
    await wrote(platform, timedelta(minutes=1))
    assert link.up.is_set(), "what waits is sent at once"
    await send(platform, "word " * 100)
    assert platform.server.bodies[-1]["type"] == "text"


async def test_what_whatsapp_says_of_the_window_is_believed(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    platform.server.shut.add(ADA)
    with pytest.raises(SendRefused) as refused:
        await send(platform)
    assert refused.value.trouble.code == "window_closed"
    posts = len([path for _, path in platform.server.requests if path.endswith("/messages")])
    with pytest.raises(SendRefused):
        await send(platform)
    assert len([path for _, path in platform.server.requests if path.endswith("/messages")]) == posts, "known beforehand now"
    allow(platform)
    await send(platform)
    assert platform.texts() == ["w1"]


async def test_the_window_is_known_after_a_restart(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    await wrote(platform, timedelta(hours=30))
    await platform.reopen()
    with pytest.raises(SendRefused):
        await send(platform)


async def test_statuses_tell_what_became_of_a_message(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    [receipt] = await send(platform)
    base = {"id": receipt.message_id, "recipient_id": ADA, "timestamp": "1"}
    failed = {**base, "status": "failed", "errors": [{"code": 131026, "title": "Message undeliverable"}]}
    late = {**base, "id": "wamid.other", "status": "failed", "errors": [{"code": 131047, "title": "Re-engagement message"}]}
    await platform.adapter.called(call_of(statuses=({**base, "status": "delivered"}, {**base, "status": "read"}, failed, late)))
    assert link.reached == [(receipt.message_id, False), (receipt.message_id, True)]
    assert [(id, code) for id, code, _ in link.lost] == [(receipt.message_id, "undeliverable"), ("wamid.other", "window_closed")]
    with pytest.raises(SendRefused):
        await send(platform)
    await wrote(platform, timedelta(minutes=1))
    await platform.adapter.called(call_of(statuses=(late,)))
    await send(platform)


async def test_why_a_message_was_lost_is_told_in_short(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    failed = {"id": "wamid.1", "status": "failed", "errors": [{"code": 1, "error_data": {"details": "x" * 100_000}}]}
    await platform.adapter.called(call_of(statuses=(failed,)))
    [(_, _, words)] = link.lost
    assert len(words) < 1100


async def test_a_status_tells_that_an_unclear_message_arrived(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    platform.fail("lose")
    with pytest.raises(SendUnclear):
        await send(platform, key="k")
    [body] = platform.server.bodies
    status = {"id": "wamid.1", "status": "sent", "recipient_id": ADA, "biz_opaque_callback_data": body["biz_opaque_callback_data"]}
    await platform.adapter.called(call_of(statuses=(status,)))
    [receipt] = await send(platform, key="k", again=datetime.now(UTC))
    assert receipt.message_id == "wamid.1"
    assert platform.texts() == ["w1"]


@pytest.mark.parametrize(
    ("status", "code", "kind", "name"),
    [
        (400, 131056, SendLater, "flood_wait"),
        (400, 131048, SendLater, "flood_wait"),
        (403, 131031, SendLater, "account"),
        (400, 131026, SendRefused, "undeliverable"),
        (400, 131030, SendRefused, "not_allowed"),
        (404, 132001, SendRefused, "refused"),
        (401, 190, SendLater, "unauthorized"),
        (503, 133004, SendLater, "account"),
    ],
)
async def test_codes(
    platform: WhatsAppPlatform, monkeypatch: pytest.MonkeyPatch, status: int, code: int, kind: type[SendFailed], name: str
) -> None:
    def refused(*_: object) -> object:
        return error(status, code, "words")

    monkeypatch.setattr(platform.server, "_refused", refused)
    with pytest.raises(kind) as failed:
        await send(platform)
    assert failed.value.trouble.code == name


async def test_many_or_long_buttons_are_a_list(platform: WhatsAppPlatform) -> None:
    for labels, kind in ((["a", "b", "c"], "button"), (["a" * 21], "list"), (list("abcdefghij"), "list")):
        await send(platform, event=event_to(platform.address, "w1", buttons=(tuple(Button(text=label) for label in labels),)))
        assert platform.server.bodies[-1]["interactive"]["type"] == kind
        assert platform.seen()[-1].buttons == tuple(labels)
    await send(platform, event=event_to(platform.address, "w " * 700, buttons=((Button(text="a"),),)))
    assert platform.server.bodies[-1]["interactive"]["type"] == "list"


async def test_files_are_shown_as_what_they_are(platform: WhatsAppPlatform) -> None:
    for name, media_type, kind in (("a.png", "image/png", "image"), ("a.ogg", "audio/ogg", "audio"), ("a.gif", "image/gif", "document")):
        media = platform.files.put(name, PICTURE + name.encode(), media_type)
        await send(platform, key=name[2:], event=event_to(platform.address, "w1", media=(media,)))
        assert platform.server.bodies[-1]["type"] == kind
    assert platform.texts() == ["w1", "w1", "", "w1"], "words beside audio stand in a message of their own"


@pytest.mark.parametrize("answer", [{}, {"id": None}, {"id": 7}, [], "x"], ids=["empty", "null", "number", "list", "text"])
async def test_an_upload_without_an_id_is_tried_again(platform: WhatsAppPlatform, answer: object) -> None:
    platform.server.instead["id"] = answer
    media = platform.files.put("a.png", PICTURE, "image/png")
    with pytest.raises(SendLater, match="nothing was posted"):
        await send(platform, event=event_to(platform.address, "w1", media=(media,)))
    assert platform.server.bodies == []


async def test_buttons_beside_a_file_are_under_the_words(platform: WhatsAppPlatform) -> None:
    media = platform.files.put("a.png", PICTURE, "image/png")
    await send(platform, event=event_to(platform.address, "w1", media=(media,), buttons=((Button(text="b1"),),)))
    assert [(each.text, each.files, each.buttons) for each in platform.seen()] == [("", ("a.png",), ()), ("w1", (), ("b1",))]
    await send(platform, key="n", event=event_to(platform.address, "", media=(media,), buttons=((Button(text="b1"),),)))
    assert "b1" in "".join(platform.texts()[2:])


async def test_the_typing_indicator_marks_as_read(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    await platform.adapter.conversation.typing(platform.address)
    assert platform.server.marks == []
    await platform.adapter.called(call_of(text_at(datetime.now(UTC))))
    await platform.adapter.conversation.typing(platform.address)
    [mark] = platform.server.marks
    assert mark["typing_indicator"] == {"type": "text"}


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("**b** *i* ~~s~~ `c`", "*b* _i_ ~s~ `c`"),
        ("# Title\n\nx", "*Title*\nx"),
        ("***both***", "*_both_*"),
        ("[here](https://e.org/x_y)", "here (https://e.org/x_y)"),
        ("https://e.org", "https://e.org"),
        ("- a\n  - b\n1. c", "• a\n  ◦ b\n\n1. c"),
        ("> q", "> q"),
        ("```python\na = '*'\n```", "```\na = '*'\n```"),
        ("`a``b`", "`a`\u200b`b`"),
    ],
)
def test_markdown_has_whatsapps_marks(markdown: str, text: str) -> None:
    assert [part.text for part in whatsapp_parts(markdown)] == [text]


@pytest.mark.parametrize(
    "says", [b"", b"null", b"[]", b"{}", b'"x"', b'{"messages": [{"id": ["x"]}]}', b"[" * 100_000, b"\xff"], ids=range(8)
)
async def test_whatever_is_answered_a_message_is_sent_once(platform: WhatsAppPlatform, says: bytes) -> None:
    platform.server.says = says
    with contextlib.suppress(SendUnclear):
        [receipt] = await send(platform)
        assert receipt.message_id is None
    assert platform.texts() == ["w1"]
