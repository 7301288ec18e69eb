"""How channels fare: kept in memory for this process, and written down for others on every change."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from assistant.contracts.channels import ChannelStates, ChannelStatus, ConnectionState
from assistant.contracts.clock import Clock
from assistant.contracts.errors import StoreUnavailable

log = logging.getLogger(__name__)

_AGAIN: Final = 5.0
"""Seconds, after the store refused."""
_LAST: Final = 2.0
"""Seconds to write what is left at the end."""


class StateBook:
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
