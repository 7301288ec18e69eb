"""What people write to a bot, as the assistant gets it."""

from typing import Any

import pytest

from assistant.contracts.inbox import COMMANDS, Command, InboundMessage, Quote
from tests.doubles.telegram_api.chats import GENERAL_BOT, entity, person
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.telegram.rig import Rig

GROUP = -1001234567890


async def one(rig: Rig) -> InboundMessage:
    (message,) = await rig.link.received(1)
    return message


async def nothing_but(rig: Rig, server: TelegramServer, expected: int = 0) -> None:
    """A message that surely comes through is sent behind; what came before it is all there is."""
    server.say(99, "the last one")
    await rig.link.until(lambda: any(message.text == "the last one" for message in rig.link.messages))
    assert len(rig.link.messages) == expected + 1


async def test_words_arrive_with_their_sender_and_chat(rig: Rig, server: TelegramServer):
    await rig.run()
    said = server.say(42, "hello", name="Ada")
    message = await one(rig)
    assert (message.text, message.sender.id, message.sender.name, message.private) == ("hello", "42", "Ada", True)
    assert (message.address.chat_id, message.address.thread_id) == ("42", None)
    assert (message.external_id, message.message_id) == (f"42:{said['message_id']}", str(said["message_id"]))
    assert message.at.tzinfo is not None
    assert message.at.timestamp() == said["date"]
    assert message.trusted


async def test_halves_of_characters_and_hidden_ones_do_no_harm(rig: Rig, server: TelegramServer):
    await rig.run()
    server.say(42, "a\ud800b\u202ec", name="\udfff" * 200)
    message = await one(rig)
    assert (message.text, message.sender.name) == ("a\ufffdb\u202ec", "\ufffd" * 128)


async def test_the_commands_are_registered_and_parsed(rig: Rig, server: TelegramServer):
    await rig.run()
    assert [command["command"] for command in server.commands] == list(COMMANDS)
    server.say(42, "/new")
    server.say(42, "/Start@TEST_bot deep  link\nx")
    server.say(42, "/etc/hosts is a file")
    server.say(42, "/stop@other_bot")
    await nothing_but(rig, server, 3)
    assert [message.command for message in rig.link.messages[:3]] == [
        Command(name="new"),
        Command(name="start", arguments="deep  link\nx"),
        None,
    ]


async def test_a_photo_comes_in_its_largest_size_with_its_caption(rig: Rig, server: TelegramServer):
    await rig.run()
    server.photo(42, b"\xff\xd8\xff large", caption="look")
    message = await one(rig)
    (file,) = message.files
    assert (message.text, file.kind, file.media_type, file.size) == ("look", "image", "image/jpeg", 9)
    assert server.files[file.ref][1] == b"\xff\xd8\xff large"


@pytest.mark.parametrize(
    ("field", "content", "kind", "name"),
    [
        ("document", {"file_name": "../a/report.pdf", "mime_type": "application/pdf"}, "document", "report.pdf"),
        ("voice", {"duration": 2, "mime_type": "audio/ogg"}, "voice", "voice.ogg"),
        ("audio", {"duration": 2, "file_name": "song.mp3"}, "audio", "song.mp3"),
        ("video", {"duration": 2, "width": 1, "height": 1}, "video", "video.mp4"),
        ("video_note", {"duration": 2, "length": 1}, "voice", "video-note.mp4"),
        (
            "sticker",
            {"width": 1, "height": 1, "is_animated": False, "is_video": False, "type": "regular", "emoji": "😀"},
            "sticker",
            "sticker.webp",
        ),
        ("animation", {"duration": 2, "width": 1, "height": 1, "file_name": "cat.mp4"}, "video", "cat.mp4"),
    ],
)
async def test_every_kind_of_file_arrives(rig: Rig, server: TelegramServer, field: str, content: dict[str, Any], kind: str, name: str):
    await rig.run()
    body = {"file_id": "f1", "file_unique_id": "u1", "file_size": 7, **content}
    server.deliver("message", server.message(42) | {field: body})
    (file,) = (await one(rig)).files
    assert (file.kind, file.name, file.ref, file.size) == (kind, name, "f1", 7)


async def test_an_album_is_one_message(rig: Rig, server: TelegramServer):
    await rig.run()
    sent = server.album(42, ["the first", None, "the last"])
    server.say(42, "after it")
    album, after = (await rig.link.received(2))[:2]
    assert (album.text, len(album.files), after.text) == ("the first\nthe last", 3, "after it")
    assert album.external_id == f"42:{sent[0]['message_id']}-{sent[-1]['message_id']}"


async def test_an_album_that_comes_in_two_answers_is_one_message(rig: Rig, server: TelegramServer):
    await rig.run()
    server.photo(42, media_group_id="a")
    polls = len(server.asked_offsets)
    await server.until(lambda: len(server.asked_offsets) > polls)  # it was given out once
    server.photo(42, media_group_id="a", caption="both")
    server.say(43, "another chat does not wait")
    await rig.link.received(2)
    assert [(message.text, len(message.files)) for message in rig.link.messages] == [("another chat does not wait", 0), ("both", 2)]
    await nothing_but(rig, server, 2)
    await server.until(lambda: not server.updates)


async def test_an_album_that_was_not_accepted_comes_again_whole(rig: Rig, server: TelegramServer):
    rig.link.refuse = 1
    await rig.run()
    server.album(42, ["one", "two"])
    message = await one(rig)
    assert (message.text, len(message.files)) == ("one\ntwo", 2)


async def test_a_reply_brings_what_it_quotes(rig: Rig, server: TelegramServer):
    await rig.run()
    first = server.message(42, sender=43, name="Bob", text="the whole sentence")
    server.say(42, "why?", reply_to_message=first)
    server.say(42, "and this?", reply_to_message=first, quote={"text": "whole", "position": 4})
    whole, part = await rig.link.received(2)
    assert whole.quote == Quote(text="the whole sentence", author="Bob", author_id="43")
    assert part.quote == Quote(text="whole", author="Bob", author_id="43")


async def test_forwarded_words_are_not_the_senders_own(rig: Rig, server: TelegramServer):
    await rig.run()
    origin = {"type": "user", "date": 1, "sender_user": person(7, "Eve")}
    server.say(42, "/new do as I say", forward_origin=origin)
    message = await one(rig)
    assert (message.text, message.command) == ("", None)
    assert message.quote == Quote(text="/new do as I say", author="Eve", kind="forward")


async def test_a_topic_is_a_thread_and_what_made_it_is_no_quote(rig: Rig, server: TelegramServer):
    await rig.run(groups="all")
    made = server.message(GROUP, sender=42, forum_topic_created={"name": "topic", "icon_color": 1})
    server.say(GROUP, "hi", sender=42, topic=5, reply_to_message=made)
    message = await one(rig)
    assert (message.address.chat_id, message.address.thread_id, message.quote, message.private) == (str(GROUP), "5", None, False)


async def test_in_a_topic_that_the_bot_made_not_everything_is_an_answer_to_it(rig: Rig, server: TelegramServer):
    await rig.run()
    made = server.message(GROUP, forum_topic_created={"name": "topic", "icon_color": 1}) | {"from": server.bot}
    server.say(GROUP, "not for you", sender=42, topic=5, reply_to_message=made)
    await nothing_but(rig, server)


async def test_an_edit_arrives_once_if_it_changes_the_text(rig: Rig, server: TelegramServer):
    await rig.run()
    said = server.say(42, "helo")
    server.edit(said, "helo", after=1)  # a link preview was loaded
    edited = server.edit(said, "hello", after=2)
    server.edit(said, "hello", after=3)
    await nothing_but(rig, server, 2)
    assert [message.text for message in rig.link.messages[:2]] == ["helo", "hello"]
    assert rig.link.messages[1].external_id == f"42:{said['message_id']}:{edited['edit_date']}"


async def test_in_groups_only_what_is_meant_for_the_bot_is_heard(rig: Rig, server: TelegramServer):
    await rig.run()
    mine = server.message(GROUP, text="yes?") | {"from": server.bot}
    server.say(GROUP, "not for you", sender=42)
    server.say(GROUP, "hey @TEST_bot, what is it?", sender=42, mention="@TEST_bot")
    server.say(GROUP, "@test_bot: go", sender=42, mention="@test_bot")
    server.say(GROUP, "@test_bot_two go", sender=42, mention="@test_bot_two")
    server.say(GROUP, "an answer", sender=42, reply_to_message=mine)
    server.say(GROUP, "/status", sender=42)
    server.say(GROUP, "/unknown", sender=42)
    server.say(GROUP, "/weather@test_bot here", sender=42)
    server.photo(GROUP, sender=42, caption="@test_bot see", caption_entities=[entity("mention", "@test_bot see", "@test_bot")])
    named = [{**entity("text_mention", "Bot, hi", "Bot"), "user": server.bot}]
    server.deliver("message", server.message(GROUP, sender=42, text="Bot, hi", entities=named))
    await nothing_but(rig, server, 7)
    texts = [message.text for message in rig.link.messages[:7]]
    assert texts == ["hey, what is it?", "go", "an answer", "/status", "/weather here", "see", "Bot, hi"]
    assert rig.link.messages[4].command == Command(name="weather", arguments="here")


async def test_groups_are_heard_wholly_or_not_at_all_where_the_settings_say_so(rig: Rig, server: TelegramServer):
    await rig.run(groupPolicy="open")
    server.say(GROUP, "anything", sender=42)
    assert (await one(rig)).text == "anything"
    await rig.stop()
    await rig.run(groups="off")
    server.say(GROUP, "@test_bot hello", sender=42, mention="@test_bot")
    await nothing_but(rig, server, 1)


async def test_an_admin_who_hides_behind_the_group_is_known_by_the_group(rig: Rig, server: TelegramServer):
    await rig.run(groups="all")
    hidden = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
    message = server.message(GROUP, text="I am many", sender_chat={"id": GROUP, "type": "supergroup", "title": "The group"})
    server.deliver("message", {**message, "from": hidden})
    assert (await one(rig)).sender.id == str(GROUP)


async def test_bots_channels_and_notices_are_not_heard(rig: Rig, server: TelegramServer):
    await rig.run(groups="all")
    server.deliver("message", {**server.message(GROUP, text="beep"), "from": GENERAL_BOT})
    server.deliver("channel_post", server.message(-1005, text="news"))
    server.deliver("message", server.message(GROUP, sender=42, new_chat_members=[person(7)]))
    server.deliver("message", {**server.message(GROUP, sender=42, text="news", is_automatic_forward=True)})
    await nothing_but(rig, server)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"location": {"latitude": 52.5, "longitude": 13.25}}, "[location: 52.500000, 13.250000]"),
        (
            {"venue": {"location": {"latitude": 1.0, "longitude": 2.0}, "title": "Cafe", "address": "Street 1"}},
            "[place: Cafe, Street 1 (1.000000, 2.000000)]",
        ),
        ({"contact": {"phone_number": "+49 1", "first_name": "Bob", "last_name": "B"}}, "[contact: Bob B, +49 1]"),
        ({"dice": {"emoji": "🎲", "value": 4}}, "[dice 🎲: 4]"),
        (
            {
                "poll": {
                    "id": "1",
                    "question": "Tea?",
                    "options": [
                        {"text": "yes", "voter_count": 0, "persistent_id": "1"},
                        {"text": "no", "voter_count": 0, "persistent_id": "2"},
                    ],
                    "total_voter_count": 0,
                    "is_closed": False,
                    "is_anonymous": True,
                    "type": "regular",
                    "allows_multiple_answers": False,
                    "allows_revoting": True,
                    "members_only": False,
                }
            },
            "[poll: Tea?]\n- yes\n- no",
        ),
    ],
)
async def test_what_has_no_text_arrives_in_words(rig: Rig, server: TelegramServer, content: dict[str, Any], words: str):
    await rig.run()
    server.deliver("message", server.message(42, **content))
    assert (await one(rig)).text == words
