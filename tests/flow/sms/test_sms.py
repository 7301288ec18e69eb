"""SMS by Twilio: signatures over addresses, carriers' words, states, what was missed, parts and their count."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assistant.contracts.channels import SendFailed, SendLater, SendRefused, SendUnclear
from assistant.testing.channel_texts import LONG_TEXT
from assistant.testing.platform import RecordingLink, Said, running, send
from channels.text.sms import segments, sms_parts
from tests.contract.plugins.test_sms import ADA, SmsPlatform
from tests.doubles.mutated import check
from tests.doubles.twilio_server import NUMBER, URL, TwilioServer, call_of, error

STRANGE: dict[str, object] = {
    "missing": None,
    "number": 7,
    "list": ["x"],
    "object": {"a": 1},
    "half a character": "\ud800",
    "huge": "9" * 100_000,
    "no date": "Fri, 99 Jun 99999 10:11:12 +9999",
    "digits": "²",
}
WRITTEN = {"MessageSid": "SM1", "From": ADA, "To": NUMBER, "Body": "x"}


@pytest.mark.parametrize(
    ("url", "called", "public", "status"),
    [
        (URL, "http://127.0.0.1:8000/channels/sms", URL, 200),
        ("https://example.org:443/channels/sms", URL, None, 200),
        (f"{URL}?a=1", "http://127.0.0.1/channels/sms?a=1", URL, 200),
        (URL, "http://127.0.0.1:8000/channels/sms", None, 401),
        ("https://evil.example/channels/sms", URL, URL, 401),
    ],
)
async def test_the_signature_is_over_the_address_that_twilio_has(
    twilio: TwilioServer, tmp_path: Path, url: str, called: str, public: str | None, status: int
) -> None:
    platform = SmsPlatform(twilio, tmp_path, publicUrl=public)
    async with running(platform.channel):
        assert (await platform.adapter.called(call_of(url=url, called=called, **WRITTEN))).status == status
    await platform.channel.close()


async def test_a_changed_call_is_refused(platform: SmsPlatform, link: RecordingLink) -> None:
    call = call_of(**WRITTEN)
    assert (await platform.adapter.called(replace(call, body=call.body + b"&Body=y"))).status == 401
    assert (await platform.adapter.called(replace(call, method="GET"))).status == 401
    for body in (b"a=&" * 5000, b"\xff=\xfe", b""):
        assert (await platform.adapter.called(replace(call, body=body))).status == 401
    assert link.offered.empty()


@pytest.mark.parametrize("word", ["STOP", " stop ", "Unsubscribe", "HELP", "start"])
async def test_carriers_words_are_no_messages(platform: SmsPlatform, link: RecordingLink, word: str) -> None:
    reply = await platform.adapter.called(call_of(**{**WRITTEN, "Body": word}))
    assert (reply.status, reply.body) == (200, b"<Response/>")
    await platform.adapter.called(call_of(OptOutType="STOP", **WRITTEN))
    assert link.offered.empty()


async def test_states_become_receipts(platform: SmsPlatform, link: RecordingLink) -> None:
    [receipt] = await send(platform)
    sid = receipt.message_id or ""
    assert platform.server.forms[0]["StatusCallback"] == URL
    for state, code in (("sent", ""), ("delivered", ""), ("undelivered", "30003"), ("failed", "21610"), ("failed", "x")):
        await platform.adapter.called(call_of(MessageSid=sid, MessageStatus=state, **({"ErrorCode": code} if code else {})))
    assert link.reached == [(sid, False)]
    assert [code for _, code, _ in link.lost] == ["unreachable", "blocked", "0"]


async def test_what_was_missed_is_fetched_once(platform: SmsPlatform, tmp_path: Path) -> None:
    async with running(platform.channel) as link:
        platform.write(Said(text="w1"))
        await link.next()
    for sid, text, ago in (("SMold", "old", timedelta(days=3)), ("SMin1", "w1", timedelta(0)), ("SMmissed", "w2", timedelta(0))):
        platform.server.add(sid, body=text, direction="inbound", to=NUMBER, sender=ADA, media=int(text == "w2"), ago=ago)
    platform.server.media["MESMmissed1"] = ("image/png", b"picture")
    await platform.reopen()
    async with running(platform.channel, link):
        again, missed = await link.next(), await link.next()
        [file] = missed.files
        await platform.adapter.conversation.fetch(file, tmp_path / "in", 100)
    assert (again.external_id, missed.external_id, missed.text) == ("SMin1", "SMmissed", "w2")
    assert (tmp_path / "in").read_bytes() == b"picture"
    assert link.kept.empty()


async def test_more_than_a_page_of_messages_was_missed(platform: SmsPlatform) -> None:
    await platform.notes.keep("seen", (datetime.now(UTC) - timedelta(hours=1)).isoformat())
    platform.server.page = 2
    for number in range(5):
        platform.server.add(f"SM{number}", body=f"w{number}", direction="inbound", to=NUMBER, sender=ADA)
    async with running(platform.channel) as link:
        assert [(await link.next()).text for _ in range(5)] == ["w0", "w1", "w2", "w3", "w4"]


async def test_a_list_without_an_end_is_left(platform: SmsPlatform) -> None:
    await platform.notes.keep("seen", datetime.now(UTC).isoformat())
    platform.server.page = 0
    async with running(platform.channel) as link:
        assert link.up.is_set()
    assert len([path for _, path in platform.server.requests if path.endswith("Messages.json")]) == 50


@pytest.mark.parametrize("value", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("field", ["sid", "body", "direction", "from", "date_sent", "num_media"])
async def test_a_missed_message_of_any_shape_is_taken(platform: SmsPlatform, field: str, value: object) -> None:
    await platform.notes.keep("seen", datetime.now(UTC).isoformat())
    for sid in ("SM1", "SM2"):
        platform.server.add(sid, body=sid, direction="inbound", to=NUMBER, sender=ADA)
    platform.server.messages[0][field] = value
    async with running(platform.channel) as link:
        found = await link.next()
        assert (found if found.external_id == "SM2" else await link.next()).text == "SM2"


@pytest.mark.parametrize("code", ["²", "٣", "9" * 50, "-1", "1.5", "\x00", ""])
async def test_a_state_with_any_code_is_taken(platform: SmsPlatform, link: RecordingLink, code: str) -> None:
    reply = await platform.adapter.called(call_of(MessageSid="SM1", MessageStatus="failed", ErrorCode=code))
    assert (reply.status, len(link.lost)) == (200, 1)
    reply = await platform.adapter.called(call_of(**WRITTEN, NumMedia=code))
    assert (reply.status, (await link.next()).files) == (200, ())


@pytest.mark.parametrize(
    "value", ["", " ", "²", "\x00", "9" * 50_000, "../x", "+", "image", "image/" + "x" * 5000, "https://"], ids=range(10)
)
@pytest.mark.parametrize("field", ["MessageSid", "From", "Body", "NumMedia", "MediaUrl0", "MediaContentType0", "OptOutType", "To"])
async def test_a_call_of_any_shape_is_taken(platform: SmsPlatform, link: RecordingLink, field: str, value: str) -> None:
    files = {"NumMedia": "1", "MediaUrl0": "https://api.twilio.com/1", "MediaContentType0": "image/png"}
    assert (await platform.adapter.called(call_of(**{**WRITTEN, **files, field: value}))).status == 200
    while not link.kept.empty():
        check(link.kept.get_nowait(), platform)
    assert (await platform.adapter.called(call_of(**{**WRITTEN, "MessageSid": "last"}))).status == 200
    assert (await link.next()).external_id == "last"


async def test_an_unclear_message_is_looked_up_before_it_is_sent_again(platform: SmsPlatform) -> None:
    platform.fail("lose")
    with pytest.raises(SendUnclear):
        await send(platform, "w1", key="a")
    [receipt] = await send(platform, "w1", key="a", again=datetime.now(UTC))
    assert platform.texts() == ["w1"]
    await send(platform, "w1", key="b", again=datetime.now(UTC))
    assert platform.texts() == ["w1", "w1"], "another with the same words"
    assert receipt.message_id == platform.seen()[0].id


@pytest.mark.parametrize(
    ("status", "code", "kind", "name"),
    [
        (400, 21610, SendRefused, "blocked"),
        (400, 21614, SendRefused, "landline"),
        (403, 21408, SendRefused, "no_permission"),
        (400, 21606, SendLater, "own_number"),
        (429, 30001, SendLater, "flood_wait"),
        (400, 21602, SendRefused, "refused"),
    ],
)
async def test_codes(
    platform: SmsPlatform, monkeypatch: pytest.MonkeyPatch, status: int, code: int, kind: type[SendFailed], name: str
) -> None:
    monkeypatch.setattr(platform.server, "refusals", lambda: {"refuse": lambda: error(status, code, "words")})
    platform.fail("refuse")
    with pytest.raises(kind) as failed:
        await send(platform)
    assert failed.value.trouble.code == name


async def test_a_long_answer_is_cut_where_the_settings_say_so(twilio: TwilioServer, tmp_path: Path) -> None:
    platform = SmsPlatform(twilio, tmp_path, mostMessages=2)
    receipts = await send(platform, LONG_TEXT)
    _, last = platform.texts()
    assert last.endswith("The rest was cut: ask for it.")
    assert "messages cut" in receipts[-1].notice
    await platform.channel.close()


async def test_a_messaging_service_is_one(twilio: TwilioServer, tmp_path: Path) -> None:
    platform = SmsPlatform(twilio, tmp_path, number="MG1")
    await send(platform)
    assert twilio.forms[0]["MessagingServiceSid"] == "MG1"
    await platform.channel.close()


@pytest.mark.parametrize(
    ("markdown", "text"), [("- a\n- “b” – c…", '- a\n- "b" - c...'), ("**b** [x](https://e.org)", "b x (https://e.org)"), ("日本", "日本")]
)
def test_text_is_in_the_alphabet_of_sms(markdown: str, text: str) -> None:
    assert [part.text for part in sms_parts(markdown, 1530)] == [text]


def test_messages_of_other_alphabets_are_shorter() -> None:
    assert max(segments(part.text) for part in sms_parts("word " * 1000, 1530)) == 10
    assert max(segments(part.text) for part in sms_parts("слово " * 1000, 1530)) == 10
    assert [segments(text) for text in ("a" * 160, "a" * 161, "€" * 81, "я" * 70, "я" * 71)] == [1, 2, 2, 1, 2]


@pytest.mark.parametrize("says", [b"", b"null", b"[]", b"{}", b'"x"', b'{"sid": 7}', b"[" * 100_000, b"\xff"], ids=range(8))
async def test_whatever_is_answered_a_message_is_sent_once(platform: SmsPlatform, says: bytes) -> None:
    platform.server.says = says
    with contextlib.suppress(SendUnclear):
        [receipt] = await send(platform)
        assert receipt.message_id is None
    assert platform.texts() == ["w1"]
