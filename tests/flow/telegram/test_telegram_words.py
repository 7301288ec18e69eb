"""What people write with entities, polls, lists and replies, as the model reads it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from assistant.contracts.inbox import InboundMessage
from tests.doubles.telegram_api.chats import GENERAL_BOT, entity, person
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.telegram.rig import Rig, event

GROUP = -1001234567890
Made = tuple[str, str, dict[str, Any]]
"""(kind, the part that it is about, its further fields)"""


def entities(text: str, made: Sequence[Made]) -> list[dict[str, Any]]:
    return [entity(kind, text, part, **more) for kind, part, more in made]


FORMED: list[tuple[str, list[Made], str]] = [
    ("read this page please", [("text_link", "this page", {"url": "https://e.org/s"})], "read [this page](https://e.org/s) please"),
    ("😀 👍🏽 this", [("text_link", "this", {"url": "https://e.org"})], "😀 👍🏽 [this](https://e.org)"),
    ("a (b) c", [("text_link", "(b)", {"url": "https://e.org/(x)"})], "a [(b)](<https://e.org/(x)>) c"),
    ("a b c", [("text_link", "b", {"url": "https://e.org/a b>c\n<d"})], "a [b](<https://e.org/a b%3Ec %3Cd>) c"),
    ("see [1]", [("text_link", "[1]", {"url": "https://e.org"})], "see [\\[1\\]](https://e.org)"),
    ("Bob hi", [("text_link", "Bob", {"url": "tg://user?id=424242"})], "Bob hi"),
    ("run\nprint(1)\nnow", [("pre", "print(1)", {"language": "python"})], "run\n\n```python\nprint(1)\n```\n\nnow"),
    ("x\na ``` b\ny", [("pre", "a ``` b", {})], "x\n\n````\na ``` b\n````\n\ny"),
    ("code", [("pre", "code", {"language": "no good\nname"})], "```\ncode\n```"),
    ("use ls -l here", [("code", "ls -l", {})], "use `ls -l` here"),
    ("use a`b here", [("code", "a`b", {})], "use `` a`b `` here"),
    ("very important", [("bold", "important", {})], "very **important**"),
    ("bold  here", [("bold", "bold ", {})], "**bold**  here"),
    ("two\nlines", [("bold", "two\nlines", {})], "**two**\n**lines**"),
    ("a b", [("italic", "a", {}), ("strikethrough", "b", {})], "*a* ~~b~~"),
    ("secret", [("spoiler", "secret", {})], "||secret||"),
    ("under", [("underline", "under", {})], "<u>under</u>"),
    ("all in one", [("bold", "all in one", {}), ("italic", "in", {})], "**all *in* one**"),
    (
        "both",
        [("bold", "both", {}), ("italic", "both", {}), ("text_link", "both", {"url": "https://e.org"})],
        "[***both***](https://e.org)",
    ),
    ("abcdef", [("bold", "abcd", {}), ("italic", "cdef", {})], "**ab*cd****ef*"),
    ("i\nq1\nq2\ne", [("blockquote", "q1\nq2", {})], "i\n\n> q1\n> q2\n\ne"),
    ("long quote", [("expandable_blockquote", "long quote", {}), ("bold", "long", {})], "> **long** quote"),
    ("hi @bob #tag $USD", [("mention", "@bob", {}), ("hashtag", "#tag", {}), ("cashtag", "$USD", {})], "hi @bob #tag $USD"),
    ("mail a@e.org or e.org", [("email", "a@e.org", {}), ("url", "e.org", {})], "mail a@e.org or e.org"),
    ("Bob, hi", [("text_mention", "Bob", {"user": person(7, "Bob")})], "Bob, hi"),
    ("yes 👍", [("custom_emoji", "👍", {"custom_emoji_id": "5368324170671202286"})], "yes 👍"),
    ("snake_case *x* `y` [z](w)", [], "snake_case *x* `y` [z](w)"),
    ("2 * 3 * 4 = b", [("bold", "b", {})], "2 * 3 * 4 = **b**"),
]


@pytest.mark.parametrize(("text", "made", "read"), FORMED, ids=[each[0][:20] for each in FORMED])
async def test_entities_become_markdown_wherever_they_stand(rig: Rig, server: TelegramServer, text: str, made: list[Made], read: str):
    await rig.run()
    formed = entities(text, made)
    origin = {"type": "hidden_user", "sender_user_name": "Eve", "date": 1}
    caption: dict[str, Any] = {"caption": text, "caption_entities": formed}
    document: dict[str, Any] = {"document": {"file_id": "f", "file_unique_id": "u", "file_size": 1, "file_name": "a.txt"}}
    said: dict[str, dict[str, Any]] = {
        "text": {"text": text, "entities": formed},
        "caption": {**caption, **document},
        "forward": {"text": text, "entities": formed, "forward_origin": origin},
        "reply": {"text": "what?", "reply_to_message": server.message(42, text=text, entities=formed)},
        "replied caption": {"text": "what?", "reply_to_message": server.message(42, **caption, **document)},
        "quote": {
            "text": "what?",
            "quote": {"text": text, "entities": formed, "position": 0},
            "reply_to_message": server.message(42, text="x"),
        },
    }
    for content in said.values():
        server.deliver("message", server.message(42, **content))
    messages = await rig.link.received(len(said))
    assert [message.text or (message.quote and message.quote.text) for message in messages[:3]] == [read] * 3
    assert [message.quote and message.quote.text for message in messages[3:]] == [read] * 3


@pytest.mark.parametrize("bad", [(5, 100), (-3, 2), (1, 1), (100, 2)], ids=["too long", "before", "half a character", "behind"])
async def test_an_entity_that_fits_nothing_is_left_out(rig: Rig, server: TelegramServer, bad: tuple[int, int]):
    await rig.run()
    wrong = {"type": "bold", "offset": bad[0], "length": bad[1]}
    server.deliver("message", server.message(42, text="😀 words", entities=[wrong]))
    (message,) = await rig.link.received(1)
    assert message.text == "😀 words"


async def test_a_command_and_a_mention_are_known_under_their_marks(rig: Rig, server: TelegramServer):
    await rig.run()
    text = "@test_bot read this"
    server.deliver(
        "message",
        server.message(GROUP, sender=42, text=text, entities=entities(text, [("mention", "@test_bot", {}), ("bold", "this", {})])),
    )
    server.deliver(
        "message", server.message(42, text="/new", entities=entities("/new", [("bot_command", "/new", {}), ("bold", "/new", {})]))
    )
    named, command = await rig.link.received(2)
    assert (named.text, command.command is not None and command.command.name) == ("read **this**", "new")


async def test_an_edit_of_a_link_is_one(rig: Rig, server: TelegramServer):
    await rig.run()
    text = "this page"
    said = server.message(42, text=text, entities=entities(text, [("text_link", "page", {"url": "https://e.org/1"})]))
    server.deliver("message", said)
    edited = {**said, "edit_date": said["date"] + 5}
    server.deliver("edited_message", edited)
    server.deliver("edited_message", {**edited, "entities": entities(text, [("text_link", "page", {"url": "https://e.org/2"})])})
    first, again = await rig.link.received(2)
    assert (first.text, again.text) == ("this [page](https://e.org/1)", "this [page](https://e.org/2)")


POLL = {"id": "1", "is_closed": False, "is_anonymous": True, "type": "regular", "allows_multiple_answers": False} | {
    "allows_revoting": True,
    "members_only": False,
}
OPTIONS = [{"text": "yes", "voter_count": 3, "persistent_id": "1"}, {"text": "no", "voter_count": 1, "persistent_id": "2"}]
IN_WORDS: list[tuple[str, dict[str, Any], str]] = [
    (
        "poll",
        {**POLL, "question": "Tea?", "options": OPTIONS, "total_voter_count": 4},
        "[poll (4 voted): Tea?]\n- yes (3 votes)\n- no (1 votes)",
    ),
    (
        "poll",
        {
            **POLL,
            "type": "quiz",
            "is_closed": True,
            "question": "2+2?",
            "options": OPTIONS,
            "total_voter_count": 0,
            "explanation": "Count.",
        },
        "[quiz (closed): 2+2?]\n- yes\n- no\nExplanation: Count.",
    ),
    ("contact", {"phone_number": "+4930123", "first_name": "Ada", "last_name": "L"}, "[contact: Ada L, +4930123]"),
    ("location", {"latitude": 52.5, "longitude": 13.4}, "[location: 52.500000, 13.400000]"),
    ("location", {"latitude": 52.5, "longitude": 13.4, "live_period": 600}, "[live location: 52.500000, 13.400000]"),
    (
        "venue",
        {"location": {"latitude": 1, "longitude": 2}, "title": "Café", "address": "Main St 1"},
        "[place: Café, Main St 1 (1.000000, 2.000000)]",
    ),
    ("dice", {"emoji": "🎲", "value": 5}, "[dice 🎲: 5]"),
    ("game", {"title": "Chess", "description": "A board game", "photo": []}, "[game: Chess. A board game]"),
    (
        "checklist",
        {"title": "Shop", "tasks": [{"id": 1, "text": "milk", "completion_date": 1}, {"id": 2, "text": "eggs"}]},
        "[checklist: Shop]\n☑ milk\n☐ eggs",
    ),
    (
        "invoice",
        {"title": "Tea", "description": "Green", "start_parameter": "", "currency": "EUR", "total_amount": 350},
        "[invoice: Tea. Green (3.50 EUR)]",
    ),
    ("story", {"chat": {"id": 7, "type": "private"}, "id": 1}, "[a story, which bots can't see]"),
]


@pytest.mark.parametrize(("field", "content", "words"), IN_WORDS, ids=[f"{each[0]}-{place}" for place, each in enumerate(IN_WORDS)])
async def test_what_is_no_text_is_read_in_words_also_where_it_is_answered(
    rig: Rig, server: TelegramServer, field: str, content: dict[str, Any], words: str
):
    await rig.run()
    more: dict[str, Any] = {field: content}
    server.deliver("message", server.message(42, **more))
    server.deliver("message", server.message(42, text="what?", reply_to_message=server.message(42, **more)))
    own, answered = await rig.link.received(2)
    assert (own.text, answered.quote and answered.quote.text) == (words, words)


def quoted(message: InboundMessage) -> tuple[str, str, list[str]]:
    assert message.quote is not None
    return message.quote.text, message.quote.author_id, [file.ref for file in message.quote.files]


async def test_the_files_of_what_is_answered_come_with_it(rig: Rig, server: TelegramServer):
    await rig.run()
    photo, paper = server.photo(GROUP, sender=7), server.document(GROUP, "report.txt", b"words", sender=7)
    own = server.message(GROUP, voice={"file_id": "v", "file_unique_id": "u", "duration": 1}) | {"from": server.bot}
    anonymous = server.message(
        GROUP, sender=7, document={"file_id": "d", "file_unique_id": "u"}, sender_chat={"id": GROUP, "type": "supergroup"}
    )
    for replied in (photo, paper, own, anonymous):
        server.say(GROUP, "@test_bot what is this?", mention="@test_bot", sender=42, reply_to_message=replied)
    found = [quoted(message) for message in await rig.link.received(4)]
    assert found == [
        (f"[image: photo-{photo['message_id']}.jpg]", "7", [photo["photo"][1]["file_id"]]),
        ("[document: report.txt]", "7", [paper["document"]["file_id"]]),
        ("[voice: voice.ogg]", "", ["v"]),
        ("[document: document]", str(GROUP), ["d"]),
    ]


@pytest.mark.parametrize(
    ("origin", "author_id"),
    [
        ({"type": "user", "sender_user": person(7, "Eve"), "date": 1}, "7"),
        ({"type": "hidden_user", "sender_user_name": "Eve", "date": 1}, "hidden"),
        ({"type": "channel", "chat": {"id": -1009, "type": "channel", "title": "News"}, "message_id": 1, "date": 1}, "-1009"),
    ],
)
async def test_an_answer_to_a_message_of_another_chat_brings_it(rig: Rig, server: TelegramServer, origin: dict[str, Any], author_id: str):
    await rig.run()
    reply = {"origin": origin, "document": {"file_id": "f", "file_unique_id": "u", "file_name": "a.pdf"}}
    server.deliver("message", server.message(42, text="what?", external_reply=reply))
    (message,) = await rig.link.received(1)
    assert quoted(message) == ("[document: a.pdf]", author_id, ["f"])


async def test_a_group_that_becomes_a_supergroup_goes_on(rig: Rig, server: TelegramServer):
    channel = await rig.run()
    server.upgrade(-5, -100777)
    await server.until(lambda: not server.updates)
    assert set(rig.link.chats_moved) == {("-5", "-100777")}
    before = len([each for each in server.requests if each == "sendMessage"])
    await rig.send(channel, event("again", chat_id=-5))
    assert server.texts(-100777) == ["again"]
    assert len([each for each in server.requests if each == "sendMessage"]) == before + 1


async def test_a_refusal_that_names_the_new_group_is_kept_too(rig: Rig, server: TelegramServer):
    channel = await rig.run()
    server.upgraded["-5"] = -100777
    await rig.send(channel, event("hello", chat_id=-5))
    assert (server.texts(-100777), rig.link.chats_moved) == (["hello"], [("-5", "-100777")])


async def test_other_bots_are_heard_where_that_is_wished_and_never_for_ever(rig: Rig, server: TelegramServer):
    await rig.run(allowBots=True)

    def bot(text: str) -> None:
        words: dict[str, Any] = {"text": text, "entities": entities(text, [("mention", "@test_bot", {})])}
        server.deliver("message", server.message(GROUP, **words) | {"from": GENERAL_BOT})

    for number in range(10):
        bot(f"@test_bot {number}")
    server.deliver("message", server.message(42, text="my own words") | {"from": server.bot})
    server.say(GROUP, "@test_bot a person", mention="@test_bot", sender=42)
    for number in range(10):
        bot(f"@test_bot again {number}")
    server.say(99, "the last one")
    await rig.link.until(lambda: any(message.text == "the last one" for message in rig.link.messages))
    heard = [(message.text, message.sender.id, message.trusted) for message in rig.link.messages]
    assert heard == [
        *[(str(number), "777", False) for number in range(3)],
        ("a person", "42", True),
        *[(f"again {number}", "777", False) for number in range(3)],
        ("the last one", "99", True),
    ]


async def test_a_bot_that_edits_its_message_for_ever_is_heard_three_times(rig: Rig, server: TelegramServer):
    await rig.run(allowBots=True)
    words: dict[str, Any] = {"text": "@test_bot 0", "entities": entities("@test_bot 0", [("mention", "@test_bot", {})])}
    said = server.message(GROUP, **words) | {"from": GENERAL_BOT}
    server.deliver("message", said)
    for number in range(1, 9):
        server.edit(said, f"@test_bot {number}", after=number)
    server.say(99, "the last one")
    await rig.link.until(lambda: any(message.text == "the last one" for message in rig.link.messages))
    assert [message.text for message in rig.link.messages] == ["0", "1", "2", "the last one"]


async def test_a_new_connection_does_not_begin_the_count_of_bots_anew(rig: Rig, server: TelegramServer):
    channel = rig.open(allowBots=True)
    words: dict[str, Any] = {"text": "@test_bot again", "entities": entities("@test_bot again", [("mention", "@test_bot", {})])}
    for number in (1, 2):
        running = rig.start(channel)
        for _ in range(3):
            server.deliver("message", server.message(GROUP, **words) | {"from": GENERAL_BOT})
        server.say(99, f"the last one of {number}")
        await rig.link.until(lambda last=f"the last one of {number}": any(message.text == last for message in rig.link.messages))
        running.cancel()
        await asyncio.wait([running])
    assert [message.text for message in rig.link.messages] == ["again"] * 3 + ["the last one of 1", "the last one of 2"]
