"""Builds everything once: the store, models, turns, workflows, deliveries."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from assistant import __version__
from assistant.app.agent import AgentParts, build_turns
from assistant.app.approvals import Approvals, open_approvals
from assistant.app.ledger import build_meter
from assistant.app.mcp import build_mcp
from assistant.app.memory import OpenMemory, build_memory
from assistant.app.models import AgentModels, OpenModel, open_models, open_registry
from assistant.app.sandbox import build_sandbox
from assistant.app.schedules import Later, build_schedules, open_later
from assistant.app.voice import build_voice
from assistant.app.web import OpenWeb, open_secrets
from assistant.app.workflows import build_workflows, offered
from assistant.config import ConfigError, Loaded
from assistant.config.errors import ConfigProblem
from assistant.config.extensions import ConfiguredChannels
from assistant.config.folders import make_home, make_workspace, shipped_workspace
from assistant.config.schema import Config, TraceSettings
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelSettings, opened_channel
from assistant.contracts.documents import DocumentReader
from assistant.contracts.errors import traceback_location
from assistant.contracts.ledger import Metering
from assistant.contracts.metrics import Metrics
from assistant.contracts.models import ModelInfo
from assistant.contracts.outbox import Deliveries
from assistant.contracts.records import record
from assistant.contracts.turns import MAIN
from assistant.contracts.voice import VoiceMessages
from assistant.delivery.dispatcher import Dispatcher
from assistant.delivery.service import DeliveryService, Watch
from assistant.documents.ocr import OcrReader, is_installed
from assistant.documents.reader import ChildReader
from assistant.ledger.meter import Meter
from assistant.ledger.report import UsageReports
from assistant.providers.choice import ChosenModel
from assistant.providers.registry import ModelRegistry
from assistant.sandbox.service import MachineSandbox
from assistant.schedule.service import ScheduleService
from assistant.skills.files import OWN
from assistant.skills.shelf import SkillShelf, open_shelf
from assistant.store.freezes import Freeze
from assistant.store.store import Store, open_store
from assistant.tasks.book import TaskBook
from assistant.tasks.runs import CommandRuns
from assistant.tasks.service import TaskService
from assistant.turns.direct import Direct
from assistant.turns.intake import CachingReader
from assistant.turns.service import Turns
from assistant.workflows.models import WorkflowModels
from assistant.workflows.service import WorkflowService

if TYPE_CHECKING:
    from assistant.app.traces import Traces

log = logging.getLogger(__name__)


@record
class OpenChannels:
    """The channels of this process and the dispatcher that sends through them."""

    opened: Sequence[Channel]
    failed: Mapping[str, str]
    """Enabled channels that could not be opened, with the reason."""
    dispatcher: Dispatcher


@record
class Services:
    """What the server, the terminal's chat and `nanobot workflows` run on."""

    loaded: Loaded
    models: dict[str, OpenModel]
    """By agent, MAIN first. A reload replaces them."""
    registry: ModelRegistry
    """The models that requests can name besides the agents; `direct` calls them."""
    direct: Direct
    store: Store
    memory: OpenMemory
    turns: Turns
    directory: ConfiguredChannels
    deliveries: Deliveries
    later: Later
    reader: DocumentReader
    workflows: WorkflowService
    workflow_models: WorkflowModels
    """The workflows that requests can name as models."""
    approvals: Approvals
    schedules: ScheduleService
    tasks: TaskService
    channels: OpenChannels | None
    """None: this process only writes to the outbox, and a server on the same store sends."""
    meter: Meter
    metering: Metering
    """In front of each model: the meter, and traces where there are some."""
    reports: UsageReports
    metrics: Metrics
    skills: SkillShelf
    voice: VoiceMessages
    freeze: Freeze | None
    """The store was restored when it was opened, and not resumed: see `Runtime.start`."""

    @property
    def choice(self) -> ChosenModel:
        return self.models[MAIN].choice

    @property
    def agents(self) -> Mapping[str, ModelInfo]:
        """The model of each agent, MAIN first."""
        return AgentModels(self.models)

    @property
    def spool(self) -> Path:
        """The folder for files of requests in progress."""
        return self.loaded.home / "spool"


@asynccontextmanager
async def open_services(loaded: Loaded, *, with_channels: bool = False) -> AsyncGenerator[Services]:
    """Build everything; at the end, or on failure, stop running turns and close what was opened. `with_channels`: open the enabled ones, which
    `Runtime` starts. Raises ConfigError and StoreUnavailable."""
    skills, offers = await asyncio.to_thread(_open_folders, loaded)
    async with AsyncExitStack() as opened:
        sandbox, directory = _probed_sandbox(loaded, opened), ConfiguredChannels(loaded.config.channels.by_name())
        store = await _open_store(loaded, directory, opened)
        traces = await _open_traces(loaded.config.traces, opened)
        metrics, meter, metering = _open_meter(loaded.config, store, traces)
        models, registry = await _open_models(loaded, metering, opened)
        files, reader = _open_readers(loaded.config, store, opened)
        channels, deliveries = _open_delivery(loaded, directory, store, metrics, with_channels=with_channels)
        later = open_later(store, directory, store.people)
        memory = build_memory(loaded, models, registry, store, store.people, opened)
        parts = AgentParts(
            loaded=loaded,
            models=models,
            store=store,
            directory=directory,
            deliveries=deliveries,
            reader=reader,
            memory=memory,
            later=later,
            sandbox=sandbox,
            runs=CommandRuns(store.tasks, TaskBook(store.tasks, store.sessions, [MAIN, *loaded.config.named_agents])),
            web=OpenWeb(loaded, files),
            mcp=build_mcp(loaded, store, reader, opened, sandbox=sandbox, secrets=open_secrets(loaded.config)),
            voice=build_voice(loaded, meter, sandbox, store.media, opened),
            skills=skills,
            metrics=metrics,
        )
        turns = await build_turns(parts, opened, traces)
        tasks = _open_tasks(parts, turns, opened)
        workflows, workflow_models = _open_workflows(parts, offers, turns, opened)
        yield Services(
            loaded=loaded,
            models=models,
            registry=registry,
            direct=_open_direct(loaded.config, reader, opened),
            store=store,
            memory=memory,
            turns=turns,
            directory=directory,
            deliveries=deliveries,
            later=later,
            reader=reader,
            workflows=workflows,
            workflow_models=workflow_models,
            tasks=tasks,
            schedules=build_schedules(loaded, store, turns, workflows, store.people, parts.web),
            approvals=open_approvals(loaded, store, turns),
            channels=channels,
            meter=meter,
            metering=metering,
            reports=UsageReports(store=store.ledger, budgets=meter.budgets, people=store.people),
            metrics=metrics,
            skills=skills,
            voice=parts.voice.messages,
            freeze=await store.freezes.get(),
        )


def _open_folders(loaded: Loaded) -> tuple[SkillShelf, Mapping[str, Path | None]]:
    """Make the state's folder and the workspace where they are missing. Returns the workspace's skills, and the workflows that are models. Blocks."""
    make_home(loaded.home)
    make_workspace(loaded.workspace)
    return open_shelf(loaded.workspace, loaded.home, shipped_workspace() / OWN), offered(loaded)


def _open_readers(config: Config, store: Store, opened: AsyncExitStack) -> tuple[ChildReader, CachingReader]:
    """(The reader in child processes, the one that remembers.)"""
    files = ChildReader(config.documents)  # one for all: it enforces documents.parallel
    opened.push_async_callback(files.close)
    if not is_installed():
        return files, CachingReader(files, store.attachments)
    ocr = OcrReader(files, config.documents)
    opened.push_async_callback(ocr.close)
    return files, CachingReader(ocr, store.attachments)


def _open_workflows(
    parts: AgentParts, offers: Mapping[str, Path | None], turns: Turns, opened: AsyncExitStack
) -> tuple[WorkflowService, WorkflowModels]:
    files = {name: file for name, file in offers.items() if file}
    workflows = build_workflows(parts.loaded, files, parts.store, turns, parts.deliveries, parts.reader)
    models = WorkflowModels(workflows, tuple(offers))
    opened.push_async_callback(models.close)
    opened.push_async_callback(workflows.close, grace=0)
    return workflows, models


def _open_tasks(parts: AgentParts, turns: Turns, opened: AsyncExitStack) -> TaskService:
    tasks = TaskService(store=parts.store, runs=parts.runs, turns=turns, settings=parts.loaded.config.tasks)
    opened.push_async_callback(tasks.close, grace=0)
    return tasks


async def _open_store(loaded: Loaded, directory: ConfiguredChannels, opened: AsyncExitStack) -> Store:
    """The store, with what dead processes left settled."""
    config = loaded.config
    store = await open_store(config.store, loaded.home, config.attachments, zone=config.zone, offers=directory.offers)
    opened.push_async_callback(store.close)
    await store.sessions.recover()
    await store.responses.recover()
    await store.ledger.recover()
    return store


def _open_delivery(
    loaded: Loaded, directory: ConfiguredChannels, store: Store, metrics: Metrics, *, with_channels: bool
) -> tuple[OpenChannels | None, DeliveryService]:
    """The channels of this process, if it has them, and the way to all."""
    watch = Watch() if with_channels else None
    channels = _open_channels(loaded, directory, store, watch, metrics) if watch else None
    enabled = channels.dispatcher.enabled if channels else loaded.config.enabled_channels.__contains__
    return channels, DeliveryService(store.outbox, enabled=enabled, watch=watch)


def _open_direct(config: Config, reader: CachingReader, opened: AsyncExitStack) -> Direct:
    direct = Direct(
        reader=reader,
        document_chars=config.agent.document_chars,
        document_pictures=config.documents.pictures,
        timeout=config.api.timeout,
    )
    opened.push_async_callback(direct.close)
    return direct


def _probed_sandbox(loaded: Loaded, opened: AsyncExitStack) -> MachineSandbox:
    """The sandbox, which tries the machine beside the store's opening; `build_turns` asks for the result."""
    sandbox = build_sandbox(loaded, open_secrets(loaded.config))
    opened.callback(asyncio.create_task(sandbox.rung()).cancel)
    opened.push_async_callback(sandbox.close)
    return sandbox


async def _open_models(loaded: Loaded, metering: Metering, opened: AsyncExitStack) -> tuple[dict[str, OpenModel], ModelRegistry]:
    """The models of the agents and those that requests can name, each behind the meter."""
    models = await open_models(loaded.config, metering)
    for model in models.values():
        opened.push_async_callback(model.provider.close)
    registry = open_registry(loaded, models[MAIN].choice, metering)
    opened.push_async_callback(registry.close)
    return models, registry


def _open_meter(config: Config, store: Store, traces: "Traces | None") -> tuple[Metrics, Meter, Metering]:
    meter = build_meter(config, store, store.people, metrics := Metrics())
    return metrics, meter, traces.metering(meter) if traces else meter


async def _open_traces(settings: TraceSettings, opened: AsyncExitStack) -> "Traces | None":
    """None: they are not configured, and nothing of OpenTelemetry is imported."""
    if settings.endpoint is None:
        return None
    try:
        from assistant.app.traces import open_traces  # noqa: PLC0415 - the SDK is an extra
    except ImportError:
        words = "needs OpenTelemetry's SDK: pip install 'nanobot[otel]'"
        raise ConfigError(ConfigProblem(path=("traces", "endpoint"), text=words)) from None
    traces = await asyncio.to_thread(open_traces, settings.endpoint, settings.headers)
    opened.push_async_callback(traces.close)
    return traces


def _open_channels(loaded: Loaded, directory: ConfiguredChannels, store: Store, watch: Watch, metrics: Metrics) -> OpenChannels:
    """Open the enabled channels. One that fails is noted and does not keep the others from opening. Imports the SDKs."""
    opened: list[Channel] = []
    failed: dict[str, str] = {}
    for name, settings in loaded.config.enabled_channels.items():
        channel, why = open_channel(loaded.home, directory, store, name, settings)
        if channel is None:
            failed[name] = why
        else:
            opened.append(channel)
    dispatcher = Dispatcher(store.outbox, store.notifier, opened, loaded.config.deliver, watch=watch, metrics=metrics)
    return OpenChannels(opened=opened, failed=failed, dispatcher=dispatcher)


def open_channel(
    home: Path, directory: ConfiguredChannels, store: Store, name: str, settings: ChannelSettings
) -> tuple[Channel | None, str]:
    """(The adapter; None and why there is none.) Imports its SDK."""
    kind = directory.kind(name)
    try:
        if kind is None:
            raise ChannelFailed("the package that gave this channel is gone", fatal=True)
        context = ChannelContext(files=store.media, version=__version__, notes=store.notes(name), folder=home / "channels" / name)
        return opened_channel(kind, settings, context), ""
    except ChannelFailed as error:
        log.warning("channel.not_opened channel=%s", name)
        return None, str(error)
    except Exception as bug:  # noqa: BLE001 - one adapter's fault, or a broken SDK, must not keep the server from starting
        log.error("channel.bug channel=%s error=%s", name, traceback_location(bug))  # noqa: TRY400 - no words
        return None, f"the adapter can't be opened ({type(bug).__name__}); the log has the details"
