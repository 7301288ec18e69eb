"""Holds channels: where several servers are one assistant, each channel is run by one of them, and taken over when that one is gone.

A holder that is alone only reads. One that stands by asks it for a sign every second; a holder that does not answer for `LEASE` loses the channel,
and one that could not look for as long has given it up before, by its own clock: no two clocks are compared.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from assistant.contracts.errors import StoreUnavailable, traceback_location
from assistant.store.holds import Hold, HoldStore
from assistant.store.processes import Notifier

log = logging.getLogger(__name__)

LEASE: Final = 7.0
"""Seconds for which a holder may give no sign."""
_LOOK_EVERY: Final = 1.0
_LAST: Final = 2.0
"""Seconds in which channels are let go."""
_BREATH: Final = 0.1
"""Seconds between two looks at least, however often something is announced."""


class ChannelHolds:
    """The channels of this process, and which of them it holds. Needs a running event loop."""

    def __init__(
        self,
        store: HoldStore,
        notifier: Notifier,
        changed: Callable[[str, bool], None],
        *,
        wanted: Iterable[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`changed`: told the name of a channel when it becomes held (True), or is held no more. `wanted`: the channels that can be run here.
        `monotonic`: seconds; keeps counting while this process is stopped."""
        self._store = store
        self._notifier = notifier
        self._changed = changed
        self._wanted = set(wanted)
        self._monotonic = monotonic
        self._held: set[str] = set()
        self._sure_until = 0.0
        self._owing: dict[str, tuple[Hold, float]] = {}
        """What others owe, and since when this process has known it."""
        self._contend_at = 0.0
        self._wake = asyncio.Event()
        self._one_look = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None

    def holds(self, channel: str) -> bool:
        """Whether no other process can hold it now."""
        return channel in self._held and self._monotonic() < self._sure_until

    async def start(self) -> None:
        """Take what is free, and go on to look. What the store does is no failure."""
        self._notifier.listen(self._wake.set)
        await self._look()
        self._looking = asyncio.create_task(self._keep_looking(), name="channel-holds")

    async def want(self, channel: str, wanted: bool) -> None:
        """From now on, try to hold this channel, or leave it to others."""
        if wanted:
            self._wanted.add(channel)
        else:
            self._wanted.discard(channel)
            self._set(self._held - {channel})
            await self._free([channel])
        await self._look()

    async def let_go(self) -> None:
        """Leave all channels to others, for good: call it when nothing is received any more. `changed` is not told. Safe to call twice."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
            self._looking = None
            wanted = list(self._wanted)
            self._wanted.clear()
            self._held.clear()
            await self._free(wanted)

    async def _free(self, channels: Collection[str]) -> None:
        try:
            async with asyncio.timeout(_LAST):
                await self._store.let_go(channels)
        except (StoreUnavailable, TimeoutError):
            log.warning("holds.not_let_go channels=%d", len(channels))  # others see soon that this process is gone

    async def _keep_looking(self) -> None:
        while True:
            self._wake.clear()
            await asyncio.sleep(_BREATH)
            try:
                if self._wanted <= self._held:
                    await asyncio.sleep(_LOOK_EVERY)
                else:  # what is let go is announced
                    async with asyncio.timeout(_LOOK_EVERY):
                        await self._wake.wait()
            except TimeoutError:
                pass
            try:
                await self._look()
            except Exception as bug:  # noqa: BLE001 - channels would be held by this process and kept by none
                log.error("holds.bug error=%s", traceback_location(bug))  # noqa: TRY400 - no words

    async def _look(self) -> None:
        """Hold what can be held, and give up what was lost: first, and whatever the store does."""
        async with self._one_look:
            self._give_up_the_unsure()
            began = self._monotonic()
            try:
                async with asyncio.timeout(max(_BREATH, self._sure_until - began) if self._held else LEASE):
                    found = await self._found()
            except (StoreUnavailable, TimeoutError):
                log.warning("holds.not_looked held=%d", len(self._held))
                self._give_up_the_unsure()
                return
            self._sure_until = began + LEASE
            self._note_owing(found)
            self._set({name for name, hold in found.items() if hold.runner == self._store.me} & self._wanted)
            self._give_up_the_unsure()

    async def _found(self) -> Mapping[str, Hold]:
        found = await self._store.list()
        now, me = self._monotonic(), self._store.me
        free = self._wanted - found.keys()
        asked = any(hold.owes and hold.runner == me for hold in found.values())
        others = any(found[name].runner != me for name in self._wanted - free)
        if not (free or asked or (others and now >= self._contend_at)):
            return found
        self._contend_at = now + _LOOK_EVERY * 0.9
        overdue = {name: hold for name, (hold, since) in self._owing.items() if now - since >= LEASE and found.get(name) == hold}
        return await self._store.contend(frozenset(self._wanted), overdue)  # read in a thread

    def _note_owing(self, found: Mapping[str, Hold]) -> None:
        now, before = self._monotonic(), self._owing
        owing = {name: hold for name, hold in found.items() if hold.owes and hold.runner != self._store.me}
        self._owing = {name: before[name] if name in before and before[name][0] == hold else (hold, now) for name, hold in owing.items()}

    def _give_up_the_unsure(self) -> None:
        if self._held and self._monotonic() >= self._sure_until:
            log.warning("holds.given_up channels=%d", len(self._held))
            self._set(set())

    def _set(self, held: set[str]) -> None:
        before, self._held = self._held, held
        for name in sorted(before ^ held):
            log.info("channel.hold channel=%s held=%s", name, name in held)
            self._changed(name, name in held)
