"""What runs: the API's application, channels, the dispatcher, the inbox; started and stopped in order."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

from starlette.types import ASGIApp

from assistant import __version__
from assistant.access.principals import auth_mode
from assistant.access.recipients import Senders
from assistant.api.app import create_app
from assistant.api.chat_app import create_chat_app
from assistant.api.deliveries import Outgoing
from assistant.api.files import FileService
from assistant.app.auth import build_auth
from assistant.app.maintenance import chores
from assistant.app.services import Assistant, Outlet, open_assistant
from assistant.app.workflows import check_asked
from assistant.config import Loaded
from assistant.contracts.channels import ChannelStatus
from assistant.delivery.supervisor import Supervisors
from assistant.inbound.service import InboundService

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
        self._inbound = InboundService(
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


FOR_TURNS: Final = 0.95
"""The share of the grace in which turns and sends end; the rest is for their answers to leave."""


class Beside(Protocol):
    """What runs beside the API."""

    async def start(self) -> None:
        """Called once what the API needs is there. Raises StoreUnavailable."""
        ...

    async def stop(self, grace: float) -> None:
        """End what runs, within `grace` seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    app: ASGIApp
    assistant: Assistant
    beside: Beside


@asynccontextmanager
async def opened_front(loaded: Loaded, *, chat_only: bool, mounted: bool = False, trusts_host: bool = False) -> AsyncGenerator[Front]:
    """Not started yet. `mounted`: another program's server calls the app; so, where nobody is asked who they are, only this machine may ask,
    unless it `trusts_host` to let in only whom it knows. Raises ConfigError, CannotLetIn, StoreUnavailable."""
    async with open_assistant(loaded, with_channels=not chat_only) as assistant, chores(assistant):
        await check_asked(assistant.workflows, assistant.asked_workflows)
        if chat_only:
            app = _chat(assistant, mounted=mounted, trusts_host=trusts_host)
            yield Front(app=app, assistant=assistant, beside=_Turns(assistant))
        else:
            async with _receiving(assistant) as reception:
                yield Front(app=_whole(assistant, reception), assistant=assistant, beside=reception)


def _whole(assistant: Assistant, reception: Reception) -> ASGIApp:
    loaded, store = assistant.loaded, assistant.store
    return create_app(
        settings=loaded.config.api,
        doorkeeper=build_auth(loaded.config, store),
        turns=assistant.turns,
        sessions=store.sessions,
        agents=assistant.agents,
        registry=assistant.registry,
        direct=assistant.direct,
        ready=assistant.readiness,
        spool_folder=assistant.spool,
        version=__version__,
        outgoing=Outgoing(
            deliveries=assistant.deliveries,
            outbox=store.outbox,
            files=store.media,
            channels=assistant.directory,
            expire_after=timedelta(seconds=loaded.config.deliver.expire_after),
        ),
        channels=reception.statuses,
        hooks=reception.hooks,
        repeats=store.repeats,
        responses=store.responses,
        shelf=FileService(files=store.files, reader=assistant.reader),
        workflows=assistant.workflows,
        asked=assistant.asked_workflows,
    )


def _chat(assistant: Assistant, *, mounted: bool, trusts_host: bool) -> ASGIApp:
    config, store = assistant.loaded.config, assistant.store
    lets_in_anybody = auth_mode(config.auth, config.api.api_key) == "none" and mounted and not trusts_host
    return create_chat_app(
        settings=config.api,
        doorkeeper=replace(build_auth(config, store), owner_is_here=lets_in_anybody),
        turns=assistant.turns,
        agents=assistant.agents,
        registry=assistant.registry,
        direct=assistant.direct,
        asked=assistant.asked_workflows,
        ready=assistant.readiness,
        repeats=store.repeats,
        spool_folder=assistant.spool,
        version=__version__,
        mounted=mounted,
    )


@asynccontextmanager
async def _receiving(assistant: Assistant) -> AsyncGenerator[Reception]:
    """What runs beside the API; not started yet."""
    if assistant.outlet is None:
        raise RuntimeError("an assistant is served with its channels opened")
    reception = Reception(assistant, assistant.outlet)
    try:
        yield reception
    finally:
        await reception.close()


@dataclass(frozen=True, slots=True)
class _Turns:
    """Turns and jobs, without channels."""

    assistant: Assistant

    async def start(self) -> None:
        await self.assistant.workflows.begin(takes_over=True)

    async def stop(self, grace: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        self.assistant.workflows.stop_beginning()
        await self.assistant.turns.close(grace)
        await self.assistant.workflows.close(max(0.0, end - loop.time()))
        await self.assistant.asked_workflows.close()
