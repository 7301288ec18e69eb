"""A worker a key: never two at once, and no wake-up is missed."""

import asyncio

from assistant.workers import KeyedWorkers


class Desk:
    """Work that a test lets end, and what it saw."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.at_once = 0
        self.most_at_once = 0

    async def work(self, key: str) -> None:
        self.begun.append(key)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gates.setdefault(key, asyncio.Event()).wait()
        finally:
            self.at_once -= 1
        if key == "bug":
            raise LookupError

    def let_go(self, *keys: str) -> None:
        for key in keys:
            self.gates.setdefault(key, asyncio.Event()).set()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_key_that_is_woken_while_it_works_works_once_more() -> None:
    desk = Desk()
    workers = KeyedWorkers("test", desk.work)
    for key in ("a", "a", "b"):
        workers.wake(key)
    await settled()
    workers.wake("a")
    workers.wake("a")
    assert desk.begun == ["a", "b"]
    assert "a" in workers
    desk.let_go("a", "b")
    await settled()
    assert desk.begun == ["a", "b", "a"]
    assert len(workers) == 0


async def test_no_more_than_most_work_at_once_and_the_others_follow_in_order() -> None:
    desk = Desk()
    workers = KeyedWorkers("test", desk.work, most=2)
    for key in "abcd":
        workers.wake(key)
    await settled()
    assert (desk.begun, len(workers)) == (["a", "b"], 4)
    desk.let_go(*"abcd")
    await settled()
    assert (desk.begun, desk.most_at_once) == (["a", "b", "c", "d"], 2)


async def test_a_bug_ends_one_run_and_the_key_can_be_woken_again() -> None:
    desk = Desk()
    workers = KeyedWorkers("test", desk.work, most=1)
    desk.let_go("bug", "next")
    workers.wake("bug")
    workers.wake("next")
    await settled()
    workers.wake("bug")
    await settled()
    assert desk.begun == ["bug", "next", "bug"]


async def test_who_is_told_of_the_end_decides_whether_it_runs_again() -> None:
    desk, ends = Desk(), list[tuple[str, bool, bool]]()

    def ended(key: str, task: asyncio.Task[None], woken: bool) -> bool:
        ends.append((key, task.cancelled(), woken))
        return False

    workers = KeyedWorkers("test", desk.work, ended=ended)
    workers.wake("a")
    workers.wake("b")
    await settled()
    workers.wake("a")
    desk.let_go("a")
    await settled()
    workers.cancel(["b"])
    await settled()
    assert ends == [("a", False, True), ("b", True, False)]
    assert desk.begun == ["a", "b"]


async def test_drain_lets_workers_end_and_close_cancels_them_and_neither_starts_more() -> None:
    desk = Desk()
    workers = KeyedWorkers("test", desk.work, most=2)
    for key in ("a", "b", "c"):
        workers.wake(key)
    await settled()
    workers.wake("a")
    desk.let_go("a")
    await workers.drain(0.01)
    assert "a" not in workers
    assert "b" in workers
    await workers.close(5)
    workers.wake("d")
    await settled()
    assert desk.begun == ["a", "b"]
    assert "b" not in workers
