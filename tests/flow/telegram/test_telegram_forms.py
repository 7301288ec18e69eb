"""Whatever form Telegram refuses, the words arrive without it, and the receipt says so."""

import struct
from dataclasses import replace

import pytest

from assistant.contracts.channels import SendRefused, SendUnclear
from assistant.contracts.outbox import Button, OutboundPart
from tests.doubles.telegram_api.faults import Fault
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.telegram.rig import Rig, event, sending

GROUP = -1001234567890
JPEG = b"\xff\xd8\xff picture"


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(20)


FILES = {
    "voice": ("a.ogg", b"OggS", "audio/ogg", "sendVoice"),
    "audio": ("a.mp3", b"ID3", "audio/mpeg", "sendAudio"),
    "video": ("a.mp4", b"mp4", "video/mp4", "sendVideo"),
    "photo": ("a.jpg", JPEG, "image/jpeg", "sendPhoto"),
    "document": ("a.pdf", b"%PDF", "application/pdf", "sendDocument"),
}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("voice", "Bad Request: VOICE_MESSAGES_FORBIDDEN"),
        ("voice", "Bad Request: user restricted receiving of voice messages"),
        ("voice", "Bad Request: not enough rights to send voice notes to the chat"),
        ("audio", "Bad Request: CHAT_SEND_AUDIOS_FORBIDDEN"),
        ("audio", "Bad Request: wrong file identifier/HTTP URL specified"),
        ("video", "Bad Request: VIDEO_CONTENT_TYPE_INVALID"),
        ("video", "Bad Request: not enough rights to send videos to the chat"),
        ("video", "Bad Request: a new kind of refusal"),
        ("photo", "Bad Request: PHOTO_INVALID_DIMENSIONS"),
        ("photo", "Bad Request: IMAGE_PROCESS_FAILED"),
        ("photo", "Bad Request: PHOTO_EXT_INVALID"),
        ("photo", "Bad Request: file is too big"),
        ("photo", "Forbidden: not enough rights to send photos to the chat"),
    ],
)
async def test_a_file_that_may_not_be_shown_goes_as_a_file(rig: Rig, server: TelegramServer, kind: str, said: str):
    name, data, media_type, method = FILES[kind]
    server.fail(Fault(code=403 if said.startswith("Forbidden") else 400, description=said, method=method, times=None))
    media = rig.files.add(name, data, media_type)
    (receipt,) = await rig.send(rig.open(), event("listen *to* this", media=[media]))
    (posted,) = server.ledger
    assert (posted.method, posted.text) == ("sendDocument", "listen to this")
    assert f"{name} sent as a plain file (Telegram: {said.partition(': ')[2]})" in receipt.notice


@pytest.mark.parametrize("kind", list(FILES))
@pytest.mark.parametrize(
    "said",
    [
        "Bad Request: CHAT_SEND_DOCS_FORBIDDEN",
        "Bad Request: FILE_PARTS_INVALID",
        "Request Entity Too Large",
        "413 of a proxy",
        "Bad Request: what?",
    ],
)
async def test_where_no_file_is_taken_the_words_arrive(rig: Rig, server: TelegramServer, kind: str, said: str):
    name, data, media_type, method = FILES[kind]
    for refused in {method, "sendDocument"}:
        server.fail(Fault(code=413 if said[0] in "R4" else 400, description=said, method=refused, times=None))
    media = rig.files.add(name, data, media_type)
    (receipt,) = await rig.send(rig.open(), event("the words", media=[media], buttons=((Button(text="Yes"),),)))
    assert server.texts(42) == ["the words"]
    assert f"{name} left out (Telegram: " in receipt.notice


async def test_a_refusal_that_no_form_heals_has_telegrams_own_words(rig: Rig, server: TelegramServer):
    server.fail(Fault(code=400, description="Bad Request: CHAT_SEND_DOCS_FORBIDDEN", method="sendDocument", times=None))
    media = rig.files.add("a.pdf", b"%PDF", "application/pdf")
    with pytest.raises(SendRefused, match="CHAT_SEND_DOCS_FORBIDDEN"):
        await rig.send(rig.open(), event("", media=[media]))
    assert server.ledger == []


@pytest.mark.parametrize("size", [(9000, 2000), (2100, 100), (1, 30)])
async def test_a_picture_whose_sides_telegram_does_not_take_goes_as_a_file(rig: Rig, server: TelegramServer, size: tuple[int, int]):
    media = rig.files.add("wide.png", png(*size), "image/png")
    (receipt,) = await rig.send(rig.open(), event("look", media=[media]))
    assert [posted.method for posted in server.ledger] == ["sendDocument"]
    assert "PHOTO_INVALID_DIMENSIONS" in receipt.notice


LINKABLE = [
    "https://example.org/x",
    "http://example.org:8080/x?y=1#z",
    "HTTPS://Example.ORG",
    "https://10.0.0.7/build",
    "http://127.0.0.1:3000/",
    "https://münchen.example/straße",
    "tg://resolve?domain=test",
]
NO_LINKS = [
    "http://localhost:3000/build/17",
    "https://intranet/wiki",
    "https://",
    "ftp://example.org/x",
    "mailto:a@example.org",
    "javascript:alert(1)",
    "https://exa mple.org",
    "tg://",
    "localhost:3000",
    "https://user@intranet/x",
    "https://example./",
]


@pytest.mark.parametrize("url", LINKABLE)
async def test_a_button_leads_where_telegram_lets_it(rig: Rig, server: TelegramServer, url: str):
    (receipt,) = await rig.send(rig.open(), event("done", buttons=((Button(text="open", url=url),),)))
    assert (server.texts(42), server.ledger[0].buttons, receipt.notice) == (["done"], [[{"text": "open", "url": url}]], "")


@pytest.mark.parametrize("url", NO_LINKS)
async def test_an_address_that_no_button_takes_is_written_under_the_text(rig: Rig, server: TelegramServer, url: str):
    rows = ((Button(text="open_it", url=url), Button(text="Yes")),)
    (receipt,) = await rig.send(rig.open(), event("done", buttons=rows))
    assert server.texts(42) == [f"done\n\nopen_it: {url}"]
    assert [[button["text"] for button in row] for row in server.ledger[0].buttons] == [["Yes"]]
    assert "“open_it”" in receipt.notice


@pytest.mark.parametrize(
    "said",
    [
        "BUTTON_URL_INVALID",
        "BUTTON_DATA_INVALID",
        "REPLY_MARKUP_TOO_LONG",
        "reply markup is too long",
        "can't parse inline keyboard button: x",
    ],
)
async def test_buttons_that_telegram_refuses_leave_their_addresses(rig: Rig, server: TelegramServer, said: str):
    server.fail(Fault(code=400, description=f"Bad Request: {said}", method="sendMessage"))
    rows = ((Button(text="open", url="https://example.org/<x>"), Button(text="Yes")),)
    (receipt,) = await rig.send(rig.open(), event("*done*", buttons=rows))
    assert (server.texts(42), server.ledger[0].buttons) == (["done\n\nopen: https://example.org/<x>"], [])
    assert receipt.notice == f"buttons left out: “open”, “Yes” (Telegram: {said})"


async def test_without_buttons_the_commands_are_words(rig: Rig, server: TelegramServer):
    server.fail(Fault(code=400, description="Bad Request: BUTTON_DATA_INVALID", method="sendMessage"))
    rows = ((Button(text="Done", command="/done", subject="occ_1"), Button(text="10 min", command="/snooze 10m", subject="occ_1")),)
    await rig.send(rig.open(), event("stretch", buttons=rows))
    assert server.texts(42) == ["stretch\n\nReply /done or /snooze 10m"]


async def test_too_many_buttons_are_words(rig: Rig, server: TelegramServer):
    rows = tuple(tuple(Button(text=f"b{row}.{place}") for place in range(9)) for row in range(10))
    (receipt,) = await rig.send(rig.open(), event("choose", buttons=rows))
    shown = [button["text"] for row in server.ledger[0].buttons for button in row]
    assert all(f"b{row}.{place}" in [*shown, *server.texts(42)[0].split()] for row in range(10) for place in range(9))
    assert receipt.notice


@pytest.mark.parametrize("said", ["can't parse entities: x", "ENTITY_BOUNDS_INVALID", "ENTITIES_TOO_LONG", "a new kind of refusal"])
async def test_a_form_of_words_that_is_refused_goes_as_plain_text(rig: Rig, server: TelegramServer, said: str):
    server.fail(Fault(code=400, description=f"Bad Request: {said}", method="sendMessage"))
    (receipt,) = await rig.send(rig.open(), event("**bold** words"))
    assert [(posted.text, posted.parse_mode) for posted in server.ledger] == [("bold words", None)]
    assert receipt.notice == f"sent as plain text (Telegram: {said})"


@pytest.mark.parametrize(
    "said", ["message to be replied not found", "REPLY_MESSAGE_ID_INVALID", "QUOTE_TEXT_INVALID", "reply message not found"]
)
async def test_a_reference_that_is_refused_is_left_out(rig: Rig, server: TelegramServer, said: str):
    asked = server.say(42, "question")
    server.fail(Fault(code=400, description=f"Bad Request: {said}", method="sendMessage"))
    (receipt,) = await rig.send(rig.open(), event("answer", reply_to=str(asked["message_id"])))
    assert (server.texts(42), server.ledger[0].reply_to) == (["answer"], None)
    assert "without the reference" in receipt.notice


@pytest.mark.parametrize("how", ["gone", "TOPIC_DELETED", "TOPIC_CLOSED", "TOPIC_ID_INVALID"])
async def test_what_was_for_a_vanished_topic_goes_to_the_chat_and_says_so(rig: Rig, server: TelegramServer, how: str):
    server.topics[str(GROUP)] = {5}
    if how == "TOPIC_CLOSED":
        server.closed_topics.add((str(GROUP), 5))
    elif how != "gone":
        server.fail(Fault(code=400, description=f"Bad Request: {how}", method="sendMessage"))
    thread = "6" if how == "gone" else "5"
    (receipt,) = await rig.send(rig.open(), event("news", chat_id=GROUP, thread=thread))
    assert [(posted.text, posted.thread_id) for posted in server.ledger] == [("news", None)]
    assert receipt.notice.startswith("sent to the chat and not to its topic (Telegram: ")


async def test_a_caption_that_is_refused_goes_before_its_file(rig: Rig, server: TelegramServer):
    server.fail(Fault(code=400, description="Bad Request: message caption is too long", method="sendDocument"))
    media = rig.files.add("a.pdf", b"%PDF", "application/pdf")
    (receipt,) = await rig.send(rig.open(), event("the words", media=[media]))
    assert [(posted.method, posted.text) for posted in server.ledger] == [("sendMessage", "the words"), ("sendDocument", "")]
    assert (receipt.message_id, "apart" in receipt.notice) == (str(server.ledger[0].message_id), True)


@pytest.mark.parametrize(
    ("method", "said", "sent"),
    [
        ("sendPhoto", "PHOTO_INVALID_DIMENSIONS", ["sendMessage", "sendDocument"]),
        ("sendPhoto", "file is too big", ["sendMessage", "sendDocument"]),
        ("send", "CHAT_SEND_DOCS_FORBIDDEN", ["sendMessage"]),
    ],
)
async def test_words_that_went_before_their_file_come_once(rig: Rig, server: TelegramServer, method: str, said: str, sent: list[str]):
    server.fail(Fault(code=400, description="Bad Request: message caption is too long", method="sendPhoto"))
    for refused in ("sendPhoto", "sendDocument") if method == "send" else (method,):
        server.fail(Fault(code=400, description=f"Bad Request: {said}", method=refused, times=None))
    media = rig.files.add("a.jpg", JPEG, "image/jpeg")
    (receipt,) = await rig.send(rig.open(), event("the words", media=[media], buttons=((Button(text="Yes"),),)))
    assert [posted.method for posted in server.ledger] == sent
    assert server.texts(42).count("the words") == 1
    assert [button["text"] for posted in server.ledger for row in posted.buttons for button in row] == ["Yes"]
    assert said in receipt.notice


@pytest.mark.parametrize("fault", [Fault.flood(3, method="sendDocument"), Fault(method="sendDocument"), Fault.blocked(42)])
async def test_words_before_a_file_that_fails_otherwise_may_have_arrived(rig: Rig, server: TelegramServer, fault: Fault):
    server.fail(Fault(code=400, description="Bad Request: message caption is too long", method="sendDocument"))
    fault = replace(fault, method="sendDocument", met=0)
    server.fail(fault)
    media = rig.files.add("a.pdf", b"%PDF", "application/pdf")
    with pytest.raises(SendUnclear, match="took the words"):
        await rig.send(rig.open(), event("the words", media=[media]))
    assert server.texts(42) == ["the words"]


async def test_an_album_with_one_bad_picture_goes_one_by_one(rig: Rig, server: TelegramServer):
    pictures = [JPEG + b"1", b"no picture", png(30, 1), JPEG + b"2"]
    media = [rig.files.add(f"{place}.jpg", data, "image/jpeg") for place, data in enumerate(pictures)]
    (receipt,) = await rig.send(rig.open(), event("holiday", media=media))
    assert [(posted.method, posted.text) for posted in server.ledger] == [
        ("sendPhoto", "holiday"),
        ("sendDocument", ""),
        ("sendDocument", ""),
        ("sendPhoto", ""),
    ]
    assert receipt.message_id == str(server.ledger[0].message_id)
    assert all(words in receipt.notice for words in ("files sent one by one", "1.jpg sent as a plain file", "2.jpg sent as a plain file"))


async def test_an_album_in_a_group_that_takes_no_files_is_its_words(rig: Rig, server: TelegramServer):
    server.no_rights[str(GROUP)] = {"photo", "document"}
    media = [rig.files.add(f"{place}.jpg", JPEG + bytes([place]), "image/jpeg") for place in range(3)]
    (receipt,) = await rig.send(rig.open(), event("holiday", chat_id=GROUP, media=media))
    assert server.texts(GROUP) == ["holiday"]
    assert all(f"{place}.jpg left out" in receipt.notice for place in range(3))


async def test_several_things_at_once_are_taken_away_one_after_the_other(rig: Rig, server: TelegramServer):
    server.topics[str(GROUP)] = set()
    server.fail(Fault(code=400, description="Bad Request: VOICE_MESSAGES_FORBIDDEN", method="sendVoice", times=None))
    server.fail(Fault(code=400, description="Bad Request: BUTTON_URL_INVALID", method="sendDocument"))
    media = rig.files.add("a.ogg", b"OggS", "audio/ogg")
    made = event("listen", chat_id=GROUP, thread="9", media=[media], buttons=((Button(text="open", url="https://example.org"),),))
    (receipt,) = await rig.send(rig.open(), made)
    (posted,) = server.ledger
    assert (posted.method, posted.text, posted.thread_id, posted.buttons) == (
        "sendDocument",
        "listen\n\nopen: https://example.org",
        None,
        [],
    )
    assert receipt.notice.count("; ") == 2


@pytest.mark.parametrize("said", ["can't parse entities: x", "BUTTON_URL_INVALID"])
async def test_a_preview_becomes_the_message_in_the_form_that_is_taken(rig: Rig, server: TelegramServer, said: str):
    channel = rig.open()
    (preview,) = await rig.send(channel, event("hel"))
    server.fail(Fault(code=400, description=f"Bad Request: {said}", method="editMessageText"))
    final = event("**hello**", replaces=preview.message_id, buttons=((Button(text="Yes"),),))
    (receipt,) = await rig.send(channel, final)
    assert (receipt.message_id, server.texts(42)) == (preview.message_id, ["hello"])
    assert said in receipt.notice


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (403, "Forbidden: bot was blocked by the user"),
        (403, "Forbidden: bot was kicked from the supergroup chat"),
        (403, "Forbidden: bot can't send messages to bots"),
        (400, "Bad Request: chat not found"),
        (400, "Bad Request: CHAT_WRITE_FORBIDDEN"),
        (400, "Bad Request: CHAT_RESTRICTED"),
        (400, "Bad Request: CHAT_ADMIN_REQUIRED"),
        (400, "Bad Request: CHANNEL_PRIVATE"),
        (400, "Bad Request: USER_BANNED_IN_CHANNEL"),
        (400, "Bad Request: need administrator rights in the channel chat"),
        (400, "Bad Request: have no rights to send a message"),
        (400, "Bad Request: not enough rights to send text messages to the chat"),
        (403, "Forbidden: the group chat was deleted"),
        (400, "Bad Request: group chat was deactivated"),
    ],
)
async def test_chats_that_take_nothing_are_asked_once(rig: Rig, server: TelegramServer, code: int, said: str):
    media = rig.files.add("a.ogg", b"OggS", "audio/ogg")
    server.fail(replace(Fault.blocked(42), code=code, description=said))
    with pytest.raises(SendRefused):
        await rig.send(rig.open(), event("*listen*", media=[media], buttons=((Button(text="Yes"),),)))
    assert len(server.requests) == 1


async def test_lines_of_buttons_that_do_not_fit_are_in_the_notice(rig: Rig, server: TelegramServer):
    server.fail(Fault(code=400, description="Bad Request: BUTTON_URL_INVALID", method="sendMessage"))
    words = "x" * 4000
    part = OutboundPart(text=words, plain=words, buttons=((Button(text="open", url="https://example.org/" + "y" * 200),),))
    receipt = await rig.open().send(replace(sending(event(), part)))
    assert (server.texts(42), "“open”" in receipt.notice) == ([words], True)
