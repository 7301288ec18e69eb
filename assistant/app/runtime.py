"""What runs while the server is up: turns, jobs, upkeep, and with channels the dispatcher and the inbox; started and stopped in order."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final, NamedTuple

from starlette.types import ASGIApp

from assistant import __version__
from assistant.access.authenticator import Authenticator, KeyWatch
from assistant.access.browsers import BrowserAccess
from assistant.access.principals import auth_mode, build_access, shared_secrets
from assistant.access.recipients import Senders
from assistant.api.app import ApiServices, create_app
from assistant.api.changes import ChangeFeed
from assistant.api.deliveries import Outgoing, Reach
from assistant.api.files import FileService
from assistant.api.health import ReadinessCheck
from assistant.api.memories import MemoryResources
from assistant.api.metrics import Depths
from assistant.api.people import Household
from assistant.api.schedules import ScheduleEndpoints
from assistant.app.administration import channel_setup, configured, examine
from assistant.app.ledger import BudgetNotices, UsageCommand
from assistant.app.reload import Reloader
from assistant.app.services import OpenChannels, Services, open_channel, open_services
from assistant.app.upkeep import preload, renew_tools, sweep, trim_memory
from assistant.app.workflows import check_workflow_models
from assistant.config import Loaded
from assistant.contracts.channels import CalledChannel, ChannelSettings, ChannelStatus
from assistant.contracts.errors import NanobotError
from assistant.contracts.hooks import Hooks
from assistant.contracts.turns import MAIN
from assistant.delivery.dispatcher import Dispatcher
from assistant.delivery.holds import ChannelHolds
from assistant.delivery.reports import DeliveryReports
from assistant.delivery.supervisor import Supervisors
from assistant.inbound.continuations import ContinuationService
from assistant.inbound.files import Fetcher
from assistant.inbound.pairing import pairing_desk
from assistant.inbound.replies import Writer
from assistant.inbound.service import InboundService
from assistant.inbound.spoken import SpokenReplies
from assistant.memory.search import StoredSearch
from assistant.tasks.command import TaskCommand

log = logging.getLogger(__name__)

FOR_TURNS: Final = 0.95
"""The share of the grace in which turns and sends end; the rest is for their answers to leave."""
_FOR_SENDING: Final = 0.2
"""The share of that which is kept for sends that run when the turns have ended."""
_ASK_SECONDS: Final = 30
"""Between two looks at whether a restored store was resumed, without a notification."""


class _Gateway(NamedTuple):
    dispatcher: Dispatcher
    inbound: InboundService
    supervisors: Supervisors
    reports: DeliveryReports
    holds: ChannelHolds


class Runtime:
    """Everything that runs beside the API, from `start` to `stop`."""

    def __init__(self, services: Services, read: Callable[[], Loaded] | None = None) -> None:
        self.services = services
        self._continued = ContinuationService(
            store=services.store.continuations,
            notifier=services.store.notifier,
            turns=services.turns,
            expire_after=timedelta(seconds=services.loaded.config.deliver.expire_after),
        )
        self.loaded = services.loaded
        """The configuration that holds now: a reload renews it."""
        self.reloader = Reloader(self, read) if read else None
        self._enabled = dict(services.loaded.config.enabled_channels)
        self._conversations = {channel.name: channel.conversation for channel in (services.channels.opened if services.channels else ())}
        self._gateway = None if services.channels is None else self._open_gateway(services.channels)
        self.changes = ChangeFeed(services.store.changes, services.store.notifier)
        self._upkeep: list[asyncio.Task[None]] = []

    async def let_in(self, channels: Mapping[str, ChannelSettings]) -> None:
        """Go by these settings of channels that run: who may write, and who is the owner. Raises StoreUnavailable."""
        if self._gateway is not None:
            await self._follow_owners({**self._enabled, **channels})
            self._enabled |= channels
            self.services.directory.renew(channels)

    async def replace_channel(self, name: str, settings: ChannelSettings) -> None:
        """Connect a channel by other settings, or switch it off. One that does not open is off, and its state says why. Raises StoreUnavailable."""
        if self._gateway is None:
            return
        self.services.directory.renew({name: settings})
        channel, why = None, "it was switched off"
        if settings.enabled:
            channel, why = open_channel(self.services.loaded.home, self.services.directory, self.services.store, name, settings)
        if not self._gateway.holds.holds(name):  # then it waits until it is
            self._hold(name, False)
        if channel is None:
            self._gateway.dispatcher.switch_off(name)
        else:
            self._conversations[name] = channel.conversation
            self._gateway.dispatcher.replace(channel)
        if settings.enabled:
            self._enabled[name] = settings
        else:
            self._enabled.pop(name, None)
        await self._gateway.supervisors.replace(name, channel, why)
        await self._gateway.holds.want(name, channel is not None)
        await self._follow_owners(self._enabled)

    async def start(self) -> None:
        """Start to send before anything is received; each part first recovers what a dead process left. A restored store waits for
        `nanobot resume` with all of that, and the API serves meanwhile. Raises StoreUnavailable."""
        self.services.memory.service.listen()
        await self.services.memory.learning.start()
        self.services.store.history.start()
        upkeep = [
            preload(self.services),
            sweep(self.services),
            renew_tools(self.services),
            trim_memory(),
            self.services.approvals.expire_in_time(),
        ]
        if self.services.freeze is None:
            await self._begin()
        else:
            log.warning("store.frozen made=%s", self.services.freeze.made.isoformat())
            self.services.tasks.hold()
            await self.services.workflows.begin(takes_over=False)
            upkeep.append(self._begin_once_resumed())
        self._upkeep = [asyncio.create_task(work) for work in upkeep]

    async def _begin(self) -> None:
        if self._gateway is not None:
            await self._follow_owners(self._enabled)
            await self._gateway.holds.start()
            self._gateway.dispatcher.start()
            await self._gateway.inbound.start()
            self._gateway.supervisors.start()
        await self.services.workflows.begin(takes_over=True)
        await self.services.tasks.start()
        await self._continued.start()
        if self._gateway is not None:
            await self.services.schedules.start()

    async def _begin_once_resumed(self) -> None:
        heard = asyncio.Event()
        self.services.store.notifier.listen(heard.set)
        frozen = True
        while frozen:
            heard.clear()
            try:
                frozen = await self.services.store.freezes.get() is not None
            except NanobotError as error:
                log.warning("store.not_asked code=%s", error.code)
            with suppress(TimeoutError):
                async with asyncio.timeout(_ASK_SECONDS if frozen else 0):
                    await heard.wait()
        log.info("store.resumed")
        try:
            await self._begin()
        except NanobotError as error:  # not tried again: a part of it has begun
            log.error("store.not_resumed code=%s advice=%s", error.code, "restart")  # noqa: TRY400 - no words

    async def stop(self, grace: float) -> None:
        """Within `grace` seconds: accept no more, let turns end, then nodes; hand back what did not end; settle what is being sent."""
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        kept = 0 if self._gateway is None else grace * _FOR_SENDING

        def left(kept: float = 0) -> float:
            return max(0.0, end - loop.time() - kept)

        self.changes.close()
        self.services.turns.leave_others()
        await self.services.schedules.stop_beginning()
        self.services.workflows.stop_beginning()
        await self.services.tasks.stop_beginning()
        if self._gateway is not None:
            await self._gateway.supervisors.stop(left(kept))
            await self._gateway.holds.let_go()
        await self.services.turns.close(left(kept))
        await self.services.schedules.close(left(kept / 2))
        await self.services.tasks.close(left(kept / 2))
        await self.services.workflows.close(left(kept))
        await self.services.workflow_models.close()
        await self._continued.close(left(kept / 2))
        if self._gateway is not None:
            await self._gateway.inbound.close(left(kept / 2))
            await self._gateway.dispatcher.close(left())

    async def close(self) -> None:
        """Close the channels and end what still runs. Safe after `stop`, and without it."""
        await self.services.schedules.close(0)
        await self.services.tasks.close(0)
        await self._continued.close(0)
        if self._gateway is not None:
            await self._gateway.inbound.close(0)
            await self._gateway.dispatcher.close(0)
            await self._gateway.supervisors.close()
            await self._gateway.holds.let_go()
            await self._gateway.reports.close()
        for task in self._upkeep:
            task.cancel()
        if self._upkeep:
            await asyncio.wait(self._upkeep)

    def statuses(self) -> Sequence[ChannelStatus]:
        return () if self._gateway is None else self._gateway.supervisors.statuses()

    async def readiness(self) -> Sequence[ReadinessCheck]:
        """For GET /ready: whether the store can be written and a model is available."""
        try:
            await self.services.store.sessions.check()
            store = ReadinessCheck(name="store", ok=True, detail="can be written")
        except NanobotError as error:
            store = ReadinessCheck(name="store", ok=False, detail=error.message)
        return [store, ReadinessCheck(name="model", ok=not self.services.choice.remedy, detail=str(self.services.choice))]

    async def _overview(self) -> Sequence[str]:
        """For /status: the channels' states, and the deliveries that wait or went wrong."""
        lines = [f"{status.name}: {status.state}{f' ({status.detail})' if status.detail else ''}" for status in self.statuses()]
        counts = await self.services.store.outbox.counts()
        waiting = sorted((where, count) for where, count in counts.items() if where[1] != "sent" and count)
        return lines + [f"Deliveries on {channel}, {state}: {count}" for (channel, state), count in waiting]

    async def _follow_owners(self, enabled: Mapping[str, ChannelSettings]) -> None:
        """The senders that the enabled channels name as owners are the owner. Those of channels that this process lacks stay as they are."""
        named = [f"{name}:{sender}" for name, settings in enabled.items() if not settings.let_in_by_secret for sender in settings.owners]
        await self.services.store.links.follow(named, list(enabled))
        await self.services.store.links.settle()

    async def depths(self) -> Depths:
        """For GET /metrics: what waits or runs now."""
        counts = await self.services.store.outbox.counts()
        waiting = {state: sum(count for (_, each), count in counts.items() if each == state) for state in ("queued", "sending", "unknown")}
        return Depths(
            waiting={
                **{f"outbox_{state}": count for state, count in waiting.items()},
                "inbox": len(await self.services.store.inbox.waiting()),
                "turns": self.services.turns.at_work,
            },
            occurrences=await self.services.store.occurrences.counts(),
        )

    def _open_gateway(self, channels: OpenChannels) -> _Gateway:
        services, store, config = self.services, self.services.store, self.services.loaded.config
        enabled = self._enabled
        inbound = InboundService(
            store=store,
            turns=services.turns,
            senders=Senders(enabled, store.pairings),
            conversations=self._conversations,
            fetcher=Fetcher(services.spool),
            writer=Writer(
                expire_after=timedelta(seconds=config.deliver.expire_after),
                quoting=frozenset(name for name, settings in enabled.items() if settings.quotes_in_private),
                spoken=SpokenReplies(messages=services.voice, same=config.voice.reply == "same", quote=config.voice.quote == "on"),
            ),
            model=services.agents[MAIN].id,
            continued=self._continued,
            overview=self._overview,
            commands={
                "memory": services.memory.command,
                "usage": UsageCommand(services.reports),
                **services.later.commands.handlers,
                "tasks": TaskCommand(services.tasks.book),
                **services.approvals.commands.handlers,
            },
        )
        services.meter.tell = BudgetNotices(store=store, people=store.people, channels=dict(enabled)).tell
        dispatcher = channels.dispatcher
        reports = DeliveryReports(store.outbox, metrics=services.metrics)
        supervisors = Supervisors(
            channels.opened,
            inbound=inbound,
            reports=reports,
            states=store.channel_states,
            connected=dispatcher.connected,
            unopened=channels.failed,
        )
        for channel in channels.opened:
            dispatcher.hold(channel.name, False)
            supervisors.hold(channel.name, False)
        holds = ChannelHolds(store.holds, store.notifier, self._hold, wanted=[channel.name for channel in channels.opened])
        return _Gateway(dispatcher, inbound, supervisors, reports, holds)

    def _hold(self, channel: str, held: bool) -> None:
        """Run a channel and send on it, or leave both to another server; what one that died has left of it is looked for at once."""
        if self._gateway is not None:
            self._gateway.dispatcher.hold(channel, held)
            self._gateway.supervisors.hold(channel, held)
            if held:
                self._gateway.inbound.look()


@asynccontextmanager
async def open_runtime(
    loaded: Loaded,
    *,
    chat_only: bool,
    mounted: bool = False,
    trusts_host: bool = False,
    read: Callable[[], Loaded] | None = None,
) -> AsyncGenerator[tuple[Runtime, ASGIApp]]:
    """The runtime, not started yet, and the API.

    `chat_only`: chat completions and models, no channels. `mounted`: another program's server calls the API; without authentication, only this
    machine is let in then, unless the API `trusts_host` to let in only whom it knows. `read`: gives the configuration
    anew; None: there is no reload. Raises ConfigError, CannotLetIn, StoreUnavailable.
    """
    config = loaded.config
    async with open_services(loaded, with_channels=not chat_only) as services:
        runtime = Runtime(services, read)
        try:
            await check_workflow_models(services.workflows, services.workflow_models)
            store, mode = services.store, auth_mode(config.auth, config.api.api_key)
            authenticator = Authenticator(
                access=build_access(config.auth, config.api.api_key, store.keys, store.people.of),
                limiter=store.limits,
                defaults=config.default_limits,
                keys=KeyWatch(store.keys, store.browsers),
                browsers=None if chat_only else BrowserAccess(store.browsers, shared_secrets(config.auth, config.api.api_key, mode)),
            )
            api = _api_services(runtime, authenticator)
            if chat_only:
                from assistant.api.chat_app import create_chat_app  # noqa: PLC0415 - `nanobot serve` does not need it

                local_only = mounted and not trusts_host and mode == "none"
                api = replace(api, authenticator=replace(authenticator, owner_is_here=local_only))
                yield runtime, create_chat_app(api, mounted=mounted)
            else:
                yield runtime, create_app(api)
        finally:
            await runtime.close()


def _api_services(runtime: Runtime, authenticator: Authenticator) -> ApiServices:
    services, store, config = runtime.services, runtime.services.store, runtime.services.loaded.config
    opened = services.channels.opened if services.channels else ()
    reach = Reach(channels=services.directory, people=store.people, chats=store.inbox)
    return ApiServices(
        settings=config.api,
        authenticator=authenticator,
        turns=services.turns,
        sessions=store.sessions,
        agents=services.agents,
        registry=services.registry,
        direct=services.direct,
        ready=runtime.readiness,
        spool_folder=services.spool,
        version=__version__,
        channels=runtime.statuses,
        outgoing=Outgoing(
            deliveries=services.deliveries,
            outbox=store.outbox,
            files=store.media,
            reach=reach,
            expire_after=timedelta(seconds=config.deliver.expire_after),
        ),
        schedules=ScheduleEndpoints(book=services.later.book, words=services.later.words, reach=reach, limits=config.api.limits),
        tasks=services.tasks.book,
        approvals=services.approvals.book,
        hooks=next((channel for channel in opened if isinstance(channel, Hooks)), None),
        called=[channel for channel in opened if isinstance(channel, CalledChannel)],
        idempotency=store.idempotency,
        responses=store.responses,
        keys=store.keys,
        pairings=pairing_desk(store, config.deliver.expire_after),
        configured=partial(configured, runtime),
        channel_setup=channel_setup(runtime),
        examine=partial(examine, runtime),
        household=Household(people=store.people, links=store.links, channels=services.directory),
        files=FileService(files=store.files, reader=services.reader),
        memory=MemoryResources(store=store, memory=services.memory.service),
        workflows=services.workflows,
        workflow_models=services.workflow_models,
        usage=services.reports,
        audit=store.audit,
        attachments=store.attachments,
        search=StoredSearch(store.database, store.history, store.people),
        changes=runtime.changes,
        hears=config.voice.transcriber is not None,
        metrics=services.metrics,
        depths=runtime.depths,
    )
