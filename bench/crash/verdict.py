"""What was accepted against what arrived."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from assistant.contracts.outbox import Delivery
from assistant.delivery.sender import part_key
from assistant.store.settings import StoreSettings
from assistant.store.store import open_store
from bench.crash.load import Promises
from bench.crash.platforms import Posted


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How many of each kind; all but the first five must be 0."""

    accepted: int
    parts: int
    written: int
    maybe_twice: int
    """Messages that are marked `maybe_duplicate`; `doubled_marked` of them arrived twice indeed."""
    doubled_marked: int
    set_aside: int
    """Messages of people whose turn was there when two processes died; each was told so."""
    lost: int
    doubled: int
    out_of_order: int
    unanswered: int
    """Messages of people without an answer, or with two."""
    unkept: int
    """Turns answered with 200 whose message is not in the outbox."""
    unsent: int
    """Accepted messages that are not "sent" at the end."""

    @property
    def holds(self) -> bool:
        return not (self.lost or self.doubled or self.out_of_order or self.unanswered or self.unkept or self.unsent)


async def verdict(home: Path, promises: Promises, posted: Sequence[Posted]) -> Verdict:
    """Reads the store of a server that is stopped."""
    store = await open_store(StoreSettings(), home)
    try:
        deliveries = list(reversed(await store.outbox.list(None, limit=1_000_000)))
    finally:
        await store.close()
    arrived = Counter((each.chat, each.mark) for each in posted)
    doubled = [
        (delivery.maybe_duplicate and delivery.event.address.channel == "telegram")
        for delivery in deliveries
        for mark in _marks(delivery)
        for _ in range(arrived[delivery.event.address.lane, mark] - 1)
    ]
    answers = Counter(mark for delivery in deliveries if delivery.event.origin.kind == "reply" for mark in _answered(delivery.event.text))
    aside = _set_aside(home)
    sent_by_tool = " ".join(delivery.event.text for delivery in deliveries if delivery.event.origin.kind == "tool")
    return Verdict(
        accepted=len(deliveries),
        parts=sum(len(delivery.parts) for delivery in deliveries),
        written=len(promises.written),
        maybe_twice=sum(delivery.maybe_duplicate for delivery in deliveries),
        doubled_marked=sum(doubled),
        set_aside=aside,
        lost=sum(arrived[delivery.event.address.lane, mark] == 0 for delivery in deliveries for mark in _marks(delivery)),
        doubled=len(doubled) - sum(doubled),
        out_of_order=_out_of_order(deliveries, posted),
        unanswered=max(0, sum(answers[mark] != 1 for mark in promises.written) - aside),
        unkept=sum(mark not in sent_by_tool for mark in promises.answered),
        unsent=sum(delivery.state != "sent" for delivery in deliveries),
    )


def _marks(delivery: Delivery) -> list[str]:
    """What its parts are known by at the platform. One that was never planned counts as one that never arrived."""
    if not delivery.parts:
        return [delivery.event.id]
    if delivery.event.address.channel == "discord":
        return [part_key(delivery.event.id, place) for place in range(len(delivery.parts))]
    return [state.part.text for state in delivery.parts]


def _answered(text: str) -> list[str]:
    return [line.removeprefix("answer to ") for line in text.split("\n") if line.startswith("answer to ")]


def _set_aside(home: Path) -> int:
    with sqlite3.connect(f"file:{home / 'nanobot.db'}?mode=ro", uri=True) as database:
        return database.execute("SELECT COUNT(*) FROM inbox WHERE state NOT IN ('waiting', 'taken', 'answered')").fetchone()[0]


def _out_of_order(deliveries: Sequence[Delivery], posted: Sequence[Posted]) -> int:
    """In each chat, first arrivals that came before something that was accepted earlier."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for delivery in deliveries:
        wanted[delivery.event.address.lane] += _marks(delivery)
    place = {(lane, mark): number for lane, marks in wanted.items() for number, mark in enumerate(marks)}
    first: dict[str, list[int]] = defaultdict(list)
    for key in dict.fromkeys((each.chat, each.mark) for each in posted):
        if key in place:
            first[key[0]].append(place[key])
    return sum(later < earlier for places in first.values() for earlier, later in pairwise(places))
