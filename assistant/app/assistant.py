"""The assistant: a model, a store, turns; with or without the ways out and in."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from assistant.api.health import Check
from assistant.app.agent import OpenModel, build_turns, open_models
from assistant.app.models import open_registry
from assistant.app.outlet import Outlet, open_outlet
from assistant.app.workflows import build_workflows, offered
from assistant.config import Loaded
from assistant.config.directory import ConfiguredChannels
from assistant.config.folders import make_home, make_workspace
from assistant.contracts.channels import ChannelDirectory
from assistant.contracts.documents import DocumentReader
from assistant.contracts.errors import NanobotError
from assistant.contracts.models import ModelInfo, ModelProvider
from assistant.contracts.outbox import Deliveries
from assistant.contracts.turns import MAIN
from assistant.delivery.service import DeliveryService
from assistant.documents.reader import ChildReader
from assistant.providers.choice import ChosenModel
from assistant.providers.registry import Registry
from assistant.store.store import Store, open_store
from assistant.turns.direct import Direct
from assistant.turns.reading import ReadOnce
from assistant.turns.service import Turns
from assistant.workflows.models import WorkflowModels
from assistant.workflows.service import WorkflowService


@dataclass(frozen=True, slots=True, kw_only=True)
class Assistant:
    """What runs, for whoever opens it: the server, the command line, a test."""

    loaded: Loaded
    models: Mapping[str, OpenModel]
    """By agent; the default one's is `choice` and `model`."""
    registry: Registry
    """The models that clients may name besides the agents."""
    direct: Direct
    """Asks them."""
    store: Store
    turns: Turns
    directory: ChannelDirectory
    deliveries: Deliveries
    reader: DocumentReader
    workflows: WorkflowService
    asked_workflows: WorkflowModels
    """Those that clients may ask as models."""
    outlet: Outlet | None
    """The channels that it has opened; None: it writes to the outbox, and a server that runs on the same store sends."""

    @property
    def choice(self) -> ChosenModel:
        return self.models[MAIN].choice

    @property
    def model(self) -> ModelProvider:
        return self.models[MAIN].provider

    @property
    def agents(self) -> Mapping[str, ModelInfo]:
        """The model of each agent, MAIN first."""
        return {name: model.provider.info for name, model in self.models.items()}

    @property
    def spool(self) -> Path:
        """Where files lie while a request is taken in."""
        return spool_folder(self.loaded)

    async def readiness(self) -> Sequence[Check]:
        """What must hold to do the work, with the reason where it does not."""
        return [await self._store_check(), Check(name="model", ok=not self.choice.remedy, detail=str(self.choice))]

    async def _store_check(self) -> Check:
        try:
            await self.store.sessions.check()
        except NanobotError as error:
            return Check(name="store", ok=False, detail=error.message)
        return Check(name="store", ok=True, detail="can be written")


@asynccontextmanager
async def open_assistant(loaded: Loaded, *, with_channels: bool = False) -> AsyncGenerator[Assistant]:
    """Build everything; at the end, stop the turns that still run and close what was opened. `with_channels`: open those that are enabled; they
    are started by whoever serves. Raises ConfigError and StoreUnavailable."""
    config = loaded.config
    await asyncio.to_thread(_make_folders, loaded)
    offers = await asyncio.to_thread(offered, loaded)
    models = await open_models(config)
    registry = open_registry(loaded, models[MAIN].choice)
    store = await open_store(config.store, loaded.home, config.attachments)
    reader = ReadOnce(ChildReader(config.documents), store.attachments)  # one for all: it is what keeps documents.parallel
    direct = Direct(reader=reader, document_chars=config.agent.document_chars, timeout=config.api.timeout)
    try:
        await store.sessions.recover()
        await store.responses.recover()
        directory = ConfiguredChannels(config.channels.by_name())
        outlet = open_outlet(loaded, directory, store) if with_channels else None
        deliveries = outlet.deliveries if outlet else DeliveryService(store.outbox, enabled=config.enabled_channels.__contains__)
        turns = await build_turns(loaded, models, store, directory, deliveries, reader)
        workflows = build_workflows(loaded, offers, store, turns, deliveries, reader, spool_folder(loaded))
        asked = WorkflowModels(workflows, offers.ids)
        try:
            yield Assistant(
                loaded=loaded,
                models=models,
                registry=registry,
                direct=direct,
                store=store,
                turns=turns,
                directory=directory,
                deliveries=deliveries,
                reader=reader,
                workflows=workflows,
                asked_workflows=asked,
                outlet=outlet,
            )
        finally:
            await workflows.close(grace=0)
            await asked.close()
            await direct.close()
            await turns.close(grace=0)
            for agent in turns.agents.values():
                await agent.toolbox.close()
    finally:
        await registry.close()
        for model in models.values():
            await model.provider.close()
        await store.close()


def spool_folder(loaded: Loaded) -> Path:
    return loaded.home / "spool"


def _make_folders(loaded: Loaded) -> None:
    make_home(loaded.home)
    make_workspace(loaded.workspace)
