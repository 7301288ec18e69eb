"""Schedules: what happens later. A schedule's due times are its occurrences; each of them comes to an end that is stored.

(due) ──claim──▶ claimed ──▶ delivered   a chat has it: the message has its receipt
                    │    └──▶ done        the turn or job ended without a chat to tell, or the person said that it is done
                    ├───────▶ failed      the turn, job or delivery failed; the person is told by the rule of `FAILURES_TOLD`
                    └───────▶ skipped     a watch found nothing new
(due) ─────────────────────▶ skipped     by the rule `on_miss`, or because the schedule was cancelled
(due) ──claim──▶ claimed ──▶ missed      it was too late to run, and a chat (or the session) has the notice that says so
waiting ──claim──▶ claimed               an extra occurrence: snoozed, "until done", or run by hand
delivered ──done──▶ done
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from assistant.contracts.addresses import Address
from assistant.contracts.errors import NanobotError, NotFound
from assistant.contracts.outbox import ToPerson
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record
from assistant.contracts.turns import MAIN

ScheduleKind = Literal["reminder", "ask", "watch", "workflow"]
ScheduleState = Literal["active", "paused", "done", "cancelled"]
"""done: its rule has no further instant, and no occurrence of it waits."""
OccurrenceState = Literal["waiting", "claimed", "delivered", "done", "failed", "skipped", "missed"]
OnMiss = Literal["run", "skip", "tell"]

GRACE: Final[Mapping[ScheduleKind, int]] = {"reminder": 86_400, "ask": 21_600, "watch": 21_600, "workflow": 21_600}
"""Seconds by which an occurrence may be late and still run, where its schedule does not say."""
FAILURES_TOLD: Final = 2
"""Failures in a row after which the person is told; of a schedule with a single instant: 1."""
FAILURES_PAUSED: Final = 10
"""Failures in a row after which the schedule is paused, and the person told."""
SCHEDULE_SESSION: Final = "schedule:"
"""Prefix of the session key of a schedule that was made in no conversation."""
UNTIL_DONE_TIMES: Final = 10
"""How often an "until done" reminder comes, its first time included."""


class ScheduleNotFound(NotFound, code="schedule_not_found"):
    """There is no such schedule, or no such occurrence."""


class ScheduleConflict(NanobotError, status=409, type="conflict_error", code="schedule_conflict"):
    """The state of the schedule, or of the occurrence, does not allow this."""


@record
class At:
    """Once. `at` aware: that instant. Naive: a time of day in the schedule's zone, even if the zone changes until then; the first of two
    equal ones, the end of a gap for one in it."""

    at: datetime
    kind: Literal["at"] = "at"


@record
class Every:
    """Each `seconds` of elapsed time since `anchor` (aware; None: since the schedule was made)."""

    seconds: int
    """60 or more."""
    anchor: datetime | None = None
    kind: Literal["every"] = "every"


@record
class Cron:
    """Five fields (minute hour day month weekday), by the clock of the schedule's zone. A time in a spring gap comes at its end, one that the
    autumn has twice comes once, the first time."""

    cron: str
    kind: Literal["cron"] = "cron"


Rule = At | Every | Cron


@record
class Watched:
    """What a watch looks at: a page (by ETag, Last-Modified or its hash), an RSS or Atom feed (new entries), a file of the workspace (its hash)."""

    kind: Literal["url", "feed", "file"]
    target: str
    """The URL, or the path below the workspace."""
    named: bool = False
    """The person named the address in their own words: only then it may be a private one."""


@record
class NewSchedule:
    """A schedule to be made."""

    owner: str
    kind: ScheduleKind
    rule: Rule
    zone: str
    """IANA: "Europe/Berlin"."""
    text: str
    """A reminder's words; the prompt of an ask or watch; a workflow's id."""
    address: Address | None = None
    """Where it goes. A reminder needs one; without, an answer goes into `session`."""
    person: ToPerson | None = None
    """Who gets it, instead of an address: in the chat that they prefer when it is due."""
    home: Address | None = None
    """The chat in which it was made: failures are told there if `address` can't be reached."""
    session: str | None = None
    """The key of the session in which it was made. An ask's turn runs in it; None: in `schedule:<id>`."""
    agent: str = MAIN
    watched: Watched | None = None
    """Of a watch."""
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of a workflow: JSON values."""
    on_miss: OnMiss = "run"
    """An occurrence that is due while no server runs: `run` within `grace`, else tell; `skip`; `tell` (a notice, it does not run)."""
    grace: int | None = None
    """Seconds; None: of `GRACE`."""
    urgent: bool = False
    """Delivered in quiet hours, too."""
    until_done: int = 0
    """Minutes after which a reminder comes again until it is done, `UNTIL_DONE_TIMES` times at most; 0: it comes once."""
    provenance: Provenance = "person"
    turn_id: str | None = None
    """The turn that makes it; with `place` it names the schedule, so that a repeated step makes one schedule."""
    place: int = 0
    """The number of the call in the turn."""

    @property
    def receiver(self) -> str:
        """Who gets it, for its maker: "telegram:42", "anna"; empty: it goes into the session."""
        return self.person.name if self.person else str(self.address or "")


@record
class Schedule:
    id: str
    """`sch_…`"""
    new: NewSchedule
    """What it was made from, as last changed."""
    state: ScheduleState
    created: datetime
    next_at: datetime | None
    """The next instant of the rule. None: there is none, or it is not active."""
    failures: int
    """In a row."""
    last: datetime | None
    """The last instant of the rule that was claimed."""


@record
class Occurrence:
    id: str
    """`occ_…`, the same for the same schedule and instant."""
    schedule: str
    instant: datetime
    """When it is due."""
    state: OccurrenceState
    started: datetime | None
    ended: datetime | None
    ref: str | None
    """The id of its delivery (`evt_…`), turn (`turn_…`) or job (`job_…`)."""
    root: datetime | None
    """Of an extra occurrence: the instant of the one that it repeats."""
    error: str | None
    """Why it failed, was skipped or missed, in words."""


@record
class ScheduleChange:
    """What is to be changed; None stays as it is."""

    rule: Rule | None = None
    zone: str | None = None
    text: str | None = None
    provenance: Provenance | None = None
    """Whose words `text` is."""
    on_miss: OnMiss | None = None
    grace: int | None = None
    urgent: bool | None = None
    until_done: int | None = None


class ScheduleBook(Protocol):
    """The schedules, for the tool, the API, commands and the command line. `owner` None means any owner's (the command line); another owner's
    are not found. All methods raise StoreUnavailable, and those with an id ScheduleNotFound."""

    async def add(self, new: NewSchedule) -> Schedule:
        """Make it; stored when this returns. For a (turn_id, place) that is known, the schedule it made. Raises InvalidRequest: a rule that is
        malformed or has no instant to come, an unknown zone, a reminder without an address, an owner's 1,001st active schedule."""
        ...

    async def list(
        self, owner: str | None, *, state: ScheduleState | None = None, limit: int = 50, before: str | None = None
    ) -> Sequence[Schedule]:
        """The newest first. `before`: the id of the last schedule of the previous page."""
        ...

    async def get(self, owner: str | None, schedule_id: str) -> Schedule: ...

    async def change(self, owner: str | None, schedule_id: str, change: ScheduleChange) -> Schedule:
        """Raises InvalidRequest as `add`, ScheduleConflict for one that is done or cancelled."""
        ...

    async def pause(self, owner: str | None, schedule_id: str) -> Schedule:
        """Raises ScheduleConflict for one that is done or cancelled."""
        ...

    async def resume(self, owner: str | None, schedule_id: str) -> Schedule:
        """Go on from now; what was due meanwhile is not made up for. Raises ScheduleConflict as `pause`, InvalidRequest where nothing is to come."""
        ...

    async def cancel(self, owner: str | None, schedule_id: str) -> Schedule:
        """End it; its waiting occurrences end as skipped. What runs goes on. One that is cancelled stays so."""
        ...

    async def run(self, owner: str | None, schedule_id: str) -> Occurrence:
        """Add an occurrence now, besides the rule; a running server does it."""
        ...

    async def occurrences(
        self, owner: str | None, schedule_id: str, *, limit: int = 50, before: datetime | None = None
    ) -> Sequence[Occurrence]:
        """The latest instant first."""
        ...

    async def occurrence(self, owner: str | None, occurrence_id: str) -> Occurrence: ...

    async def latest(self, owner: str) -> Occurrence | None:
        """The reminder that was delivered last and is not done."""
        ...

    async def done(self, owner: str | None, occurrence_id: str) -> Occurrence:
        """The person says that it is done: it does not come again. Repeatable. Raises ScheduleConflict for one that did not happen."""
        ...

    async def snooze(self, owner: str | None, occurrence_id: str, until: datetime) -> Occurrence:
        """Add an occurrence at `until`, in place of one that waits after an earlier snooze or for "until done". Returns it. Raises
        ScheduleConflict for one that is done, InvalidRequest for a time that has passed."""
        ...


class ScheduleWords(Protocol):
    """How people say when, and are told when, by the clock of their zone; and where they are reached. Raises StoreUnavailable."""

    async def read(self, owner: str, words: str, zone: str = "") -> tuple[Rule, str]:
        """The rule that the words mean, and its zone (IANA): the one in the words, else `zone`, else the owner's. Raises InvalidRequest: not
        understood, ambiguous or past, with examples."""
        ...

    def tell(self, schedule: Schedule) -> str:
        """When it is next, with zone and offset: "tomorrow, Mon 30 Nov 2026 09:00 Europe/Berlin (UTC+1)"; its rule, where it repeats."""
        ...

    async def chat(self, owner: str) -> Address | None:
        """The chat that the owner prefers, else the private one in which they were last heard; None: there is none."""
        ...
