"""Embeds, components, polls, forwards and files of what is answered, as the model reads them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assistant.contracts.inbox import InboundMessage
from tests.doubles.discord_api.shapes import Payload
from tests.flow.discord.conftest import Kept, Rig, sending

EMBED = {
    "type": "rich",
    "title": "Build #17 failed",
    "url": "https://ci.example/17",
    "description": "unit tests: 3 failed",
    "author": {"name": "CI", "url": "https://ci.example"},
    "fields": [{"name": "branch", "value": "main"}, {"name": "by", "value": "ada", "inline": True}],
    "footer": {"text": "took 3 min"},
    "image": {"url": "https://ci.example/graph.png"},
    "provider": {"name": "Builder"},
    "timestamp": "2026-01-01T00:00:00+00:00",
}
READ = [
    "Builder",
    "[CI](https://ci.example)",
    "[Build #17 failed](https://ci.example/17)",
    "unit tests: 3 failed",
    "branch: main",
    "by: ada",
    "took 3 min",
    "[image: https://ci.example/graph.png]",
    "2026-01-01T00:00+00:00",
]
TEXT = {"type": 10, "content": "Deploy **done**"}
MEDIA = {"type": 12, "items": [{"media": {"url": "https://e.org/a.png"}, "description": "the graph"}]}
BUTTONS = {
    "type": 1,
    "components": [
        {"type": 2, "style": 5, "label": "Logs", "url": "https://e.org/l"},
        {"type": 2, "style": 1, "label": "Retry", "custom_id": "r"},
    ],
}
SELECT = {"type": 1, "components": [{"type": 3, "custom_id": "s", "placeholder": "Choose", "options": [{"label": "One", "value": "1"}]}]}
SECTION = {"type": 9, "components": [TEXT], "accessory": {"type": 11, "media": {"url": "https://e.org/t.png"}, "description": "thumb"}}
CONTAINER = {"type": 17, "components": [TEXT, {"type": 14}, SECTION, MEDIA]}
POLL = {
    "question": {"text": "Lunch?"},
    "answers": [{"answer_id": 1, "poll_media": {"text": "Pizza"}}, {"answer_id": 2, "poll_media": {"text": "Soup"}}],
    "expiry": "2026-01-01T00:00:00+00:00",
    "allow_multiselect": False,
    "layout_type": 1,
    "results": {
        "is_finalized": True,
        "answer_counts": [{"id": 1, "count": 3, "me_voted": False}, {"id": 2, "count": 1, "me_voted": False}],
    },
}
SAID: list[tuple[dict[str, Any], list[str]]] = [
    ({"embeds": [EMBED]}, READ),
    ({"embeds": [EMBED, {"type": "rich", "description": "the second"}]}, [*READ, "the second"]),
    ({"embeds": [{"type": "rich", "fields": [{"name": "only", "value": "fields"}]}]}, ["only: fields"]),
    ({"embeds": [{"type": "rich", "footer": {"text": "only a footer"}}]}, ["only a footer"]),
    (
        {"embeds": [{"type": "image", "url": "https://e.org/x.png", "thumbnail": {"url": "https://e.org/x.png"}}]},
        ["[image: https://e.org/x.png]"],
    ),
    ({"components": [TEXT], "flags": 1 << 15}, ["Deploy **done**"]),
    ({"components": [BUTTONS]}, ["Logs: https://e.org/l", "Retry"]),
    ({"components": [SELECT]}, ["Choose", "One"]),
    (
        {"components": [CONTAINER], "flags": 1 << 15},
        ["Deploy **done**", "thumb", "https://e.org/t.png", "the graph", "https://e.org/a.png"],
    ),
    ({"poll": POLL}, ["[poll (closed, 4 votes): Lunch?]", "- Pizza (3 votes)", "- Soup (1 votes)"]),
]


def quoted(message: InboundMessage) -> str:
    return message.quote.text if message.quote else ""


@pytest.mark.parametrize(("content", "lines"), SAID, ids=[f"{next(iter(each))}-{n}" for n, (each, _) in enumerate(SAID)])
async def test_what_others_say_is_read_where_it_is_answered_and_forwarded(rig: Rig, content: dict[str, Any], lines: list[str]) -> None:
    world = rig.api.world
    alice, ci = world.user("alice"), world.user("ci", bot=True)
    chat = world.dm(alice)
    async with rig.running() as (_, kept):
        said = world.write(chat, ci, "", **content)
        world.write(chat, alice, "what is this?", reply_to=said["id"])
        await kept.until(lambda: len(kept.messages) == 1)
        if "poll" not in content:  # a snapshot holds none
            shot: dict[str, Any] = {
                "type": 0,
                "content": "",
                "embeds": [],
                "attachments": [],
                "timestamp": said["timestamp"],
                "edited_timestamp": None,
            }
            forward: dict[str, Any] = {"message_reference": {"type": 1, "channel_id": chat["id"], "message_id": said["id"]}}
            snapshot: dict[str, Any] = {**shot, "flags": 0, "mentions": [], **content}
            world.write(chat, alice, "", **forward, message_snapshots=[{"message": snapshot}])
            await kept.until(lambda: len(kept.messages) == 2)
    answered, *forwarded = kept.messages.values()
    for text in [quoted(answered), *map(quoted, forwarded)]:
        assert all(line in text for line in lines), text
    assert (answered.text, answered.quote and answered.quote.author) == ("what is this?", "ci")
    assert all(message.quote is not None and message.quote.kind == "forward" and not message.text for message in forwarded)


async def test_a_preview_in_a_persons_message_is_material(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    async with rig.running() as (_, kept):
        world.write(world.dm(alice), alice, "see https://ci.example/17", embeds=[EMBED])
        (message,) = await kept.has("see https://ci.example/17")
    assert quoted(message) == "\n".join(READ)


async def test_the_files_of_what_is_answered_come_with_it(rig: Rig) -> None:
    world = rig.api.world
    alice, bob = world.user("alice"), world.user("bob")
    chat = world.dm(alice)
    sticker = {"id": "1187654321098765432", "name": "wave", "format_type": 1}
    async with rig.running() as (channel, kept):
        said = world.write(chat, bob, "", files=[("plan.txt", "text/plain", b"the plan")], sticker_items=[sticker])
        mine = await channel.send(_sent(chat))
        world.write(chat, alice, "this?", reply_to=said["id"])
        world.write(chat, alice, "and yours?", reply_to=str(mine.message_id))
        await kept.until(lambda: len(kept.messages) == 3)
        _, answered, own = kept.messages.values()
        assert answered.quote is not None
        assert own.quote is not None
        assert [(file.name, file.kind) for file in answered.quote.files] == [("plan.txt", "document"), ("wave", "sticker")]
        assert (answered.quote.author_id, own.quote.author_id) == (bob["id"], "")
        assert channel.conversation is not None
        world.expire_files()
        await channel.conversation.fetch(answered.quote.files[0], rig.media.folder / "fetched", 100)
    assert (rig.media.folder / "fetched").read_bytes() == b"the plan"


def _sent(chat: Payload) -> Any:
    return sending(chat, "mine")


async def test_other_bots_and_webhooks_are_heard_where_that_is_wished_and_never_for_ever(rig: Rig) -> None:
    world = rig.api.world
    alice, ci = world.user("alice"), world.user("ci", bot=True)
    room = world.text_channel(world.guild("Home"), "general")
    me = f"<@{world.me['id']}>"
    async with rig.running(allowBots=True) as (channel, kept):
        world.write(room, ci, f"{me} one", embeds=[EMBED])
        world.write(room, ci, f"{me} hook", webhook_id="1187654321098765432")
        for number in range(5):
            world.write(room, ci, f"{me} more {number}")
        await channel.send(_sent(room))
        world.write(room, alice, f"{me} a person")
        for number in range(5):
            world.write(room, ci, f"{me} again {number}")
        world.write(world.dm(alice), alice, "the last one")
        await kept.until(lambda: "the last one" in kept.texts)
    heard = [(message.text.splitlines()[0], message.trusted) for message in kept.messages.values()]
    assert heard == [
        ("one", False),
        ("hook", False),
        ("more 0", False),
        ("a person", True),
        *[(f"again {number}", False) for number in range(3)],
        ("the last one", True),
    ]
    assert "unit tests: 3 failed" in next(iter(kept.messages.values())).text


async def test_a_bot_that_edits_its_message_for_ever_is_heard_three_times(rig: Rig) -> None:
    world = rig.api.world
    alice, ci = world.user("alice"), world.user("ci", bot=True)
    room = world.text_channel(world.guild("Home"), "general")
    me = f"<@{world.me['id']}>"
    async with rig.running(allowBots=True) as (_, kept):
        board = world.write(room, ci, f"{me} 0")
        await kept.has("0")
        for number in range(1, 9):
            edited = datetime.now(UTC) + timedelta(seconds=number)
            world.edit(board, f"{me} {number}", edited_timestamp=edited.isoformat())
        world.write(world.dm(alice), alice, "the last one")
        await kept.until(lambda: "the last one" in kept.texts)
    assert (kept.texts[0], kept.texts[-1], len(kept.texts)) == ("0", "the last one", 4)


async def test_without_the_wish_no_bot_is_heard(rig: Rig) -> None:
    world = rig.api.world
    alice, ci = world.user("alice"), world.user("ci", bot=True)
    chat = world.dm(alice)
    async with rig.running(Kept()) as (_, kept):
        world.write(chat, ci, "from a bot")
        world.write(chat, alice, "from a person")
        await kept.has("from a person")
