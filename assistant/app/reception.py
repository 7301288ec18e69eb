"""The way in: what channels receive is taken in and answered; and the order in which everything starts and stops."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from assistant.access.senders import Senders
from assistant.app.assistant import Assistant
from assistant.app.outlet import Outlet
from assistant.contracts.channels import ChannelStatus
from assistant.delivery.supervisor import Supervisors
from assistant.inbound.service import Inbound

_FOR_SENDING: Final = 0.2
"""The share of the grace that is kept for sends that run when the turns have ended."""


class Reception:
    """Everything that runs beside the API, from `start` to `stop`."""

    def __init__(self, assistant: Assistant, outlet: Outlet) -> None:
        store, config = assistant.store, assistant.loaded.config
        enabled = config.enabled_channels
        self._assistant = assistant
        self.hooks = outlet.hooks
        """Who takes POST /hooks/{name}."""
        self._dispatcher = outlet.dispatcher
        self._inbound = Inbound(
            inbox=store.inbox,
            outbox=store.outbox,
            pairings=store.pairings,
            sessions=store.sessions,
            turns=assistant.turns,
            senders=Senders(enabled, store.pairings),
            conversations={channel.name: channel.conversation for channel in outlet.channels},
            spool=assistant.spool,
            model=assistant.model.info.id,
            expire_after=timedelta(seconds=config.deliver.expire_after),
            quoting=frozenset(name for name, settings in enabled.items() if settings.quotes_in_private),
            overview=self._overview,
        )
        self._supervisors = Supervisors(
            outlet.channels,
            inbound=self._inbound,
            states=store.channel_states,
            connected=outlet.dispatcher.connected,
            unopened=outlet.unopened,
        )

    async def start(self) -> None:
        """What a dead process left is put back by each as it starts. Nothing comes in before what goes out can. Raises StoreUnavailable."""
        self._dispatcher.start()
        await self._inbound.start()
        self._supervisors.start()
        await self._assistant.workflows.begin(takes_over=True)

    def statuses(self) -> Sequence[ChannelStatus]:
        """How each channel fares."""
        return self._supervisors.statuses()

    async def stop(self, grace: float) -> None:
        """No new messages, jobs and nodes; then the turns end, and the nodes; what did not is handed back; then what is being sent is settled.
        Within `grace` seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + grace

        def left(kept: float = 0) -> float:
            return max(0.0, end - loop.time() - kept)

        kept = grace * _FOR_SENDING
        self._assistant.workflows.stop_beginning()
        await self._supervisors.stop(left(kept))
        await self._assistant.turns.close(left(kept))
        await self._assistant.workflows.close(left(kept))
        await self._assistant.asked_workflows.close()
        await self._inbound.close(left(kept / 2))
        await self._dispatcher.close(left())

    async def close(self) -> None:
        """Close the adapters, and whatever was left running. Safe after `stop`, and without it."""
        await self._inbound.close(0)
        await self._dispatcher.close(0)
        await self._supervisors.close()

    async def _overview(self) -> Sequence[str]:
        """For /status: how channels fare, and what waits or went wrong."""
        lines = [f"{status.name}: {status.state}{f' ({status.detail})' if status.detail else ''}" for status in self.statuses()]
        counts = await self._assistant.store.outbox.counts()
        lines += [
            f"Deliveries on {channel}, {state}: {count}" for (channel, state), count in sorted(counts.items()) if state != "sent" and count
        ]
        return lines
