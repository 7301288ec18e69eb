"""A server that is killed, or ends, in the middle: what was accepted is answered by the next one, and nothing is done twice."""

import asyncio
from pathlib import Path

import pytest

from assistant.contracts.messages import AssistantMessage
from assistant.testing.scripted import ScriptedModel
from tests.doubles.forked import forked_script
from tests.flow.inbound.chat import Chat, said
from tests.flow.inbound.rig import Rig, words
from tests.flow.inbound.server_process import ANSWER, SENDS, Send, question

SCRIPT = Path(__file__).with_name("server_process.py")


async def killed(where: str, folder: Path) -> None:
    """Run a server on the store up to this point, and kill it."""
    async with forked_script(SCRIPT, where, str(folder)) as script, asyncio.timeout(30):
        assert await script.stdout.readline()


@pytest.mark.parametrize("where", ["accepted", "first", "tool", "second"])
async def test_a_killed_servers_turn_is_gone_on_with_and_everything_happens_once(rig: Rig, where: str) -> None:
    await killed(where, rig.folder)
    model = ScriptedModel(ANSWER) if where == "second" else ScriptedModel(SENDS, ANSWER)
    async with rig.server(model, tools=[Send(rig.store)]) as server:
        # The platform, which was not told, delivers it again.
        await server.hear(question())
        events = await server.told(2)
        assert [(str(event.address), event.text) for event in events] == [
            ("chat:9", "the tool's message"),
            ("chat:1", f"I send it.\n\n{ANSWER}"),
        ]
        assert words(await server.kept()) == ["send it", "I send it.", "queued", ANSWER]
        await server.hear(said("and now?"))
        await server.told(3)
    assert words(model.requests[-1].messages)[:4] == ["send it", "I send it.", "queued", ANSWER]


async def test_what_killed_the_server_twice_is_set_aside_and_its_sender_told(rig: Rig) -> None:
    await killed("first", rig.folder)
    await killed("second", rig.folder)
    model = ScriptedModel("Here I am.")
    async with rig.server(model, tools=[Send(rig.store)]) as server:
        events = await server.told(2)
        notice = events[-1]
        assert (str(notice.address), notice.origin.kind) == ("chat:1", "notice")
        assert "broke down over it twice" in notice.text
        mark = (await server.kept())[-1]
        assert isinstance(mark, AssistantMessage)
        assert mark.cut_off == "interrupted"
        await server.hear(said("are you there?"))
        assert (await server.texts(3))[-1] == "Here I am."
    assert len(model.requests) == 1


async def test_a_server_that_ends_in_order_hands_its_turn_back_however_often(rig: Rig) -> None:
    model = ScriptedModel(["Half ", "an answer."])
    model.gate.clear()
    for number in range(1, 5):
        async with rig.server(model) as server, asyncio.timeout(30):
            if number == 1:
                await server.hear(said("a question"))
            await model.asked_times(number)
            await server.stop()
            assert words(await server.kept()) == ["a question"]
            assert await server.told(0) == []
    model.gate.set()
    async with rig.server(model) as server:
        assert await server.texts(1) == ["Half an answer."]
        assert words(await server.kept()) == ["a question", "Half an answer."]


async def test_a_server_that_ends_lets_its_turns_end_within_the_grace(rig: Rig) -> None:
    model = ScriptedModel("in time")
    model.gate.clear()
    async with rig.server(model) as server, asyncio.timeout(30):
        await server.hear(said("a question"))
        await model.asked_times(1)
        stopping = asyncio.create_task(server.stop(grace=5))
        await server.hear(said("too late for this server", id="late"))
        model.gate.set()
        await stopping
        assert await server.texts(1) == ["in time"]
    async with rig.server(ScriptedModel("by the next one")) as server:
        assert await server.texts(2) == ["in time", "by the next one"]


async def test_an_end_that_the_store_does_not_take_is_tried_again(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    model = ScriptedModel("kept after all")
    model.gate.clear()
    async with rig.server(model) as server, asyncio.timeout(20):
        await server.hear(said("a question"))
        await model.asked_times(1)
        await rig.store.database.write(lambda connection: connection.execute("ALTER TABLE turns RENAME TO gone"))
        model.gate.set()
        while "turn.failed" not in caplog.text:  # noqa: ASYNC110 - it fails by itself
            await asyncio.sleep(0.01)
        await rig.store.database.write(lambda connection: connection.execute("ALTER TABLE gone RENAME TO turns"))
        assert await server.texts(1) == ["kept after all"]
        assert words(await server.kept()) == ["a question", "kept after all"]


async def test_an_answer_made_again_takes_the_place_of_the_preview_that_a_dead_server_left(rig: Rig) -> None:
    model = ScriptedModel(["Once ", "upon a time"])
    model.gate.clear()
    first = Chat(previews=True)
    async with rig.server(model, chat=first) as server, asyncio.timeout(30):
        await server.hear(said("a story"))
        while not first.previews or not first.previews[0].shown:  # noqa: ASYNC110 - it grows by itself
            await asyncio.sleep(0.005)
    model.gate.set()
    second = Chat(previews=True)
    async with rig.server(model, chat=second) as server:
        (event,) = await server.told(1)
        assert (event.text, event.replaces) == ("Once upon a time", "p1")
        assert second.previews[0].took_over == "p1"
