"""Everything that is built once: the store, models, turns, workflows, deliveries."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from assistant import __version__
from assistant.api.health import ReadinessCheck
from assistant.app.agent import OpenModel, build_turns, open_models
from assistant.app.workflows import build_workflows, offered
from assistant.config import Config, ConfigError, Loaded
from assistant.config.directory import ConfiguredChannels
from assistant.config.errors import ConfigProblem
from assistant.config.folders import make_home, make_workspace
from assistant.contracts.channels import Channel, ChannelContext, ChannelDirectory, ChannelFailed
from assistant.contracts.documents import DocumentReader
from assistant.contracts.errors import NanobotError, ProviderFailed, traceback_location
from assistant.contracts.hooks import Hooks
from assistant.contracts.models import ModelInfo, ModelProvider
from assistant.contracts.outbox import Deliveries
from assistant.contracts.turns import MAIN
from assistant.delivery.dispatcher import Dispatcher
from assistant.delivery.service import DeliveryService, Watch
from assistant.documents.reader import ChildReader
from assistant.providers.choice import OFFLINE, ChosenModel, NoSuchProvider, choose, reach
from assistant.providers.listing import ListedModels, ListModels
from assistant.providers.registry import ModelRegistry, list_models
from assistant.store.store import Store, open_store
from assistant.turns.direct import Direct
from assistant.turns.intake import CachingReader
from assistant.turns.service import Turns
from assistant.workflows.models import WorkflowModels
from assistant.workflows.service import WorkflowService


def open_registry(loaded: Loaded, default: ChosenModel) -> ModelRegistry:
    """`default`: the default agent's model. Raises ConfigError where a model names an unknown provider."""
    config = loaded.config
    for name, model in config.models.items():
        if model.provider not in ("auto", OFFLINE):
            try:
                reach(model.provider, providers=config.providers, environment=os.environ)
            except NoSuchProvider as error:
                raise ConfigError(ConfigProblem(path=("models", name, "provider"), text=str(error), origin="")) from error

    async def choose_model(model: str, provider: str) -> ChosenModel:
        try:
            return await choose(model=model, provider=provider, providers=config.providers, environment=os.environ)
        except NoSuchProvider as error:
            raise ProviderFailed(str(error), retryable=False) from error

    lists = ListedModels({name: _list_models(config, name) for name, settings in config.providers.items() if settings.list})
    return ModelRegistry(config.models, lists, choose_model, offline=default.provider == OFFLINE, folder=loaded.folder)


def _list_models(config: Config, provider: str) -> ListModels:
    async def ask() -> list[str]:
        try:
            reached = reach(provider, providers=config.providers, environment=os.environ)
        except NoSuchProvider as error:
            raise ProviderFailed(str(error), retryable=False) from error
        return list(await list_models(reached))

    return ask


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    channels: Sequence[Channel]
    unopened: Mapping[str, str]
    """Channels that are enabled and can't be opened, with why."""
    dispatcher: Dispatcher
    deliveries: DeliveryService

    @property
    def hooks(self) -> Hooks | None:
        """The channel that takes messages by POST /hooks/{name}, if one is open."""
        return next((channel for channel in self.channels if isinstance(channel, Hooks)), None)


def open_outlet(loaded: Loaded, directory: ConfiguredChannels, store: Store) -> Outlet:
    """Open what is enabled; what can't be is noted, and keeps nothing else from opening. Imports the SDKs. Needs a running event loop."""
    context = ChannelContext(files=store.media, version=__version__)
    channels: list[Channel] = []
    unopened: dict[str, str] = {}
    for name, settings in loaded.config.enabled_channels.items():
        kind = directory.kind(name)
        try:
            if kind is None:
                raise ChannelFailed("the package that gave this channel is gone", fatal=True)
            channels.append(kind.open(settings, context))
        except ChannelFailed as error:
            unopened[name] = str(error)
            log.warning("channel.not_opened channel=%s", name)
        except Exception as bug:  # noqa: BLE001 - one adapter's fault, or a broken SDK, must not keep the server from starting
            unopened[name] = f"the adapter can't be opened ({type(bug).__name__}); the log has the details"
            log.error("channel.bug channel=%s error=%s", name, traceback_location(bug))  # noqa: TRY400 - no words
    watch = Watch()
    dispatcher = Dispatcher(store.outbox, store.notifier, channels, loaded.config.deliver, watch=watch)
    deliveries = DeliveryService(store.outbox, enabled=dispatcher.enabled, watch=watch)
    return Outlet(channels=channels, unopened=unopened, dispatcher=dispatcher, deliveries=deliveries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assistant:
    """What runs, for whoever opens it: the server, the command line, a test."""

    loaded: Loaded
    models: Mapping[str, OpenModel]
    """By agent; the default one's is `choice` and `model`."""
    registry: ModelRegistry
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

    async def readiness(self) -> Sequence[ReadinessCheck]:
        """What must hold to do the work, with the reason where it does not."""
        return [await self._store_check(), ReadinessCheck(name="model", ok=not self.choice.remedy, detail=str(self.choice))]

    async def _store_check(self) -> ReadinessCheck:
        try:
            await self.store.sessions.check()
        except NanobotError as error:
            return ReadinessCheck(name="store", ok=False, detail=error.message)
        return ReadinessCheck(name="store", ok=True, detail="can be written")


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
    reader = CachingReader(ChildReader(config.documents), store.attachments)  # one for all: it is what keeps documents.parallel
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
