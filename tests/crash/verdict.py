"""Compares the accepted messages with those that arrived."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, pairwise
from typing import Final

from assistant.contracts.messages import AssistantMessage, ToolMessage
from assistant.contracts.outbox import Delivery
from assistant.delivery.sender import part_key
from assistant.store.codec import decode_message
from assistant.store.store import open_store
from tests.crash.load import Promises
from tests.crash.platforms import Posted
from tests.crash.stored import Stored

_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How many of each kind; all but the first seven must be 0."""

    accepted: int
    parts: int
    written: int
    maybe_twice: int
    """Messages that are marked `maybe_duplicate`; `doubled_marked` of them did arrive twice."""
    doubled_marked: int
    set_aside: int
    """Messages of people whose turn was running in two crashes; each sender was notified."""
    refused: int
    """Calls of the tool that failed and said so: the store took nothing for 2 s."""
    lost: int
    doubled: int
    out_of_order: int
    unanswered: int
    """Messages of people without an answer, or with two."""
    unkept: int
    """Turns answered with 200 whose message is not in the outbox, though the tool did not say that it failed."""
    unsent: int
    """Accepted messages that are not "sent" at the end."""
    interleaved: int
    """Turns of a session with another turn's messages between theirs."""

    channels: tuple[tuple[str | int, ...], ...]
    """By channel: its name, messages accepted, their parts, messages at the platform, parts lost, doubled as marked, doubled."""
    examples: tuple[str, ...]
    """Details of the failures, for debugging."""

    @property
    def figures(self) -> Mapping[str, int]:
        return {name: value for name, value in asdict(self).items() if name not in ("channels", "examples")}

    @property
    def holds(self) -> bool:
        return not (self.lost or self.doubled or self.out_of_order or self.unanswered or self.unkept or self.unsent or self.interleaved)


async def verdict(stored: Stored, promises: Promises, posted: Sequence[Posted], keyed: Collection[str]) -> Verdict:
    """Reads the store of a stopped server. `keyed`: the channels where nothing may arrive twice."""
    store = await open_store(stored.settings, stored.home)
    try:
        deliveries = list(reversed(await store.outbox.list(None, limit=1_000_000)))
    finally:
        await store.close()
    arrived = Counter((each.chat, each.mark) for each in posted)
    # Notices have the same text: they can't be told apart.
    told = [delivery for delivery in deliveries if delivery.event.origin.kind != "notice"]
    marked = [(delivery, place, mark) for delivery in told for place, mark in enumerate(_marks(delivery))]
    lost = [(delivery, place) for delivery, place, mark in marked if not arrived[delivery.event.address.lane, mark]]
    twice = [(delivery, place) for delivery, place, mark in marked for _ in range(arrived[delivery.event.address.lane, mark] - 1)]
    allowed = [delivery for delivery, _ in twice if delivery.maybe_duplicate and delivery.event.address.channel not in keyed]
    wrongly = [(delivery, place) for delivery, place in twice if delivery not in allowed]
    disordered = _out_of_order(told, posted)
    answers = Counter(mark for delivery in deliveries if delivery.event.origin.kind == "reply" for mark in _answered(delivery.event.text))
    aside, mixed = _set_aside(stored), interleaved(stored)
    sent_by_tool = " ".join(delivery.event.text for delivery in deliveries if delivery.event.origin.kind == "tool")
    refused = _refused(stored)
    return Verdict(
        accepted=len(deliveries),
        parts=sum(len(delivery.parts) for delivery in deliveries),
        written=len(promises.written),
        maybe_twice=sum(delivery.maybe_duplicate for delivery in deliveries),
        doubled_marked=len(allowed),
        set_aside=aside,
        lost=len(lost),
        doubled=len(wrongly),
        out_of_order=len(disordered),
        unanswered=max(0, sum(answers[mark] != 1 for mark in promises.written) - aside),
        unkept=sum(mark not in sent_by_tool and mark not in refused for mark in promises.answered),
        refused=sum(mark in refused for mark in promises.answered),
        unsent=sum(delivery.state != "sent" for delivery in deliveries),
        interleaved=len(mixed),
        channels=_by_channel(deliveries, posted, [each for each, _ in lost], allowed, [each for each, _ in wrongly]),
        examples=(
            *[f"lost: {_about(delivery, place)}" for delivery, place in lost[:_EXAMPLES]],
            *[f"doubled: {_about(delivery, place)}" for delivery, place in wrongly[:_EXAMPLES]],
            *[f"interleaved: {words}" for words in mixed[:_EXAMPLES]],
            *[f"out of order: {words}" for words in disordered[:_EXAMPLES]],
            *[f"answered {answers[mark]} times: {mark}" for mark in promises.written if answers[mark] != 1][: _EXAMPLES * (not aside)],
        ),
    )


def _by_channel(deliveries: Sequence[Delivery], posted: Sequence[Posted], *failed: Sequence[Delivery]) -> tuple[tuple[str | int, ...], ...]:
    accepted = Counter(delivery.event.address.channel for delivery in deliveries)
    parts, arrived = Counter[str](), Counter(each.chat.partition(":")[0] for each in posted)
    for delivery in deliveries:
        parts[delivery.event.address.channel] += len(delivery.parts)
    kinds = [Counter(delivery.event.address.channel for delivery in each) for each in failed]
    return tuple((name, count, parts[name], arrived[name], *(kind[name] for kind in kinds)) for name, count in sorted(accepted.items()))


def _marks(delivery: Delivery) -> list[str]:
    """The identities of its parts at the platform. An event that was never planned counts as not arrived."""
    if not delivery.parts:
        return [delivery.event.id]
    if delivery.event.address.channel == "discord":
        return [part_key(delivery.event.id, place) for place in range(len(delivery.parts))]
    if delivery.event.address.channel == "matrix":  # `text` is its HTML
        return [state.part.plain for state in delivery.parts]
    return [state.part.text for state in delivery.parts]


def _answered(text: str) -> list[str]:
    return [line.removeprefix("answer to ") for line in text.split("\n") if line.startswith("answer to ")]


def _set_aside(stored: Stored) -> int:
    return stored.rows("SELECT COUNT(*) FROM inbox WHERE state NOT IN ('waiting', 'taken', 'answered')")[0][0]


def _refused(stored: Stored) -> str:
    """The arguments of all calls whose result is a failure."""
    messages = [decode_message(row[0]) for row in stored.rows("SELECT payload FROM messages WHERE role IN ('assistant', 'tool')")]
    failed = {message.call_id for message in messages if isinstance(message, ToolMessage) and not message.ok}
    steps = [message for message in messages if isinstance(message, AssistantMessage)]
    return " ".join(call.arguments for step in steps for call in step.tool_calls if call.id in failed)


def interleaved(stored: Stored) -> list[str]:
    """Turns whose messages do not lie together in their session."""
    runs = [row for row, _ in groupby(stored.rows("SELECT session_id, turn_id FROM messages ORDER BY session_id, seq"))]
    return [f"turn {turn} of session {session}" for (session, turn), times in Counter(runs).items() if times > 1]


def _about(delivery: Delivery, place: int) -> str:
    event, parts = delivery.event, delivery.parts
    attempts = f"{delivery.attempts} attempts, part {place + 1} of {len(parts)}"
    return f"{event.id} to {event.address}, {event.origin.kind}, {delivery.state}, {attempts}: {event.text[:60]!r}"


def _out_of_order(deliveries: Sequence[Delivery], posted: Sequence[Posted]) -> list[str]:
    """In each chat, first arrivals that came before something that was accepted earlier."""
    wanted: dict[str, list[str]] = defaultdict(list)
    events: dict[str, str] = {}
    for delivery in deliveries:
        marks = _marks(delivery)
        wanted[delivery.event.address.lane] += marks
        events |= dict.fromkeys(marks, delivery.event.id)
    place = {(lane, mark): number for lane, marks in wanted.items() for number, mark in enumerate(marks)}
    first: dict[str, list[str]] = defaultdict(list)
    for lane, mark in dict.fromkeys((each.chat, each.mark) for each in posted):
        if (lane, mark) in place:
            first[lane].append(mark)
    return [
        f"{events[later]} came behind {events[earlier]} in {lane}"
        for lane, marks in first.items()
        for earlier, later in pairwise(marks)
        if place[lane, later] < place[lane, earlier]
    ]
