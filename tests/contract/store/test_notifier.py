"""The notifier: what one process enqueues, another one that shares the store hears, on SQLite and PostgreSQL."""

import asyncio
import os
import select
import stat
from pathlib import Path

import pytest

from assistant.store.processes import LONGEST_LETTER
from assistant.store.store import Store

from .came_in import message, place
from .conftest import Opener
from .other_process import FAR
from .processes import kill, line, other_process
from .sent import event
from .test_database import cut_connections

SECONDS = 20


class Heard:
    """Listens to a store's notifier."""

    def __init__(self, store: Store) -> None:
        self.event = asyncio.Event()
        self.times = 0
        store.notifier.listen(self._hear)

    def _hear(self) -> None:
        self.times += 1
        self.event.set()

    async def wait(self) -> None:
        async with asyncio.timeout(SECONDS):
            await self.event.wait()
        self.event.clear()


async def listening(store: Store) -> Heard:
    """Once it surely hears: on PostgreSQL it is called when its connection is there."""
    heard = Heard(store)
    if store.database.dialect == "postgresql":
        await heard.wait()
    return heard


async def test_an_enqueue_is_heard_in_its_own_process_before_it_returns(store: Store) -> None:
    heard = await listening(store)
    times = heard.times
    await store.outbox.enqueue([event()])
    assert heard.times == times + 1


@pytest.mark.parametrize("how", ["enqueue", "turn", "inbox", "retry", "ring"])
async def test_whatever_enqueues_is_heard_by_another_process(open_again: Opener, how: str) -> None:
    here, there = await open_again(), await open_again()
    await here.outbox.enqueue([event(event_id="evt_1")])
    heard = await listening(there)
    match how:
        case "enqueue":
            await here.outbox.enqueue([event()])
        case "turn":
            await here.sessions.end_turn("turn_none", "finished", [], outbound=[event()])
        case "inbox":
            await here.inbox.accept(message(), place(), outbound=[event()])
        case "retry":
            await here.outbox.retry(None, "evt_1", event().expires_at)
        case _:
            here.notifier.notify()
    await heard.wait()


class Mailbox:
    """Receives the letters to a store's process."""

    def __init__(self, store: Store) -> None:
        self.letters: list[bytes] = []
        self._came = asyncio.Event()
        store.notifier.receive(self._take)

    def _take(self, letter: bytes) -> None:
        self.letters.append(letter)
        self._came.set()

    async def until(self, many: int) -> list[bytes]:
        async with asyncio.timeout(SECONDS):
            while len(self.letters) < many:
                self._came.clear()
                await self._came.wait()
        return self.letters


async def test_letters_come_to_their_receiver_in_order_and_to_no_one_else(open_again: Opener) -> None:
    here, there, beside = await open_again(), await open_again(), await open_again()
    heard = [await listening(store) for store in (here, there, beside)]
    boxes = [Mailbox(store) for store in (here, there, beside)]
    times = [each.times for each in heard]
    letters = [b'{"n":%d}' % number for number in range(40)] + ['{"é":"日本語!"}'.encode(), b"x" * LONGEST_LETTER]
    for letter in letters:
        here.notifier.send(there.runner.id, letter)
    assert await boxes[1].until(len(letters)) == letters
    there.notifier.send(here.runner.id, b"{}")
    assert await boxes[0].until(1) == [b"{}"]
    assert boxes[2].letters == []
    assert [each.times for each in heard] == times  # a letter rings no bell
    here.notifier.send("run_gone", b"{}")


async def test_letters_and_bells_do_not_disturb_each_other(open_again: Opener) -> None:
    here, there = await open_again(), await open_again()
    await listening(here)
    heard, box = await listening(there), Mailbox(there)
    for number in range(5):
        here.notifier.send(there.runner.id, b'{"n":%d}' % number)
        here.notifier.notify()
    assert await box.until(5) == [b'{"n":%d}' % number for number in range(5)]
    await heard.wait()


async def test_a_closed_store_sends_and_receives_no_letter(open_again: Opener) -> None:
    here, there = await open_again(), await open_again()
    for store in (here, there):
        await listening(store)
    gone, box = Mailbox(there), Mailbox(here)
    await there.close()
    here.notifier.send(there.runner.id, b"{}")
    there.notifier.send(here.runner.id, b"{}")
    here.notifier.send(here.runner.id, b"[]")
    assert await box.until(1) == [b"[]"]
    assert gone.letters == []


async def test_two_processes_hear_each_other(open_again: Opener, url: str, tmp_path: Path) -> None:
    store = await open_again()
    async with other_process("listen", url, tmp_path) as listener, other_process("enqueue", url, tmp_path) as sender:
        assert await line(listener) == "listening"
        if store.database.dialect == "postgresql":
            assert await line(listener) == "heard 0"
        assert await line(sender) == "ready"
        await store.outbox.enqueue([event(expires=FAR)])
        assert await line(listener) == "heard 1"
        heard = await listening(store)
        sender.tell("hello")
        assert await line(sender) == "enqueued"
        await heard.wait()
        await kill(listener)
        await kill(sender)
    await store.outbox.enqueue([event(expires=FAR)])


async def test_a_closed_store_rings_nobody_and_hears_nothing(open_again: Opener) -> None:
    here, there = await open_again(), await open_again()
    heard = await listening(there)
    times = heard.times
    await there.close()
    await there.close()
    await here.outbox.enqueue([event()])
    there.notifier.notify()
    await asyncio.sleep(0)
    assert heard.times == times


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_pipes_are_the_owners_and_go_with_their_process(open_again: Opener, url: str, tmp_path: Path) -> None:
    folder = tmp_path / "nanobot.db-runners"
    async with other_process("listen", url, tmp_path) as listener:
        assert await line(listener) == "listening"
        (pipe,) = folder.glob("*.bell")
        assert stat.S_ISFIFO(pipe.stat().st_mode)
        assert stat.S_IMODE(pipe.stat().st_mode) == 0o600
        await kill(listener)
    assert pipe.exists()
    store = await open_again()
    assert [path.name for path in folder.iterdir()] == [store.runner.id]
    Heard(store)
    await store.close()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_pipe_that_is_full_or_no_pipe_at_all_stops_nobody(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "nanobot.db-runners"
    os.mkfifo(folder / "run_full.bell")
    full = os.open(folder / "run_full.bell", os.O_RDWR | os.O_NONBLOCK)
    while select.select([], [full], [], 0)[1]:
        os.write(full, b"x" * 4096)
    (folder / "run_link.bell").symlink_to(tmp_path / "elsewhere")
    store.notifier.notify()
    assert not (tmp_path / "elsewhere").exists()
    os.close(full)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_listener_whose_connection_is_lost_comes_back_and_rings_once(open_again: Opener, postgres_server: str) -> None:
    here, there = await open_again(), await open_again()
    heard = await listening(there)
    await cut_connections(there, postgres_server)
    await heard.wait()
    await here.outbox.enqueue([event()])
    await heard.wait()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_letters_are_taken_again_once_a_lost_connection_is_back(open_again: Opener, postgres_server: str) -> None:
    here, there = await open_again(), await open_again()
    heard, box = [await listening(store) for store in (here, there)], Mailbox(there)
    await cut_connections(there, postgres_server)
    for each in heard:
        await each.wait()
    here.notifier.send(there.runner.id, b"{}")
    assert await box.until(1) == [b"{}"]
