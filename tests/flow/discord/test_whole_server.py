"""A real server with Discord: what people write is answered, also when the server was killed before it could."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.doubles.discord_api.server import DiscordApi
from tests.doubles.live_server import LiveServer, live_server, offline


@contextmanager
def served(api: DiscordApi, home: Path, *allowed: str) -> Generator[LiveServer]:
    channels = {"discord": api.settings(allowFrom=list(allowed))}
    with live_server(home, config={**offline(), "channels": channels}) as server:
        yield server


@asynccontextmanager
async def serving(api: DiscordApi, home: Path, *allowed: str) -> AsyncGenerator[LiveServer]:
    """Until it has a session with the gateway."""
    sessions = len(api.gateway.identified)
    server = served(api, home, *allowed)
    running = await asyncio.to_thread(server.__enter__)
    try:
        await api.until(lambda: len(api.gateway.identified) > sessions)
        yield running
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


async def test_what_people_write_is_answered_and_strangers_get_a_code(tmp_path: Path) -> None:
    async with DiscordApi() as api:
        world = api.world
        alice, eve = world.user("alice"), world.user("eve")
        room = world.text_channel(world.guild("Home"), "general")
        async with serving(api, tmp_path, alice["id"]):
            world.write(world.dm(alice), alice, "hello")
            asked = world.write(room, alice, f"<@{world.me['id']}> and here?")
            world.write(room, eve, f"<@{world.me['id']}> let me in")
            world.write(world.dm(eve), eve, "let me in")
            interaction = world.command(world.dm(alice), alice, "id")
            await api.until(lambda: len(world.ledger) == 4 and interaction in world.callbacks)
            await api.until(lambda: asked["id"] in {message for message, _ in world.reactions})  # beside the answers
    sent = {entry.channel_id: [one.content for one in world.ledger if one.channel_id == entry.channel_id] for entry in world.ledger}
    assert len(sent[world.dm(alice)["id"]]) == 2
    assert any(alice["id"] in text for text in sent[world.dm(alice)["id"]])
    [answer] = [entry for entry in world.ledger if entry.channel_id == room["id"]]
    assert int(answer.body["message_reference"]["message_id"]) == int(asked["id"])
    assert "pairing" in sent[world.dm(eve)["id"]][0].lower()


async def test_what_was_written_while_the_server_was_dead_is_answered_once(tmp_path: Path) -> None:
    async with DiscordApi() as api:
        world = api.world
        alice = world.user("alice")
        chat = world.dm(alice)
        async with serving(api, tmp_path, alice["id"]) as server:
            world.write(chat, alice, "one")
            await api.until(lambda: len(world.ledger) == 1)
            server.process.kill()
            await api.until(lambda: not api.gateway.connected)
        api.gateway.sessions.clear()
        world.write(chat, alice, "two")
        async with serving(api, tmp_path, alice["id"]):
            await api.until(lambda: len(world.ledger) == 2)
            world.write(chat, alice, "three")
            await api.until(lambda: len(world.ledger) == 3)
    assert len({entry.nonce for entry in world.ledger}) == 3


async def test_a_reminders_button_works_after_a_restart_and_goes_away(tmp_path: Path) -> None:
    async with DiscordApi() as api:
        world = api.world
        alice = world.user("alice")
        chat = world.dm(alice)
        async with serving(api, tmp_path, alice["id"]):
            world.write(chat, alice, "remind me in 1 second to stretch")
            await api.until(lambda: len(world.ledger) == 2)
        [reminder] = [entry for entry in world.ledger if entry.content == "stretch"]  # a slow server confirms it after its time
        done, *later = reminder.body["components"][0]["components"]
        assert [each["label"] for each in (done, *later)] == ["Done", "10 min", "1 h", "tomorrow"]
        async with serving(api, tmp_path, alice["id"]):
            interaction = world.press(reminder.message_id, alice, done["custom_id"])
            await api.until(lambda: reminder.shown == "stretch\n\n✓ Done" and interaction in world.callbacks)
            assert world.messages[chat["id"]][reminder.message_id]["components"] == []
            assert world.callbacks[interaction] == [{"type": 6}]
            world.command(chat, alice, "snooze", words="10m")
            await api.until(lambda: len(world.ledger) == 3)
    assert world.ledger[2].content == "There is no reminder here that waits for an answer."
