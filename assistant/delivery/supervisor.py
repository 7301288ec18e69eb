"""Runs each channel and starts it again when it ends; reports its state to the store."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from assistant.contracts.channels import Channel, ChannelFailed, ChannelStates, ChannelStatus, ConnectionState, TakesCalls
from assistant.contracts.errors import StoreUnavailable, traceback_location
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.util import Clock, backoff, utc_now
from assistant.delivery.service import span

log = logging.getLogger(__name__)

_AGAIN: Final = 5.0
"""Seconds, after the store refused."""
_LAST: Final = 2.0
"""Seconds to write what is left at the end."""


class ChannelStateReporter:
    """The states of channels. What the store does never reaches the channels: the last state of each is written when it can be."""

    def __init__(self, states: ChannelStates, clock: Clock) -> None:
        self._states = states
        self._clock = clock
        self._now: dict[str, ChannelStatus] = {}
        self._unwritten: dict[str, ChannelStatus] = {}
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._writer = asyncio.create_task(self._write_changes(), name="channel-states")

    def note(self, name: str, state: ConnectionState, detail: str) -> None:
        """A state that is repeated is no change: `since` stays."""
        last = self._now.get(name)
        if last is not None and (last.state, last.detail) == (state, detail):
            return
        since = last.since if last is not None and last.state == state else self._clock()
        status = ChannelStatus(name=name, state=state, detail=detail, since=since)
        self._now[name] = self._unwritten[name] = status
        self._wake.set()
        log.info("channel.state channel=%s state=%s", name, state)

    def statuses(self) -> Sequence[ChannelStatus]:
        return [self._now[name] for name in sorted(self._now)]

    async def close(self) -> None:
        """Write what is left, if the store takes it soon. Safe to call twice."""
        if self._writer is None:
            return
        self._writer.cancel()
        await asyncio.wait([self._writer])
        self._writer = None
        try:
            async with asyncio.timeout(_LAST):
                await self._write()
        except (TimeoutError, StoreUnavailable):
            log.warning("channel.states_left count=%d", len(self._unwritten))

    async def _write_changes(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._write()
            except StoreUnavailable as error:
                log.warning("channel.state_not_written code=%s", error.code)
                await asyncio.sleep(_AGAIN)
                self._wake.set()

    async def _write(self) -> None:
        while self._unwritten:
            name, status = next(iter(self._unwritten.items()))
            await self._states.note(status)
            if self._unwritten.get(name) is status:
                del self._unwritten[name]


_LONGEST: Final = 60.0
_AFTER_FATAL: Final = 300.0
_STEADY: Final = 60.0
"""Seconds that a connection must have lasted for the next failure to count as a first one."""
_CLOSE: Final = 5.0
_STANDS_BY: Final[tuple[ConnectionState, str]] = ("standby", "held by another server")
LONGEST_SEND: Final = 60.0
"""Seconds that `Channel.send` takes at most."""


class InboundReceiver(Protocol):
    """Who takes in what channels receive (`assistant.inbound`): as `ChannelLink`."""

    async def accept(self, channel: str, message: InboundMessage) -> str: ...

    async def last_seen(self, channel: str) -> Mapping[str, str]: ...

    async def moved(self, channel: str, chat_id: str, now: str) -> None: ...


class ReportReceiver(Protocol):
    """Who notes what platforms report of accepted messages (`DeliveryReports`): as `ChannelLink`."""

    async def undelivered(self, channel: str, message_id: str, code: str, words: str) -> None: ...

    async def delivered(self, channel: str, message_id: str, *, read: bool) -> None: ...


class Supervisors:
    """Keeps channels running, and knows their states."""

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        inbound: InboundReceiver,
        reports: ReportReceiver,
        states: ChannelStates,
        connected: Callable[[str], None],
        unopened: Mapping[str, str] | None = None,
        clock: Clock = utc_now,
        jitter: Callable[[], float] = random.random,
        shortest: float = 1.0,
    ) -> None:
        """`connected`: told the name of a channel whenever it is reached (`Dispatcher.connected`). `unopened`: channels that are enabled and
        could not be opened, with why. `jitter`: a number from 0 to 1. `shortest`: seconds before the first repeat."""
        self._channels = {channel.name: channel for channel in channels}
        self._standing_by: set[str] = set()
        """Channels that another server runs."""
        self._links: dict[str, _Link] = {}
        self._inbound = inbound
        self._reports = reports
        self._connected = connected
        self._reporter = ChannelStateReporter(states, clock)
        self._unopened = dict(unopened or {})
        self._jitter = jitter
        self._shortest = shortest
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._replaced: list[asyncio.Task[None]] = []
        self._started = self._stopping = False

    def start(self) -> None:
        """Begin to run those that are held, and to take in what others are called with. Needs a running event loop; never waits, never fails for a
        channel's sake."""
        self._reporter.start()
        self._started = True
        for name, why in self._unopened.items():
            self._reporter.note(name, "stopped", why)
        for channel in self._channels.values():
            self._begin(channel)

    def hold(self, name: str, held: bool) -> None:
        """Run this channel; or end its `run` at once, because another server runs it."""
        if held:
            self._standing_by.discard(name)
            if self._started and name in self._channels and not self._stopping:
                self._run(self._channels[name])
        else:
            self._standing_by.add(name)
            if (task := self._tasks.get(name)) is not None:
                task.cancel()

    def statuses(self) -> Sequence[ChannelStatus]:
        """The state of each, by name."""
        return self._reporter.statuses()

    async def stop(self, grace: float) -> None:
        """Take in no more messages: end every `run`, within `grace` seconds. Channels can still send. Safe to call twice."""
        self._stopping = True
        for channel in self._channels.values():
            _attach(channel, None)
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                log.warning("channel.not_ended channel=%s", task.get_name())
        self._tasks = {}

    async def close(self) -> None:
        """Stop what still runs and close the adapters: after the dispatcher, which sends through them. Safe to call twice."""
        await self.stop(_CLOSE)
        for task in self._replaced:
            task.cancel()
        await asyncio.gather(*self._replaced, return_exceptions=True)
        await asyncio.gather(*[self._close_one(channel) for channel in self._channels.values()])
        await self._reporter.close()

    async def replace(self, name: str, channel: Channel | None, why: str = "") -> None:
        """Run an adapter in the place of the one of that name, if there is one; None: it is off, `why`. The old one is closed once what it sends
        has ended."""
        old = self._channels.pop(name, None)  # before anything is waited for: `hold` may begin it meanwhile
        if (task := self._tasks.pop(name, None)) is not None:
            task.cancel()
            await asyncio.wait([task], timeout=_CLOSE)
        if old is not None:
            _attach(old, None)
            self._replaced.append(asyncio.create_task(self._close_later(old)))
        if channel is None:
            self._reporter.note(name, "stopped", why)
        else:
            self._channels[name] = channel
            self._begin(channel)

    def _begin(self, channel: Channel) -> None:
        name = channel.name
        link = self._links[name] = _Link(name, self._inbound, self._reports, self._reporter, self._connected)
        _attach(channel, link)
        if name in self._standing_by:
            self._reporter.note(name, *_STANDS_BY)
        else:
            self._run(channel)

    def _run(self, channel: Channel) -> None:
        before = self._tasks.get(channel.name)
        self._tasks[channel.name] = asyncio.create_task(self._keep_running(channel, before), name=f"channel-{channel.name}")

    async def _close_later(self, channel: Channel) -> None:
        try:
            await asyncio.sleep(LONGEST_SEND)
        finally:
            await self._close_one(channel)

    async def _close_one(self, channel: Channel) -> None:
        try:
            async with asyncio.timeout(_CLOSE):
                await channel.close()
        except Exception as error:  # noqa: BLE001 - an adapter that can't close must not keep the others, or the server, from it
            log.warning("channel.not_closed channel=%s error=%s", channel.name, traceback_location(error))

    async def _keep_running(self, channel: Channel, before: asyncio.Task[None] | None) -> None:
        """`before`: its last run here, which may not have ended yet."""
        failures, link = 0, self._links[channel.name]
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        try:
            if before is not None:
                await asyncio.wait([before])
            self._reporter.note(channel.name, "starting", "")
            while True:
                began = loop.time()
                link.reached, link.running = False, True
                why, fatal = await self._run_once(channel, link)
                if task is not None and task.cancelling():  # an adapter may answer the end with an error of its own
                    return
                failures = 1 if link.reached and loop.time() - began >= _STEADY else failures + 1
                delay = _AFTER_FATAL if fatal else backoff(failures, self._jitter(), first=self._shortest, longest=_LONGEST)
                state: ConnectionState = "stopped" if fatal else "degraded"
                self._reporter.note(channel.name, state, f"{why.rstrip('.')}; tried again in {span(delay)}")
                log.warning("channel.ended channel=%s state=%s failures=%d delay=%.1f", channel.name, state, failures, delay)
                await asyncio.sleep(delay)
        finally:
            link.running = False
            elsewhere = channel.name in self._standing_by
            self._reporter.note(channel.name, *_STANDS_BY if elsewhere else ("stopped", "the server shut down"))

    async def _run_once(self, channel: Channel, link: "_Link") -> tuple[str, bool]:
        """Run it to its end; why it ended, and whether that is for good."""
        try:
            await channel.run(link)
        except ChannelFailed as error:
            return str(error), error.fatal
        except Exception as bug:  # noqa: BLE001 - a fault of one adapter must not end it for good, nor anything else
            log.error("channel.bug channel=%s error=%s", channel.name, traceback_location(bug))  # noqa: TRY400 - no words
            return f"the adapter failed by a fault of its own ({type(bug).__name__}); the log has the details", False
        return "the adapter ended by itself", False


@dataclass(slots=True)
class _Link:
    """The `Link` of one channel."""

    channel: str
    inbound: InboundReceiver
    reports: ReportReceiver
    reporter: ChannelStateReporter
    tell: Callable[[str], None]
    reached: bool = False
    """Whether it was connected since `run` was called."""
    running: bool = False
    """Whether it is run here; else it only takes calls, and its state is that of the server that runs it."""

    async def accept(self, message: InboundMessage) -> str:
        return await self.inbound.accept(self.channel, message)

    async def last_seen(self) -> Mapping[str, str]:
        return await self.inbound.last_seen(self.channel)

    async def moved(self, chat_id: str, now: str) -> None:
        await self.inbound.moved(self.channel, chat_id, now)

    async def undelivered(self, message_id: str, code: str, words: str) -> None:
        await self.reports.undelivered(self.channel, message_id, code, words)

    async def delivered(self, message_id: str, read: bool = False) -> None:
        await self.reports.delivered(self.channel, message_id, read=read)

    def connected(self, detail: str = "") -> None:
        if self.running:
            self.reached = True
            self.reporter.note(self.channel, "connected", detail)
            self.tell(self.channel)

    def degraded(self, why: str) -> None:
        if self.running:
            self.reporter.note(self.channel, "degraded", why)


def _attach(channel: Channel, link: _Link | None) -> None:
    if isinstance(channel, TakesCalls):
        channel.attach(link)
