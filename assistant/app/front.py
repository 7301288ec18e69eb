"""What stands behind a port: the API put together, and what runs beside it; whole, or chat only."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

from starlette.types import ASGIApp

from assistant import __version__
from assistant.access.build import auth_mode
from assistant.api.app import create_app
from assistant.api.chat_app import create_chat_app
from assistant.api.deliveries.endpoints import Outgoing
from assistant.api.files.endpoints import Shelf
from assistant.app.assistant import Assistant, open_assistant
from assistant.app.chores import chores
from assistant.app.doors import open_doors
from assistant.app.reception import Reception
from assistant.app.workflows import check_asked
from assistant.config import Loaded

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
        doorkeeper=open_doors(loaded.config, store),
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
        shelf=Shelf(files=store.files, reader=assistant.reader),
        workflows=assistant.workflows,
        asked=assistant.asked_workflows,
    )


def _chat(assistant: Assistant, *, mounted: bool, trusts_host: bool) -> ASGIApp:
    config, store = assistant.loaded.config, assistant.store
    lets_in_anybody = auth_mode(config.auth, config.api.api_key) == "none" and mounted and not trusts_host
    return create_chat_app(
        settings=config.api,
        doorkeeper=replace(open_doors(config, store), owner_is_here=lets_in_anybody),
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
