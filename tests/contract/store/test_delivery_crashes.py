"""Processes that die while they send or answer: what they held goes on elsewhere, once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from assistant.contracts.inbox import Taken
from assistant.contracts.outbox import Settlement
from assistant.store.store import Store

from .came_in import message, notice, place, texts
from .conftest import Opener
from .other_process import FAR
from .processes import kill, line, other_process
from .sent import LEASE, claimed, event


async def put_back(store: Store) -> int:
    """A server needs a moment to notice that a client has died."""
    for _ in range(500):
        if back := await store.outbox.recover():
            return back
        await asyncio.sleep(0.02)
    return 0


async def test_what_a_dead_process_was_sending_goes_on_at_the_part_that_has_no_receipt(
    open_again: Opener, url: str, tmp_path: Path
) -> None:
    store = await open_again()
    await store.outbox.enqueue([event("long", expires=FAR), event("behind", expires=FAR)])
    async with other_process("send", url, tmp_path) as process:
        assert await line(process) == "sending"
        assert await store.outbox.claim("telegram:42", LEASE) is None
        assert await store.outbox.recover() == 0
        await kill(process)
    assert await put_back(store) == 1
    claim = await claimed(store)
    assert (claim.event.text, claim.attempts, claim.held) == ("long", 2, 0)
    assert [part.receipt and part.receipt.message_id for part in claim.parts] == ["m1", None]
    assert [part.started is not None for part in claim.parts] == [True, True]
    assert await store.outbox.note(claim, settle=Settlement(state="sent"))
    assert (await claimed(store)).event.text == "behind"


async def test_a_turn_of_the_inbox_that_a_kill_cut_off_is_run_again_behind_what_was_stored(
    open_again: Opener, url: str, tmp_path: Path
) -> None:
    store = await open_again()
    await store.inbox.accept(message("poison"), place())
    async with other_process("take", url, tmp_path) as process:
        turn = await line(process)
        assert (await store.inbox.recover(notice)).again == ()
        await kill(process)
    again = await taken_over(store)
    assert [(each.turn_id, texts(each)) for each in again] == [(turn, ["poison"])]
    assert await store.sessions.recover() == 0
    history = await store.sessions.resume_turn(turn, None)
    assert history is not None
    assert (len(history.messages), history.seq) == (1, 2)


async def taken_over(store: Store) -> Sequence[Taken]:
    for _ in range(500):
        if found := (await store.inbox.recover(notice)).again:
            return found
        await asyncio.sleep(0.02)
    return ()
