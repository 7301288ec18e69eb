"""Processes that die, compete or run out of disk: what the store has said is stored is there, and what was cut off says so."""

import asyncio
from pathlib import Path

import pytest

from assistant.contracts.messages import AssistantMessage, Message, UserMessage
from assistant.store.store import Store

from .conftest import Opener
from .other_process import WRITES
from .processes import all_lines, kill, line, other_process, remaining_lines
from .said import answer, turn


async def recovered(store: Store) -> int:
    """What `recover` settles; a server needs a moment to notice that a client has died."""
    for _ in range(500):
        if settled := await store.sessions.recover():
            return settled
        await asyncio.sleep(0.02)
    return 0


async def messages(store: Store) -> list[Message]:
    return [stored.message for stored in await store.sessions.messages("anna", "api:one")]


async def test_a_turn_cut_off_by_a_kill_keeps_the_users_words_and_says_so(open_again: Opener, url: str, tmp_path: Path) -> None:
    async with other_process("begin", url, tmp_path) as process:
        assert await line(process) == "begun"
        await kill(process)
    store = await open_again()
    assert await recovered(store) == 1
    said, mark = await messages(store)
    assert isinstance(said, UserMessage)
    assert [part.text for part in said.parts if part.kind == "text"] == ["my words"]
    assert isinstance(mark, AssistantMessage)
    assert mark.cut_off == "interrupted"
    assert await store.database.read(lambda connection: connection.execute("SELECT state FROM turns")) == [("interrupted",)]
    assert await store.sessions.recover() == 0


async def test_a_call_without_result_stays_and_the_mark_follows_it(open_again: Opener, url: str, tmp_path: Path) -> None:
    async with other_process("step", url, tmp_path) as process:
        assert await line(process) == "begun"
        await kill(process)
    store = await open_again()
    assert await recovered(store) == 1
    _, asked, mark = await messages(store)
    assert isinstance(asked, AssistantMessage)
    assert [call.id for call in asked.tool_calls] == ["call_1"]
    assert isinstance(mark, AssistantMessage)
    assert mark.cut_off == "interrupted"


async def test_a_turn_of_a_process_that_lives_is_left_alone(open_again: Opener, url: str, tmp_path: Path) -> None:
    store = await open_again()
    await store.sessions.begin_turn(turn("turn_own", "mine", session="api:own"), None)
    async with other_process("begin", url, tmp_path) as process:
        assert await line(process) == "begun"
        assert await store.sessions.recover() == 0
        await kill(process)
        assert await recovered(store) == 1
    assert await store.sessions.end_turn("turn_own", "finished", [answer("still here")]) == 2


async def test_a_turn_left_by_a_clean_close_is_settled_by_the_next_process(open_again: Opener) -> None:
    store = await open_again()
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    await store.close()
    assert await recovered(await open_again()) == 1


@pytest.mark.usefixtures("empty")
async def test_two_processes_that_begin_on_an_empty_place_lose_nothing(open_again: Opener, url: str, tmp_path: Path) -> None:
    async with other_process("write", url, tmp_path, "left") as left, other_process("write", url, tmp_path, "right") as right:
        said_left, said_right = await asyncio.gather(all_lines(left), all_lines(right))
    said = said_left + said_right
    assert len(said) == 2 * WRITES
    store = await open_again()
    stored = await store.sessions.messages("anna", "api:one")
    assert [message.seq for message in stored] == list(range(1, 2 * WRITES + 1))
    assert sorted(message.turn_id for message in stored) == sorted(f"turn_{text}" for text in said)


async def test_everything_that_was_promised_survives_a_kill_in_the_midst_of_writing(open_again: Opener, url: str, tmp_path: Path) -> None:
    async with other_process("write", url, tmp_path, "x") as process:
        promised = [await line(process) for _ in range(40)]
        await kill(process)
        promised += await remaining_lines(process)
    store = await open_again()
    stored = {message.turn_id for message in await store.sessions.messages("anna", "api:one")}
    assert {f"turn_{text}" for text in promised} <= stored


async def test_a_full_disk_is_said_in_words_and_all_goes_on_when_there_is_room(tmp_path: Path) -> None:
    async with other_process("fill", f"sqlite:///{tmp_path / 'nanobot.db'}", tmp_path) as process:
        full, *rest = await all_lines(process)
    stored, _, reason = full.partition(" ")
    assert int(stored) > 2
    assert "disk" in reason
    assert rest[-2:] == [f"{int(stored) + 1} messages", "0 attachments"]
    assert any(words.startswith("refused The file can't be stored") for words in rest)
    assert not list((tmp_path / "state" / "attachments" / "tmp").iterdir())
