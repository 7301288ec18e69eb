"""What the assistant sends, as the chat shows it."""

from dataclasses import replace

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Limit, SendRefused
from assistant.contracts.inbox import Command
from assistant.contracts.outbox import Button, OutboundPart
from tests.doubles.telegram_api.faults import Fault
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.telegram.rig import Rig, event, sending

JPEG = b"\xff\xd8\xff picture"
GROUP = -1001234567890


async def test_markdown_is_shown_as_telegram_shows_it_and_links_are_not_fetched(rig: Rig, server: TelegramServer):
    (receipt,) = await rig.send(rig.open(), event("**Done** at https://example.com/x & <more>"))
    (posted,) = server.ledger
    assert receipt.message_id == str(posted.message_id)
    assert (posted.text, posted.parse_mode) == ("Done at https://example.com/x & <more>", "HTML")
    assert "<b>Done</b>" in posted.source
    assert not posted.link_preview


async def test_link_previews_are_there_when_asked_for(rig: Rig, server: TelegramServer):
    await rig.send(rig.open(linkPreviews=True), event())
    assert server.ledger[0].link_preview


async def test_a_long_text_is_sent_in_parts_that_telegram_takes(rig: Rig, server: TelegramServer):
    text = "\n\n".join(f"Paragraph {number} with 😀 and words." * 10 for number in range(60))
    channel = rig.open()
    await rig.send(channel, event(text))
    assert len(server.ledger) > 3
    assert " ".join(" ".join(server.texts(42)).split()) == " ".join(text.split())
    assert channel.plan(event(text)) == channel.plan(event(text))


async def test_what_telegram_cannot_parse_goes_as_plain_text_at_once(rig: Rig, server: TelegramServer):
    part = OutboundPart(text="<table>oh</b>", plain="oh")
    await rig.open().send(sending(event(), part))
    (posted,) = server.ledger
    assert (posted.text, posted.parse_mode) == ("oh", None)


async def test_what_no_text_may_hold_is_left_out(rig: Rig, server: TelegramServer):
    await rig.send(rig.open(), event("a\x00b \ud800 c"))
    assert server.texts(42) == ["ab \ufffd c"]


@pytest.mark.parametrize(
    ("name", "data", "media_type", "method"),
    [
        ("a.jpg", JPEG, "image/jpeg", "sendPhoto"),
        ("a.png", b"\x89PNG\r\n", "image/png", "sendPhoto"),
        ("big.jpg", JPEG + b"0" * 10_000_000, "image/jpeg", "sendDocument"),
        ("a.svg", b"<svg/>", "image/svg+xml", "sendDocument"),
        ("a.mp3", b"ID3", "audio/mpeg", "sendAudio"),
        ("a.ogg", b"OggS", "audio/ogg", "sendVoice"),
        ("a.mp4", b"mp4", "video/mp4", "sendVideo"),
        ("a.pdf", b"%PDF", "application/pdf", "sendDocument"),
        ("broken.jpg", b"no picture", "image/jpeg", "sendDocument"),
    ],
)
async def test_a_file_goes_as_what_it_is(rig: Rig, server: TelegramServer, name: str, data: bytes, media_type: str, method: str):
    media = rig.files.add(name, data, media_type)
    await rig.send(rig.open(), event("see *this*", media=[media]))
    (posted,) = server.ledger
    assert (posted.method, posted.text) == (method, "see this")
    assert (posted.files[0].name, posted.files[0].data == data) == (name, True)


async def test_a_text_that_is_no_caption_goes_first(rig: Rig, server: TelegramServer):
    media = rig.files.add("a.pdf", b"%PDF", "application/pdf")
    await rig.send(rig.open(), event("word " * 300, media=[media]))
    assert [posted.method for posted in server.ledger] == ["sendMessage", "sendDocument"]
    assert server.ledger[1].text == ""


async def test_photos_go_as_an_album_and_other_files_for_themselves(rig: Rig, server: TelegramServer):
    photos = [rig.files.add(f"{number}.jpg", JPEG + bytes([number]), "image/jpeg") for number in range(12)]
    paper = rig.files.add("a.pdf", b"%PDF", "application/pdf")
    await rig.send(rig.open(), event("holiday", media=[*photos, paper]))
    assert [(posted.method, posted.text) for posted in server.ledger] == [
        ("sendMediaGroup", "holiday"),
        *[("sendMediaGroup", "")] * 11,
        ("sendDocument", ""),
    ]
    assert len({posted.album for posted in server.ledger if posted.album}) == 2


async def test_files_that_telegram_never_takes_are_refused_before_anything_is_sent(rig: Rig, server: TelegramServer):
    media = rig.files.add("a.bin", b"x", "application/octet-stream")
    for size, code in ((50_000_001, "too_large"), (0, "empty_file")):
        with pytest.raises(SendRefused) as refused:
            rig.open().plan(event("", media=[replace(media, size=size)]))
        assert refused.value.trouble.code == code
        (part,) = rig.open().plan(event("words", media=[replace(media, size=size)]))
        assert (part.text, part.media) == ("words", ())
        assert part.notice.startswith("a.bin left out: ")
    assert server.ledger == []


async def test_a_file_that_is_not_kept_any_more_is_refused(rig: Rig):
    media = rig.files.add("a.bin", b"x", "application/octet-stream")
    rig.files.path(media).unlink()
    with pytest.raises(SendRefused) as refused:
        await rig.send(rig.open(), event(media=[media]))
    assert refused.value.trouble.code == "media_missing"


def test_words_that_show_nothing_are_refused(rig: Rig):
    with pytest.raises(SendRefused):
        rig.open().plan(event(" \n "))


async def test_a_button_that_is_pressed_says_its_words(rig: Rig, server: TelegramServer):
    long = "a choice with more words than a button of Telegram's can carry along with it"
    rows = ((Button(text="Yes"), Button(text=long)), (Button(text="Open", url="https://example.com"), Button(text=" ")))
    channel = await rig.run()
    await rig.send(channel, event("Well? " * 1000, buttons=rows))
    first, last = server.ledger[0], server.ledger[-1]
    assert first.buttons == []
    assert [[button["text"] for button in row] for row in last.buttons] == [["Yes", long], ["Open"]]
    queries = [server.press(server.as_update(last), button["callback_data"], sender=42) for button in last.buttons[0]]
    server.press(server.as_update(last), "of another program", sender=42)
    messages = await rig.link.received(2)
    assert [(message.text, message.sender.id, message.message_id) for message in messages] == [
        ("Yes", "42", str(last.message_id)),
        (long, "42", str(last.message_id)),
    ]
    assert all(message.chosen for message in messages)
    await server.until(lambda: len(server.answered_queries) == 3)
    assert server.answered_queries[:2] == queries


@pytest.mark.parametrize(("data", "words"), [("tYes", "Yes"), ("#0.0", "a long choice"), ("/done occ_1", "/done occ_1")])
async def test_a_button_of_an_older_version_still_says_its_words(rig: Rig, server: TelegramServer, data: str, words: str):
    await rig.run()
    shown = server.message(42, text="Shall I?") | {"from": server.bot}
    server.press(shown | {"reply_markup": {"inline_keyboard": [[{"text": "a long choice", "callback_data": data}]]}}, data, sender=42)
    (message,) = await rig.link.received(1)
    assert (message.text, message.chosen) == (words, True)


async def test_a_button_with_a_command_gives_it_and_is_gone_after_an_edit(rig: Rig, server: TelegramServer):
    subject = "occ_" + "0" * 28
    rows = ((Button(text="Done", command="/done", subject=subject), Button(text="tomorrow", command="/snooze tomorrow", subject=subject)),)
    channel = await rig.run()
    (receipt,) = await rig.send(channel, event("stretch", buttons=rows))
    (posted,) = server.ledger
    assert [button["callback_data"] for button in posted.buttons[0]] == [f"/done {subject}", f"/snooze tomorrow {subject}"]
    for button in posted.buttons[0]:
        server.press(server.as_update(posted), button["callback_data"], sender=42)
    done, later = await rig.link.received(2)
    assert (done.command, done.chosen, done.message_id) == (Command(name="done", arguments=subject), True, receipt.message_id)
    assert later.command == Command(name="snooze", arguments=f"tomorrow {subject}")
    await rig.send(channel, event("stretch\n\n✓ Done", replaces=receipt.message_id))
    assert (posted.edits, posted.buttons) == (["stretch\n\n✓ Done"], [])


async def test_an_answer_in_a_topic_refers_to_what_it_answers(rig: Rig, server: TelegramServer):
    server.topics[str(GROUP)] = {5}
    said = server.say(GROUP, "question", sender=42, topic=5)
    await rig.send(rig.open(), event(chat_id=GROUP, thread="5", reply_to=str(said["message_id"])))
    assert (server.ledger[0].thread_id, server.ledger[0].reply_to) == (5, said["message_id"])


async def test_an_answer_to_what_was_deleted_is_sent_all_the_same(rig: Rig, server: TelegramServer):
    await rig.send(rig.open(), event(reply_to="999"))
    assert (server.texts(42), server.ledger[0].reply_to) == (["hello"], None)


async def test_a_public_channel_is_reached_by_its_name(rig: Rig, server: TelegramServer):
    await rig.send(rig.open(), event(chat_id="@the_news"))
    assert server.texts("@the_news") == ["hello"]


async def test_a_preview_becomes_the_message_and_a_repeat_changes_nothing(rig: Rig, server: TelegramServer):
    channel = rig.open()
    (preview,) = await rig.send(channel, event("hel"))
    final = event("**hello**", replaces=preview.message_id)
    first = await rig.send(channel, final)
    again = await rig.send(channel, final)
    assert [receipt.message_id for receipt in (*first, *again)] == [preview.message_id] * 2
    assert server.texts(42) == ["hello"]


async def test_where_the_preview_is_gone_the_message_is_a_new_one(rig: Rig, server: TelegramServer):
    channel = rig.open()
    (preview,) = await rig.send(channel, event("hel"))
    server.ledger[0].deleted = True
    (receipt,) = await rig.send(channel, event("hello", replaces=preview.message_id))
    assert receipt.message_id != preview.message_id
    assert server.texts(42) == ["hello"]


async def test_a_preview_of_what_becomes_text_and_a_file_is_the_text(rig: Rig, server: TelegramServer):
    channel = rig.open()
    (preview,) = await rig.send(channel, event("hel"))
    media = rig.files.add("a.jpg", JPEG, "image/jpeg")
    await rig.send(channel, event("hello", media=[media], replaces=preview.message_id))
    assert server.texts(42) == ["hello", ""]
    (preview,) = await rig.send(channel, event("wait"))
    await rig.send(channel, event("", media=[media], replaces=preview.message_id))
    assert server.texts(42) == ["hello", "", ""]


async def test_a_group_that_got_a_new_id_is_found_again(rig: Rig, server: TelegramServer):
    server.fail(Fault(code=400, description="Bad Request: group chat was upgraded", migrate_to=-100777, chat_id=-5, times=None))
    channel = rig.open()
    await rig.send(channel, event(chat_id=-5))
    await rig.send(channel, event("again", chat_id=-5))
    assert server.texts(-100777) == ["hello", "again"]
    assert len(server.requests) == 3


def test_the_limits_are_those_of_the_platform(rig: Rig):
    channel = rig.open()
    private = [Limit(key="telegram", amount=30, seconds=1), Limit(key="telegram:42", amount=1, seconds=1)]
    assert channel.limits(Address(channel="telegram", chat_id="42")) == private
    assert channel.limits(Address(channel="telegram", chat_id="-5", thread_id="7"))[-1] == Limit(
        key="telegram:-5:group", amount=20, seconds=60
    )
    assert not channel.keyed
