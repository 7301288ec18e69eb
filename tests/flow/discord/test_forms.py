"""Whatever form Discord refuses, the words arrive without it, the receipt says so, and a refusal has Discord's own words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assistant.contracts.channels import SendRefused, SendUnclear
from assistant.contracts.outbox import Button, OutboundPart
from tests.doubles.discord_api.limits import wrong_fields
from tests.doubles.discord_api.shapes import Payload
from tests.doubles.discord_api.world import MEDIA
from tests.flow.discord.conftest import Rig, event, sending


@pytest.fixture
def room(rig: Rig) -> Payload:
    return rig.api.world.text_channel(rig.api.world.guild("Home"), "general")


def refuse(rig: Rig, code: int, message: str, *, status: int = 400, times: int = 1, errors: Any = None) -> None:
    body = {"message": message, "code": code, **({"errors": errors} if errors else {})}
    rig.api.faults.add("answer", status=status, body=body, times=times)


WORDS = [
    (50008, 400, "Cannot send messages in a non-text channel"),
    (50083, 400, "Thread is archived"),
    (160005, 403, "Thread is locked"),
    (200000, 400, "Message was blocked by automatic moderation"),
    (200001, 400, "Title was blocked by automatic moderation"),
    (240000, 400, "Message blocked by harmful links filter"),
    (20009, 400, "Explicit content cannot be sent to the desired recipient(s)"),
    (50001, 403, "Missing Access"),
    (50013, 403, "Missing Permissions"),
    (50007, 403, "Cannot send messages to this user"),
    (40002, 403, "You need to verify your account in order to perform this action."),
    (40333, 403, "Cloudflare is blocking your request"),
    (20016, 400, "This action cannot be performed due to slowmode rate limit"),
    (99999, 400, "A new kind of refusal"),
]


@pytest.mark.parametrize(("code", "status", "said"), WORDS, ids=[str(code) for code, _, _ in WORDS])
async def test_a_refusal_has_discords_own_words(rig: Rig, room: Payload, code: int, status: int, said: str) -> None:
    refuse(rig, code, said, status=status, times=5)
    async with rig.open() as channel:
        with pytest.raises(SendRefused) as refused:
            await channel.send(sending(room))
    words = refused.value.trouble.words
    assert said.rstrip(".") in words
    assert f"code {code}" in words
    assert rig.api.world.ledger == []


async def test_nested_errors_are_told_on_one_line_and_without_the_token(rig: Rig, room: Payload) -> None:
    errors = {"content": {"_errors": [{"code": "X", "message": f"Not with token.of.bot\nin {'y' * 900}."}]}}
    refuse(rig, 50035, "Invalid Form Body", errors=errors, times=5)
    async with rig.open() as channel:
        with pytest.raises(SendRefused) as refused:
            await channel.send(sending(room))
    words = refused.value.trouble.words
    assert "In content: Not with [redacted] in yyy" in words
    assert "\n" not in words
    assert len(words) < 450


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        (40005, 413, "Request entity too large"),
        (50013, 403, "Missing Permissions"),
        (50046, 400, "Invalid file uploaded"),
        (1, 400, "What?"),
    ],
)
async def test_where_no_file_is_taken_the_words_arrive(rig: Rig, room: Payload, code: int, status: int, said: str) -> None:
    media = rig.media.add("plan.pdf", b"%PDF")
    part = OutboundPart(text="the words", plain="the words", media=(media,))
    refuse(rig, code, said, status=status)
    async with rig.open() as channel:
        receipt = await channel.send(sending(room, part=part))
    (entry,) = rig.api.world.ledger
    assert (entry.content, entry.files) == ("the words", ())
    assert receipt.notice == f"plan.pdf left out (Discord: {said}, code {code})"


async def test_of_several_files_those_go_that_are_taken(rig: Rig, room: Payload) -> None:
    media = tuple(rig.media.add(f"{number}.bin", bytes([number])) for number in range(3))
    part = OutboundPart(text="files", plain="files", media=media)
    refuse(rig, 40005, "Request entity too large", status=413)
    async with rig.open() as channel:
        receipt = await channel.send(sending(room, part=part))
    assert [(entry.content, [name for name, _ in entry.files]) for entry in rig.api.world.ledger] == [
        ("files", ["0.bin"]),
        ("", ["1.bin"]),
        ("", ["2.bin"]),
    ]
    assert receipt.message_id == rig.api.world.ledger[0].message_id
    assert receipt.notice.startswith("files sent one by one")


async def test_files_whose_answers_were_lost_are_no_album_when_they_come_again(rig: Rig, room: Payload) -> None:
    """The nonce of a file is never that of its album, though Discord takes few characters."""
    media = tuple(rig.media.add(f"{number}.bin", bytes([number])) for number in range(3))
    part = OutboundPart(text="files", plain="files", media=media)
    key = "a" * 23 + "0"
    refuse(rig, 40005, "Request entity too large", status=413)
    async with rig.open() as channel:
        await channel.send(sending(room, part=part, key=key))
    assert key not in [entry.body["nonce"] for entry in rig.api.world.ledger]
    refuse(rig, 40005, "Request entity too large", status=413)
    async with rig.open() as channel:
        await channel.send(sending(room, part=part, key=key, again=datetime.now(UTC)))
    assert [[name for name, _ in entry.files] for entry in rig.api.world.ledger] == [["0.bin"], ["1.bin"], ["2.bin"]]


async def test_files_that_go_one_by_one_keep_the_buttons(rig: Rig, room: Payload) -> None:
    media = tuple(rig.media.add(f"{number}.bin", bytes([number])) for number in range(3))
    part = OutboundPart(text="files", plain="files", media=media, buttons=((Button(text="Yes"),),))
    rig.api.faults.add("answer", status=413, body="<html>413 of a proxy</html>")
    async with rig.open() as channel:
        receipt = await channel.send(sending(room, part=part))
    sent = [(entry.content, len(entry.files), bool(entry.body.get("components"))) for entry in rig.api.world.ledger]
    assert sent == [("files", 1, True), ("", 1, False), ("", 1, False)]
    assert "buttons" not in receipt.notice


async def test_files_that_an_edit_can_not_bring_are_left_out_and_said(rig: Rig, room: Payload) -> None:
    media = tuple(rig.media.add(f"{number}.bin", bytes([number])) for number in range(2))
    body = {"message": "Request entity too large", "code": 40005}
    async with rig.open() as channel:
        preview = await channel.send(sending(room, "fil"))
        rig.api.faults.add("answer", "PATCH /channels/.*/messages/.*", status=413, body=body)
        part = OutboundPart(text="files", plain="files", media=media)
        receipt = await channel.send(sending(room, part=part, replaces=str(preview.message_id)))
    assert (receipt.message_id, rig.api.world.ledger[0].edits) == (preview.message_id, ["files"])
    assert receipt.notice == "0.bin, 1.bin left out (Discord: Request entity too large, code 40005)"


async def test_what_was_left_out_is_said_without_the_token(rig: Rig, room: Payload) -> None:
    part = OutboundPart(text="the words", plain="the words", media=(rig.media.add("plan.pdf", b"%PDF"),))
    refuse(rig, 50046, "Not with token.of.bot")
    async with rig.open() as channel:
        receipt = await channel.send(sending(room, part=part))
    assert receipt.notice == "plan.pdf left out (Discord: Not with [redacted], code 50046)"


@pytest.mark.parametrize("name", ["plain", "no files"])
async def test_what_arrived_without_what_was_refused_is_found_again(rig: Rig, room: Payload, name: str) -> None:
    media = (rig.media.add("a.bin", b"a"),) if name == "no files" else ()
    part = OutboundPart(text="**bold** words", plain="bold words", media=media, notice="b.bin left out: it is too large")
    refuse(rig, 50046 if media else 50035, "Invalid")
    async with rig.open() as channel:
        first = await channel.send(sending(room, part=part))
    rig.api.rest.nonce_seconds = 0
    async with rig.open() as channel:
        again = await channel.send(sending(room, part=part, again=datetime.now(UTC) - timedelta(seconds=90)))
    assert (again.message_id, len(rig.api.world.ledger)) == (first.message_id, 1)
    assert "b.bin left out: it is too large" in again.notice


@pytest.mark.parametrize("field", ["components.0.components.0.url", "components.0.components.0.custom_id", "components"])
async def test_buttons_that_are_refused_leave_their_addresses(rig: Rig, room: Payload, field: str) -> None:
    errors: Any = {"_errors": [{"code": "X", "message": "Not a well formed URL."}]}
    for name in reversed(field.split(".")):
        errors = {name: errors}
    refuse(rig, 50035, "Invalid Form Body", errors=errors)
    buttons = ((Button(text="open", url="https://e.org/a_b"), Button(text="Yes")),)
    async with rig.open() as channel:
        receipt = await channel.send(sending(room, part=OutboundPart(text="done", plain="done", buttons=buttons)))
    (entry,) = rig.api.world.ledger
    assert (entry.content, entry.body.get("components") or []) == ("done\n\nopen: https://e.org/a_b", [])
    assert receipt.notice.startswith("buttons left out: “open”, “Yes” (Discord: Invalid Form Body")


@pytest.mark.parametrize(
    ("code", "said"), [(10008, "Unknown Message"), (160002, "Cannot reply without permission to read message history")]
)
async def test_a_reference_that_is_refused_is_left_out_and_said(rig: Rig, room: Payload, code: int, said: str) -> None:
    refuse(rig, code, said, status=403)
    async with rig.open() as channel:
        receipt = await channel.send(sending(room, reply_to="1187654321098765432"))
    assert receipt.notice == f"sent without the reference to the message that it answers (Discord: {said}, code {code})"
    assert len(rig.api.world.ledger) == 1


@pytest.mark.parametrize("archived", [True, False])
async def test_a_locked_threads_message_goes_to_its_channel(rig: Rig, room: Payload, archived: bool) -> None:
    thread = rig.api.world.thread(room, "topic")
    thread["thread_metadata"] |= {"locked": True, "archived": archived}
    async with rig.open() as channel:
        receipt = await channel.send(sending(room, thread=thread["id"]))
    assert [entry.channel_id for entry in rig.api.world.ledger] == [room["id"]]
    assert receipt.notice.startswith("sent to the chat and not to its topic (Discord: Thread is ")


@pytest.mark.parametrize("refuses", [True, False])
async def test_an_archived_thread_is_opened_again(rig: Rig, room: Payload, refuses: bool) -> None:
    rig.api.rest.archived_threads_refuse = refuses
    thread = rig.api.world.thread(room, "topic")
    thread["thread_metadata"]["archived"] = True
    async with rig.open() as channel:
        receipt = await channel.send(sending(room, thread=thread["id"]))
    assert ([entry.channel_id for entry in rig.api.world.ledger], receipt.notice) == ([thread["id"]], "")
    assert not thread["thread_metadata"]["archived"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("idea", "idea"),
        ("# A *title*\n\nand words", "A title"),
        ("\n\n> quoted first\nmore", "quoted first"),
        ("x" * 300, "x" * 99 + "…"),
        ("```\ncode\n```", "code"),
        ("- item\n- item", "item"),
    ],
)
async def test_a_message_to_a_forum_opens_a_post(rig: Rig, text: str, name: str) -> None:
    forum = rig.api.world.forum(rig.api.world.guild("Home"), "ideas")
    async with rig.open() as channel:
        [part] = channel.plan(event(text))
        receipt = await channel.send(sending(forum, part=part))
        thread = rig.api.world.channels[str(receipt.message_id)]
        assert (thread["name"], thread["parent_id"]) == (name, forum["id"])
        await channel.send(sending(forum, "an answer", thread=thread["id"], key="key2"))
    assert [entry.channel_id for entry in rig.api.world.ledger] == [thread["id"]] * 2
    assert rig.api.world.ledger[0].content == part.text
    assert not rig.api.world.ledger[0].pings


async def test_a_long_message_to_a_media_channel_is_one_post(rig: Rig) -> None:
    forum = rig.api.world.forum(rig.api.world.guild("Home"), "pictures", kind=MEDIA, tags=("a", "b"), needs_tag=True)
    media = rig.media.add("a.png", b"png", "image/png")
    made = event("word " * 900, media=(media,), buttons=((Button(text="Yes"),),))
    async with rig.open() as channel:
        first = None
        for place, part in enumerate(channel.plan(made)):
            receipt = await channel.send(sending(forum, part=part, key=f"key{place}", first=first))
            first = first or receipt.message_id
    assert {entry.channel_id for entry in rig.api.world.ledger} == {first}
    thread = rig.api.world.channels[str(first)]
    assert thread["applied_tags"] == [forum["available_tags"][0]["id"]]
    assert [len(entry.files) for entry in rig.api.world.ledger] == [0, 0, 1]


async def test_a_tag_that_is_suddenly_needed_is_given(rig: Rig) -> None:
    forum = rig.api.world.forum(rig.api.world.guild("Home"), "ideas", tags=("a",))
    body = {"message": "A tag is required to create a forum post in this channel", "code": 40067}
    rig.api.faults.add("answer", "POST /channels/.*/threads", status=400, body=body)
    async with rig.open() as channel:
        receipt = await channel.send(sending(forum))
    assert rig.api.world.channels[str(receipt.message_id)]["applied_tags"] == [forum["available_tags"][0]["id"]]


async def test_a_post_whose_answer_was_lost_is_found_again(rig: Rig) -> None:
    forum = rig.api.world.forum(rig.api.world.guild("Home"), "ideas")
    rig.api.faults.add("reset_after", "POST /channels/.*/threads", times=2)
    before = datetime.now(UTC)
    async with rig.open() as channel:
        with pytest.raises(SendUnclear):
            await channel.send(sending(forum))
        rig.api.faults.clear()
        posts = len(rig.api.world.ledger)
        receipt = await channel.send(sending(forum, again=before))
    assert len(rig.api.world.ledger) == posts
    assert receipt.message_id in {entry.message_id for entry in rig.api.world.ledger}


TOO_MUCH: list[tuple[dict[str, Any], list[tuple[str, bytes]]]] = [
    ({"content": "x" * 2001}, []),
    ({"content": "x", "nonce": "n" * 26}, []),
    ({"content": "x"}, [("a", b"1")] * 11),
    ({"content": "x"}, [("a", bytes(10 * 1024 * 1024 + 1))]),
    ({"content": "x"}, [("a", bytes(9 * 1024 * 1024))] * 3),
    ({"content": "x", "embeds": [{"title": "t"}] * 11}, []),
    ({"content": "x", "embeds": [{"description": "t" * 4000}] * 2}, []),
    ({"content": "x", "embeds": [{"title": "t" * 257}]}, []),
    ({"content": "x", "embeds": [{"fields": [{}] * 26}]}, []),
    ({"content": "x", "components": [{"components": [{"style": 2, "label": "a", "custom_id": str(n)}]} for n in range(6)]}, []),
    ({"content": "x", "components": [{"components": [{"style": 2, "label": "a", "custom_id": str(n)} for n in range(6)]}]}, []),
    ({"content": "x", "components": [{"components": [{"style": 2, "label": "a" * 81, "custom_id": "1"}]}]}, []),
    ({"content": "x", "components": [{"components": [{"style": 2, "label": "a", "custom_id": "1" * 101}]}]}, []),
    ({"content": "x", "components": [{"components": [{"style": 2, "label": "a", "custom_id": "1"}] * 2}]}, []),
    ({"content": "x", "components": [{"components": [{"style": 2, "label": " ", "custom_id": "1"}]}]}, []),
    ({"content": "x", "components": [{"components": [{"style": 5, "label": "a", "url": "ftp://e.org"}]}]}, []),
    ({"content": "x", "components": [{"components": [{"style": 5, "label": "a", "url": "https://e.org/" + "x" * 512}]}]}, []),
]


@pytest.mark.parametrize(("body", "files"), TOO_MUCH)
def test_the_stand_in_is_as_strict_as_discord(body: Payload, files: list[tuple[str, bytes]]) -> None:
    assert wrong_fields(body, files) is not None
    assert wrong_fields({"content": "x"}, []) is None
