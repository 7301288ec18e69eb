"""Who may write: configured ids and senders that the owner approved; strangers get a code and nothing more."""

import asyncio
import re
from datetime import timedelta

import pytest

from assistant.access.recipients import Senders
from assistant.contracts.channels import ChannelSettings
from assistant.contracts.inbox import Command, Sender
from assistant.store.links import CODE_ALPHABET
from assistant.testing.scripted import ScriptedModel
from tests.flow.inbound.chat import ALICE, BOB, EVE, said
from tests.flow.inbound.rig import Rig, Server, words

NOBODY = {"chat": ChannelSettings(enabled=True)}


async def code(server: Server, told: int = 1) -> str:
    found = re.search(r"`([A-Z0-9]{8})`", (await server.texts(told))[-1])
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("allow_from", "owners", "sender", "expected"),
    [
        ((), (), "1", "stranger"),
        (("1",), (), "1", "user"),
        (("1",), (), "11", "stranger"),
        (("Alice",), (), "1", "stranger"),
        (("*",), (), "anybody", "user"),
        ((), ("1",), "1", "owner"),
        (("*",), ("1",), "1", "owner"),
        ((), ("*",), "1", "stranger"),
        ((), ("*",), "*", "stranger"),
        (("",), (), "", "stranger"),
    ],
)
async def test_standing_goes_by_ids_that_are_written_out(
    rig: Rig, allow_from: tuple[str, ...], owners: tuple[str, ...], sender: str, expected: str
) -> None:
    senders = Senders({"chat": ChannelSettings(enabled=True, allow_from=allow_from, owners=owners)}, rig.store.pairings)
    assert await senders.standing("chat", sender) == expected
    assert await senders.standing("another", sender) == "stranger"


async def test_a_channel_with_a_secret_of_its_own_lets_everybody_in_who_showed_it(rig: Rig) -> None:
    class Secured(ChannelSettings):
        let_in_by_secret = True

    assert await Senders({"hook": Secured(enabled=True)}, rig.store.pairings).standing("hook", "ci") == "user"


async def test_a_stranger_gets_a_code_and_nothing_of_the_message_is_kept(rig: Rig) -> None:
    model = ScriptedModel("Welcome.")
    async with rig.server(model, channels=NOBODY) as server:
        assert await server.hear(said("my secret words", EVE)) == [""]
        (notice,) = await server.told(1)
        assert (str(notice.address), notice.origin.kind) == ("chat:666", "pairing")
        assert set(await code(server)) <= set(CODE_ALPHABET)
        assert "secret" not in notice.text
        assert await rig.store.inbox.waiting() == []
        assert await rig.store.sessions.list(None) == []
    assert model.requests == []


async def test_who_was_approved_may_write_and_the_others_still_not(rig: Rig) -> None:
    model = ScriptedModel("Welcome.")
    async with rig.server(model, channels=NOBODY) as server:
        await server.hear(said("let me in", EVE))
        assert await rig.store.pairings.approve((await code(server)).lower(), server.clock()) is not None
        await server.hear(said("hello", EVE), said("hello", BOB))
        events = await server.told(3)
        assert {(str(event.address), event.origin.kind) for event in events[1:]} == {("chat:666", "reply"), ("chat:2", "pairing")}
        assert words(await server.kept("chat:666", "chat:666")) == ["hello", "Welcome."]
        assert await rig.store.pairings.revoke("chat", "666")
        server.clock.turn(timedelta(minutes=11))
        await server.hear(said("again", EVE))
        assert (await server.told(4))[-1].origin.kind == "pairing"


async def test_a_stranger_is_told_once_in_ten_minutes_also_by_a_server_that_was_started_anew(rig: Rig) -> None:
    async with rig.server(ScriptedModel(), channels=NOBODY) as server:
        await server.hear(*[said("?", EVE) for _ in range(5)])
        first = await code(server)
    rig.clock.turn(timedelta(minutes=5))
    async with rig.server(ScriptedModel(), channels=NOBODY) as server:
        await server.hear(said("?", EVE))
        assert await code(server) == first
    async with rig.server(ScriptedModel(), channels=NOBODY) as server:
        server.clock.turn(timedelta(minutes=6))
        await server.hear(said("?", EVE))
        assert await code(server, 2) == first
        server.clock.turn(timedelta(minutes=50))
        await server.hear(said("?", EVE))
        assert await code(server, 3) != first


async def test_three_codes_are_open_at_once_and_the_next_stranger_hears_nothing(rig: Rig) -> None:
    async with rig.server(ScriptedModel(), channels=NOBODY) as server:
        await server.hear(*[said("?", Sender(id=str(number), name="Alice")) for number in range(10, 15)])
        assert [str(event.address) for event in await server.told(3)] == ["chat:10", "chat:11", "chat:12"]
        server.clock.turn(timedelta(minutes=61))
        await server.hear(said("?", Sender(id="14", name="Alice")))
        assert str((await server.told(4))[-1].address) == "chat:14"


async def test_strangers_in_groups_and_machines_hear_nothing(rig: Rig) -> None:
    model = ScriptedModel("Yes?")
    async with rig.server(model) as server:
        assert await server.hear(said("hi", EVE, group="-5"), said("hi", EVE, trusted=False)) == ["", ""]
        await server.hear(said("hi", ALICE, group="-5"))
        assert [event.origin.kind for event in await server.told(1)] == ["reply"]
    assert len(model.requests) == 1


@pytest.mark.parametrize("name", ["id", "status", "start", "new"])
async def test_a_strangers_command_is_a_strangers_message(rig: Rig, name: str) -> None:
    async with rig.server(ScriptedModel(), channels=NOBODY) as server:
        message = said(f"/{name}", EVE)
        assert message.command == Command(name=name)
        await server.hear(message)
        assert [event.origin.kind for event in await server.told(1)] == ["pairing"]


async def test_a_name_like_a_friends_opens_nothing(rig: Rig) -> None:
    async with rig.server(ScriptedModel()) as server, asyncio.timeout(30):
        assert await server.hear(said("it is me", Sender(id="666", name="1"))) == [""]
