"""/start /help /new /compact /stop /status /id: answered at once, once."""

import asyncio

import pytest

from assistant.contracts.inbox import COMMANDS
from assistant.inbound.phrases import HELP, NOTHING_TO_SUM_UP, SUMMED_UP, SUMMING_UP
from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import open_store
from assistant.testing.scripted import ScriptedModel
from tests.doubles.small_context import SmallContext
from tests.flow.inbound.chat import ALICE, BOB, said
from tests.flow.inbound.rig import Rig, words

REFUSE = "CREATE TRIGGER refuse BEFORE UPDATE ON turns BEGIN SELECT RAISE(ABORT, 'not now'); END"


@pytest.mark.parametrize(
    ("command", "told"), [("/start", "Hello"), ("/help", "/new"), ("/id", "`1`"), ("/status", "`scripted`"), ("/stop", "nothing to stop")]
)
async def test_a_command_is_answered_without_a_turn(rig: Rig, command: str, told: str) -> None:
    model = ScriptedModel()
    async with rig.server(model) as server:
        first, again = await server.hear(said(command, id="5"), said(command, id="5"))
        assert first == again
        (event,) = await server.told(1)
        assert told in event.text
        assert (await rig.store.inbox.waiting(), await server.kept()) == ([], [])
    assert model.requests == []


@pytest.mark.parametrize("command", COMMANDS)
async def test_every_command_that_is_offered_is_explained_and_answered_without_a_turn(rig: Rig, command: str) -> None:
    assert command == "start" or f"/{command} " in HELP
    async with rig.server(ScriptedModel()) as server:
        await server.hear(said(f"/{command}"))
        await server.told(1)
        assert await rig.store.inbox.waiting() == []


async def test_ids_are_those_of_chat_thread_and_sender(rig: Rig) -> None:
    async with rig.server(ScriptedModel()) as server:
        await server.hear(said("/id", BOB, group="-5", thread="7"))
        assert await server.texts(1) == ["- Chat: `-5`\n- Thread: `7`\n- You: `2`"]


async def test_an_unknown_command_and_a_machines_command_are_words_to_the_model(rig: Rig) -> None:
    model = ScriptedModel("ok")
    async with rig.server(model) as server:
        await server.hear(said("/etc/hosts is broken"), said("/stop", BOB, trusted=False))
        await server.told(2)
        assert words(await server.kept())[0] == "/etc/hosts is broken"
        assert words(await server.kept("chat:2", "chat:2"))[0] == "</stop>"


async def test_status_tells_what_is_and_more_to_the_owner(rig: Rig) -> None:
    model = ScriptedModel("one", "two")
    async with rig.server(model) as server, asyncio.timeout(30):
        await server.hear(said("1"))
        await server.told(1)
        model.gate.clear()
        await server.hear(said("2"))
        await model.asked_times(2)
        await server.hear(said("3"), said("/status", ALICE), said("/status", BOB), said("/status", ALICE, group="-5"))
        mine, bobs, groups = (await server.texts(4))[1:]
        model.gate.set()
        await server.told(6)
    assert "Messages in this conversation: 3" in mine
    assert "I am working" in mine
    assert "that wait for me here: 1" in mine
    assert "Channels: chat is connected" in mine
    assert "Channels" not in bobs + groups
    assert "not working" in bobs


async def test_stop_ends_the_turn_that_runs_and_what_waits_is_still_answered(rig: Rig) -> None:
    model = ScriptedModel(["It was ", "a dark night"], "The second.")
    model.gate.clear()
    async with rig.server(model) as server, asyncio.timeout(30):
        await server.hear(said("a story"))
        await model.asked_times(1)
        await server.hear(said("something else"), said("/stop", id="stop"))
        assert "I stopped what I was doing, and answer" in (await server.texts(1))[0]
        await model.asked_times(2)
        # What the platform delivers twice stops nothing else.
        await server.hear(said("/stop", id="stop"))
        model.gate.set()
        assert (await server.texts(2))[1] == "The second."
        assert words(await server.kept()) == ["a story", "", "something else", "The second."]


@pytest.mark.parametrize(("command", "told"), [("/stop", "I stopped what I was doing."), ("/new", "I stopped")])
async def test_a_stop_reaches_the_turn_of_another_process(rig: Rig, command: str, told: str) -> None:
    model = ScriptedModel(["It was ", "a dark night"])
    model.gate.clear()
    store = await open_store(StoreSettings(), rig.folder / "state", AttachmentSettings(), clock=rig.clock)
    async with rig.server(model) as server, rig.server(ScriptedModel(), store=store) as other, asyncio.timeout(20):
        await server.hear(said("a story"))
        await model.asked_times(1)
        await other.hear(said(command))
        assert told in (await other.texts(1))[0]
        while await other.turns.runs_elsewhere("chat:1", "chat:1"):  # noqa: ASYNC110 - it ends by itself
            await asyncio.sleep(0.01)
        await other.hear(said("/stop"))
        assert "nothing to stop" in (await other.texts(2))[1]
    await store.close()


async def test_a_new_conversation_sees_nothing_of_the_old_one(rig: Rig) -> None:
    model = ScriptedModel("I see.", "Hello.")
    async with rig.server(model) as server:
        await server.hear(said("my name is Alice"))
        await server.told(1)
        await server.hear(said("/new"))
        assert "new conversation" in (await server.texts(2))[1]
        await server.hear(said("who am I?"))
        await server.told(3)
        assert len(await server.kept()) == 4
    assert words(model.requests[-1].messages) == ["who am I?"]


async def test_a_new_conversation_stops_the_old_ones_turn_and_sees_nothing_of_its_end(rig: Rig) -> None:
    model = ScriptedModel("never said", "Hello.")
    model.gate.clear()
    async with rig.server(model) as server, asyncio.timeout(30):
        await server.hear(said("think hard"))
        await model.asked_times(1)
        await server.hear(said("/new"))
        assert "I stopped" in (await server.texts(1))[0]
        model.gate.set()
        await server.hear(said("who am I?"))
        assert (await server.texts(2))[1] == "Hello."
    assert words(model.requests[-1].messages) == ["who am I?"]
    async with rig.server(model) as server:
        await server.hear(said("and now?"))
        await server.told(3)
    assert words(model.requests[-1].messages) == ["who am I?", "Hello.", "and now?"]


async def test_a_stopped_turn_whose_end_the_store_did_not_take_is_stopped_again_and_not_answered(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    model = ScriptedModel("never said", "The next.")
    model.gate.clear()
    async with rig.server(model) as server, asyncio.timeout(20):
        await server.hear(said("a story"))
        await model.asked_times(1)
        await rig.store.database.write(lambda connection: connection.execute(REFUSE))
        await server.hear(said("/stop"))
        while "turn.failed" not in caplog.text:  # noqa: ASYNC110 - it fails by itself
            await asyncio.sleep(0.01)
        await rig.store.database.write(lambda connection: connection.execute("DROP TRIGGER refuse"))
        model.gate.set()
        await server.hear(said("something else"))
        assert await server.texts(2) == ["I stopped what I was doing.", "The next."]
    assert len(model.requests) == 2


async def test_a_chat_is_told_once_when_its_older_part_was_summed_up(rig: Rig) -> None:
    model = SmallContext(6_000)
    async with rig.server(model) as server:
        for number in range(30):
            await server.hear(said(f"{number} " + "we talked of the weather " * 20, id=str(number)))
            await server.until(lambda events, number=number: len(events) > number)
            if model.sums:
                break
        events = await server.until(lambda events: any(event.text == SUMMED_UP for event in events))
        assert [event.text for event in events].count(SUMMED_UP) == 1
        assert len(await rig.store.summaries.list("chat:1", "chat:1")) == 1


async def test_compact_sums_up_at_once_what_is_older(rig: Rig) -> None:
    model = SmallContext(100_000)
    async with rig.server(model) as server:
        await server.hear(said("/compact", id="a"))
        assert await server.texts(1) == [NOTHING_TO_SUM_UP]
        for number in range(8):
            await server.hear(said(f"My order {number} is KX-{number}881. " + "It rains. " * 30, id=str(number)))
            await server.told(number + 2)
        await server.hear(said("/compact", id="b"), said("/compact", id="b"))
        texts = await server.texts(11)
        assert texts[-2:] in ([SUMMING_UP, SUMMED_UP], [SUMMED_UP, SUMMING_UP])
        (made,) = await rig.store.summaries.list("chat:1", "chat:1")
        assert "KX-0881" in made.text
        await server.hear(said("and now?", id="c"))
        await server.told(12)
    assert "KX-0881" in words(model.prompts[-1])[0]
    assert await rig.store.summaries.list("chat:2", "chat:2") == []
