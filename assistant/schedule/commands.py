"""`/schedule`, `/snooze` and `/done`, written in a chat or given by a reminder's button, without a model."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.inbox import ChatCommand, CommandCall
from assistant.contracts.schedules import At, Occurrence, Schedule, ScheduleBook, ScheduleConflict, ScheduleNotFound, ScheduleWords
from assistant.contracts.util import Clock, utc_now
from assistant.schedule.rules import instant_of
from assistant.schedule.spoken import told
from assistant.schedule.texts import receiver_of

_MOST_LISTED: Final = 50
_MOST_WORDS: Final = 80
HELP: Final = "`/schedule cancel 2` cancels the second, `/schedule pause 2` pauses it, `/schedule resume 2` goes on."
_NOTHING: Final = "Nothing is planned. Say for example: remind me in 10 minutes to stretch."
_WHICH: Final = "There is no reminder here that waits for an answer."
_HOW_LONG: Final = "Say for how long, or until when: `/snooze 10m`, `/snooze 1h`, `/snooze tomorrow at 9:00`."


def line(schedule: Schedule, when: str) -> str:
    """A schedule on one line of Markdown: "reminder · tomorrow, Mon … · stretch"."""
    words = " ".join(schedule.new.text.split())
    words = words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]}…"
    paused = " · paused" if schedule.state == "paused" else ""
    return f"{schedule.new.kind} · {when}{paused} · {words}"


class ScheduleCommands:
    """A chat sees the schedules of its own space. A reminder is also done, or put off, in the chat that it was sent to."""

    def __init__(self, book: ScheduleBook, words: ScheduleWords, *, clock: Clock = utc_now) -> None:
        self._book = book
        self._words = words
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, ChatCommand]:
        """By the command's name."""
        return {"schedule": self.schedule, "snooze": self.snooze, "done": self.done}

    async def schedule(self, call: CommandCall) -> str:
        action, _, which = call.arguments.strip().partition(" ")
        owner, which = call.place.owner, which.strip()
        if action in ("", "list"):
            found = await self._planned(owner)
            lines = [f"{number}. {line(each, self._words.tell(each))}" for number, each in enumerate(found, start=1)]
            return "\n".join([*lines, "", HELP]) if lines else _NOTHING
        if action not in ("cancel", "pause", "resume") or not which:
            raise InvalidRequest(f"/schedule lists what is planned. {HELP}")
        found = await self._planned(owner)
        wanted = found[int(which) - 1].id if which.isdecimal() and 0 < int(which) <= len(found) else which
        if wanted.isdecimal():
            raise ScheduleNotFound(f"There is no number {wanted} in the list: /schedule shows it.")
        act = {"cancel": self._book.cancel, "pause": self._book.pause, "resume": self._book.resume}[action]
        changed = await act(owner, wanted)
        word = {"cancel": "Cancelled", "pause": "Paused", "resume": "Goes on"}[action]
        return f"{word}: {line(changed, self._words.tell(changed))}"

    async def done(self, call: CommandCall) -> str:
        occurrence, schedule = await self._meant(call, call.arguments.strip())
        await self._book.done(None, occurrence.id)
        return f"{schedule.new.text}\n\n✓ Done"

    async def snooze(self, call: CommandCall) -> str:
        until, _, last = call.arguments.strip().rpartition(" ")
        until, named = (until, last) if last.startswith("occ_") else (f"{until} {last}".strip(), "")
        if not until:
            raise InvalidRequest(_HOW_LONG)
        occurrence, schedule = await self._meant(call, named)
        rule, zone = await self._words.read(call.place.owner, until.removeprefix("until ").removeprefix("for "))
        if not isinstance(rule, At):
            raise InvalidRequest(_HOW_LONG)
        again = await self._book.snooze(None, occurrence.id, instant_of(rule.at, ZoneInfo(zone)))
        return f"{schedule.new.text}\n\n⏰ Again {told(again.instant, ZoneInfo(zone), self._clock())}"

    async def _planned(self, owner: str) -> Sequence[Schedule]:
        """What is active or paused, the soonest first."""
        found = [
            *await self._book.list(owner, state="active", limit=_MOST_LISTED),
            *await self._book.list(owner, state="paused", limit=_MOST_LISTED),
        ]
        return sorted(found, key=lambda each: (each.next_at or datetime.max.replace(tzinfo=UTC), each.id))

    async def _meant(self, call: CommandCall, named: str) -> tuple[Occurrence, Schedule]:
        """The occurrence with this id, if it is of this chat's space or was sent to this chat; without an id, the latest reminder that was delivered.
        Raises ScheduleNotFound."""
        if not named:
            latest = await self._book.latest(call.place.owner)
            if latest is None:
                raise ScheduleNotFound(_WHICH)
            named = latest.id
        occurrence = await self._book.occurrence(None, named)
        schedule = await self._book.get(None, occurrence.schedule)
        sent_to, mine = schedule.new.address, call.place.owner in (schedule.new.owner, receiver_of(schedule.new))
        if not mine and (sent_to is None or sent_to.lane != call.message.address.lane):
            raise ScheduleNotFound(_WHICH)
        if schedule.new.kind != "reminder":
            raise ScheduleConflict("Only reminders are done or put off. /schedule shows what is planned.")
        return occurrence, schedule
