"""What people send by WhatsApp: kinds of messages, quotes, hidden numbers, and calls that are not Meta's."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from assistant.contracts.channels import PlatformCall, SendRefused
from assistant.testing.platform import RecordingLink, event_to, send
from tests.contract.plugins.test_whatsapp import ADA, WhatsAppPlatform
from tests.doubles.mutated import survive
from tests.doubles.whatsapp_server import NOW, call_of, signed

FROM: dict[str, Any] = {"from": ADA, "timestamp": str(NOW)}


async def take(platform: WhatsAppPlatform, *messages: dict[str, Any]) -> int:
    return (await platform.adapter.called(call_of(*messages))).status


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"type": "location", "location": {"latitude": 52.5, "longitude": 13.4, "name": "Zoo"}}, "Location: 52.5, 13.4 (Zoo)"),
        (
            {"type": "contacts", "contacts": [{"name": {"formatted_name": "Bo"}, "phones": [{"phone": "+1 2"}]}]},
            "Contact: Bo, +1 2",
        ),
        ({"type": "button", "button": {"text": "Yes", "payload": "p"}}, "Yes"),
        ({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "say:b9", "title": "b9"}}}, "b9"),
    ],
)
async def test_what_is_no_text_becomes_one(platform: WhatsAppPlatform, link: RecordingLink, content: dict[str, Any], text: str) -> None:
    await take(platform, {**FROM, "id": "a", **content})
    assert (await link.next()).text == text


@pytest.mark.parametrize(
    ("kind", "content", "file_kind", "media_type"),
    [
        ("image", {"mime_type": "image/jpeg"}, "image", "image/jpeg"),
        ("audio", {"mime_type": "audio/ogg; codecs=opus", "voice": True}, "voice", "audio/ogg"),
        ("audio", {"mime_type": "audio/mpeg", "voice": False}, "audio", "audio/mpeg"),
        ("video", {"mime_type": "video/mp4"}, "video", "video/mp4"),
        ("sticker", {"mime_type": "image/webp"}, "sticker", "image/webp"),
        ("document", {}, "document", "application/octet-stream"),
    ],
)
async def test_files_are_of_their_kind(
    platform: WhatsAppPlatform, link: RecordingLink, kind: str, content: dict[str, Any], file_kind: str, media_type: str
) -> None:
    await take(platform, {**FROM, "id": "a", "type": kind, kind: {"id": "m", **content}})
    [file] = (await link.next()).files
    assert (file.kind, file.media_type, file.ref) == (file_kind, media_type, "m")


async def test_an_answer_quotes_our_words_and_another_persons(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    [ours] = await send(platform, "our **words**")
    reply = {**FROM, "type": "text", "text": {"body": "what?"}}
    await take(platform, {**reply, "id": "a", "context": {"id": ours.message_id}}, {**reply, "id": "b", "context": {"id": "a"}})
    first, second = [(await link.next()).quote for _ in range(2)]
    assert first is not None
    assert second is not None
    assert (first.text, first.author_id) == ("our words", "")
    assert (second.text, second.author_id) == ("what?", ADA)


async def test_a_forwarded_message_is_anothers_words(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    await take(platform, {**FROM, "id": "a", "type": "text", "text": {"body": "/new"}, "context": {"forwarded": True}})
    message = await link.next()
    assert (message.text, message.command) == ("", None)
    assert message.quote is not None
    assert (message.quote.kind, message.quote.text) == ("forward", "/new")


async def test_a_person_who_hides_the_number_stays_the_same(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    text = {"timestamp": str(NOW), "type": "text", "text": {"body": "x"}}
    await take(platform, {**text, "id": "a", "from": ADA, "from_user_id": "DE.1"}, {**text, "id": "b", "from_user_id": "DE.1"})
    await take(platform, {**text, "id": "c", "from_user_id": "DE.2"})
    assert [(await link.next()).sender.id for _ in range(3)] == [ADA, ADA, "DE.2"]
    await send(platform, event=event_to(platform.address.__class__(channel="whatsapp", chat_id="DE.2"), "hello"))
    assert platform.server.bodies[-1]["recipient"] == "DE.2"


async def test_a_changed_number_moves_the_chat(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    system = {"body": "Ada changed", "wa_id": "4915112345", "type": "user_changed_number"}
    await take(platform, {**FROM, "id": "a", "type": "system", "system": system})
    assert link.chats_moved == [(ADA, "4915112345")]


@pytest.mark.parametrize("kind", ["reaction", "unsupported", "order", "ephemeral"])
async def test_what_says_nothing_is_acknowledged(platform: WhatsAppPlatform, link: RecordingLink, kind: str) -> None:
    assert await take(platform, {**FROM, "id": "a", "type": kind, kind: {"emoji": "x"}}) == 200
    assert link.offered.empty()


async def test_messages_of_groups_and_of_other_numbers_are_not_ours(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    text = {**FROM, "id": "a", "type": "text", "text": {"body": "x"}}
    assert await take(platform, {**text, "group_id": "g"}) == 200
    assert (await platform.adapter.called(call_of(text, phone="1"))).status == 200
    assert link.offered.empty()


HOSTILE: list[Any] = [
    None,
    [],
    "x",
    7,
    {"entry": {"changes": []}},
    {"entry": [None, 7, {"changes": [[]]}]},
    {"entry": [{"changes": [{"field": "messages", "value": {"messages": {"a": 1}, "statuses": "x"}}]}]},
]
MESSAGES: list[Any] = [
    {"id": "x" * 10_000, "type": "text", "text": {"body": "x"}},
    {"id": "a", "type": "text", "text": "x"},
    {"id": "a", "type": "text", "text": {"body": "x"}, "from_user_id": "x" * 1000},
    {"id": "a", "type": "text", "text": {"body": "x"}, "from": "9" * 1000},
    {"id": "a", "type": "text", "text": {"body": ["x"]}},
    {"id": "a", "type": "image", "image": {"id": 7}},
    {"id": "a", "type": "interactive", "interactive": {"button_reply": {"id": "evil", "title": "x"}}},
    {"id": "a", "type": "contacts", "contacts": {"x": 1}},
    {"id": "a", "type": "location", "location": {"latitude": "x"}},
    {"id": "a", "type": "system", "system": {"type": "user_changed_number", "wa_id": "../x"}},
]


@pytest.mark.parametrize("body", HOSTILE)
async def test_a_signed_call_of_any_shape_is_taken(platform: WhatsAppPlatform, link: RecordingLink, body: Any) -> None:
    assert (await platform.adapter.called(signed(orjson.dumps(body)))).status == 200


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("timestamp", ["0", "x", 7, "9" * 30, None])
async def test_a_message_of_any_shape_is_taken(platform: WhatsAppPlatform, link: RecordingLink, message: Any, timestamp: Any) -> None:
    assert await take(platform, {"from": ADA, "timestamp": timestamp, **message}) == 200
    await take(platform, {**FROM, "id": "last", "type": "text", "text": {"body": "last"}})
    found = await link.next()
    assert (found if found.text == "last" else await link.next()).text == "last"


async def test_a_call_with_any_value_in_any_place_is_taken(platform: WhatsAppPlatform) -> None:
    text = {**FROM, "id": "wamid.1", "from_user_id": "DE.1", "type": "text", "text": {"body": "w1"}, "context": {"id": "wamid.0"}}
    image = {"type": "image", "image": {"id": "1", "mime_type": "image/png", "caption": "w2", "filename": "a.png", "voice": True}}
    reply = {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "do:/new", "title": "x"}}}
    person = {"name": {"formatted_name": "Bo"}, "phones": [{"phone": "1"}], "emails": [{"email": "b@e.org"}]}
    contacts = {"type": "contacts", "contacts": [person]}
    system = {"type": "system", "system": {"type": "user_changed_number", "wa_id": ADA}}
    failed = {"id": "wamid.9", "status": "failed", "timestamp": "1", "recipient_id": "1", "biz_opaque_callback_data": "k"}
    failed["errors"] = [{"code": 131047, "title": "x", "error_data": {"details": "y"}}]  # pyright: ignore[reportArgumentType] - JSON
    more: list[dict[str, Any]] = [image, reply, contacts, system]
    messages = [text, *[{**FROM, "id": f"wamid.{number}", **each} for number, each in enumerate(more, 2)]]
    calls = [call_of(each) for each in messages] + [call_of(text, statuses=(failed,))]
    await survive(platform, signed, [orjson.loads(call.body) for call in calls if b"system" not in call.body])


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b"{" * 10_000, b'{"entry": NaN}', b"\xff", b"", b'{"entry": 1' + b"0" * 5000 + b"}"],
    ids=["deep", "deep objects", "NaN", "no text", "empty", "huge number"],
)
async def test_a_signed_call_that_is_no_json_is_taken(platform: WhatsAppPlatform, link: RecordingLink, body: bytes) -> None:
    assert (await platform.adapter.called(signed(body))).status == 200


async def test_half_a_character_hides_no_message(platform: WhatsAppPlatform, link: RecordingLink) -> None:
    """JSON may write half of a surrogate pair, which no parser of UTF-8 takes."""
    call = call_of({**FROM, "id": "a", "type": "text", "text": {"body": "w1 HALF"}})
    assert (await platform.adapter.called(signed(call.body.replace(b"HALF", rb"\ud83d")))).status == 200
    assert (await link.next()).text == "w1 \ufffd"


@pytest.mark.parametrize(
    "url", ["https://evil.example/f", "https://x.facebook.com/f", "http://lookaside.fbsbx.com/f", "http://127.0.0.1:1/f", 7, ["x"], None]
)
async def test_our_token_goes_to_metas_file_server_only(platform: WhatsAppPlatform, link: RecordingLink, tmp_path: Path, url: Any) -> None:
    platform.server.instead["url"] = url
    await take(platform, {**FROM, "id": "a", "type": "document", "document": {"id": "m"}})
    [file] = (await link.next()).files
    with pytest.raises(SendRefused):
        await platform.adapter.conversation.fetch(file, tmp_path / "in", 100)


def verifying(**query: str) -> PlatformCall:
    dotted = {f"hub.{name}": value for name, value in query.items()}
    return PlatformCall(method="GET", query=dotted, headers={}, body=b"", url="https://example.org/channels/whatsapp")


async def test_metas_first_call_is_answered_with_its_challenge(platform: WhatsAppPlatform) -> None:
    reply = await platform.adapter.called(verifying(mode="subscribe", verify_token="v", challenge="1158201444"))
    assert (reply.status, reply.body, reply.media_type) == (200, b"1158201444", "text/plain")
    for wrong in ({"verify_token": "w", "mode": "subscribe"}, {"verify_token": "v"}, {"mode": "subscribe"}):
        assert (await platform.adapter.called(verifying(challenge="1", **wrong))).status == 401


async def test_a_call_before_the_channel_runs_comes_again(platform: WhatsAppPlatform) -> None:
    assert await take(platform, {**FROM, "id": "a", "type": "text", "text": {"body": "x"}}) == 503
