"""The boundaries that an outgoing message crosses; at one of them the process kills itself, as by `kill -9`.

They wrap the real calls in the process under test only (`tests.crash.server`); the product has no code for them.
"""

import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

from assistant.contracts.outbox import Settlement
from assistant.delivery.sender import EventSender
from assistant.store.inbox import InboxStore
from assistant.store.line import SessionLine
from assistant.store.occurrences import OccurrenceStore
from assistant.store.outbox import OutboxStore
from assistant.store.sessions import Sessions

NAMES: Final = ("accept", "take", "enqueue", "reply", "claim", "start", "send", "receipt", "settle")
"""`accept`, `take`: of a message that came in. `enqueue`: by the tool; `reply`: with a turn's end. `receipt`: of a part that is not the last;
the last one's is one transaction with the settlement."""
ALL: Final = tuple(f"{name}.{side}" for name in NAMES for side in ("before", "after"))
OF_SCHEDULES: Final = ("due", "begin", "reply", "start", "send", "settle")
"""Those that an occurrence crosses. `due`: it is claimed, with its message or turn; `begin`: of its turn."""
ALL_OF_SCHEDULES: Final = tuple(f"{name}.{side}" for name in OF_SCHEDULES for side in ("before", "after"))
Method = Callable[..., Awaitable[Any]]


class Trap:
    """Counts the boundaries reached, and kills at the n-th time."""

    def __init__(self, where: str, count: int) -> None:
        self._where, self._count = where, count
        self._reached: Counter[str] = Counter()

    def reached(self, where: str) -> None:
        self._reached[where] += 1
        if where == self._where and self._reached[where] == self._count:
            os.kill(os.getpid(), signal.SIGKILL)


def lay(trap: Trap) -> None:
    """Put the trap around every boundary."""
    _around(InboxStore, "accept", lambda _: "accept", trap)
    _around(InboxStore, "take", lambda _: "take", trap)
    _around(OutboxStore, "enqueue", lambda _: "enqueue", trap)
    _around(OccurrenceStore, "claim", lambda _: "due", trap)
    _around(Sessions, "begin_turn", lambda _: "begin", trap)
    _around(Sessions, "end_turn", lambda given: "reply" if given.get("inbound") else None, trap)
    _around(OutboxStore, "claim", lambda _: "claim", trap)
    _around(EventSender, "_send", lambda _: "send", trap)
    _around(OutboxStore, "note", _noted, trap)


def _noted(given: dict[str, Any]) -> str:
    if given.get("settle") is not None:
        return "settle"
    return "receipt" if given.get("receipt") is not None else "start"


def _around(owner: type, method: str, name: Callable[[dict[str, Any]], str | None], trap: Trap) -> None:
    original: Method = getattr(owner, method)

    @wraps(original)
    async def wrapped(*args: Any, **given: Any) -> Any:
        where = name(given)
        if where:
            trap.reached(f"{where}.before")
        result = await original(*args, **given)
        if where:
            trap.reached(f"{where}.after")
        return result

    setattr(owner, method, wrapped)


def settle_before_send() -> None:
    """The control: a delivery is called sent before it is sent. The test must find that out."""
    original: Method = OutboxStore.note

    async def note(self: OutboxStore, claim: Any, **given: Any) -> bool:
        held: bool = await original(self, claim, **given)
        if held and given.get("start") is not None:
            await original(self, claim, settle=Settlement(state="sent"))
        return held

    setattr(OutboxStore, "note", note)  # noqa: B010 - an assignment would not pass the types, and should not


def side_by_side() -> None:
    """The other control: turns of one session do not wait for those of another process."""

    def is_first(*_: object) -> bool:
        return True

    setattr(SessionLine, "_is_first", is_first)  # noqa: B010


BREAKS: Final = {"settle-before-send": settle_before_send, "side-by-side": side_by_side}
