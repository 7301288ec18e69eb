"""The whole of the HTTP side, put together."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from starlette.types import ASGIApp

from assistant.access.authenticator import Authenticator
from assistant.access.browsers import BrowserAccess
from assistant.api.approvals import ApprovalEndpoints
from assistant.api.audit import AuditEndpoints
from assistant.api.body.spool import prepare_spool
from assistant.api.browsers import BrowserEndpoints
from assistant.api.changes import ChangeEndpoints, ChangeFeed
from assistant.api.channel_setup import ChannelSetupEndpoints
from assistant.api.channels import ChannelEndpoints
from assistant.api.chat.endpoint import ChatEndpoint, ChatService, TurnStarter
from assistant.api.chat.route import AgentCatalog
from assistant.api.completions import TextEndpoints
from assistant.api.configuration import ConfigurationEndpoints, Configured
from assistant.api.deliveries import DeliveryEndpoints, Outgoing
from assistant.api.doctor import DoctorEndpoints, Finding
from assistant.api.files import FileEndpoints, FileService
from assistant.api.health import HealthEndpoints, ReadinessCheck
from assistant.api.hooks import HookEndpoints
from assistant.api.idempotency.middleware import IdempotencyMiddleware
from assistant.api.keys import KeyEndpoints
from assistant.api.mcp import McpEndpoints
from assistant.api.memories import MemoryEndpoints, MemoryResources
from assistant.api.metrics import Depths, MetricsEndpoints
from assistant.api.middleware.auth import AuthMiddleware
from assistant.api.middleware.errors import BodyTimeout, ErrorMiddleware
from assistant.api.middleware.guard import HostGuard, networks
from assistant.api.middleware.request import HeadAsGet, RequestIdMiddleware
from assistant.api.models import ModelEndpoints
from assistant.api.pairings import PairingEndpoints
from assistant.api.people import Household, PeopleEndpoints
from assistant.api.responses.endpoints import ResponseEndpoints
from assistant.api.routes import create_routes
from assistant.api.schedules import ScheduleEndpoints
from assistant.api.sessions import SessionEndpoints
from assistant.api.settings import ApiSettings
from assistant.api.sockets.conversation import SocketRoute
from assistant.api.sockets.questions import SocketServices
from assistant.api.tasks import TaskEndpoints
from assistant.api.usage import UsageEndpoints
from assistant.api.workflows.endpoints import WorkflowEndpoints
from assistant.approvals.book import ApprovalBook
from assistant.contracts.access import KeyStore
from assistant.contracts.channels import CalledChannel, ChannelStatus
from assistant.contracts.hooks import Hooks
from assistant.contracts.metrics import Metrics
from assistant.contracts.models import ModelInfo
from assistant.contracts.records import record
from assistant.contracts.search import NoSearch, Search
from assistant.contracts.sessions import SessionStore
from assistant.contracts.turns import MAIN
from assistant.contracts.workflows import Workflows as WorkflowService
from assistant.inbound.pairing import PairingDesk
from assistant.ledger.report import UsageReports
from assistant.providers.registry import ModelRegistry
from assistant.store.attachments import AttachmentStore
from assistant.store.audit import AuditStore
from assistant.store.idempotency import IdempotencyStore
from assistant.store.responses import ResponseStore
from assistant.tasks.book import TaskBook
from assistant.turns.direct import Direct
from assistant.workflows.models import WorkflowModels

_MARGIN_SECONDS = 30
"""What a request may take in addition to its turn."""


@record
class ApiServices:
    """What the API works on. Where an optional service is None, its routes do not exist."""

    settings: ApiSettings
    authenticator: Authenticator
    turns: TurnStarter
    sessions: SessionStore
    agents: Mapping[str, ModelInfo]
    """The model of each agent, by the agent's id, MAIN first."""
    registry: ModelRegistry
    """The models that requests can name; `direct` calls them."""
    direct: Direct
    ready: Callable[[], Awaitable[Sequence[ReadinessCheck]]]
    """Called for each GET /ready."""
    spool_folder: Path
    """Holds the files of requests in progress. Created if missing, private."""
    version: str
    channels: Callable[[], Sequence[ChannelStatus]] = tuple
    """The states of the channels, for GET /ready."""
    outgoing: Outgoing | None = None
    """For /v1/deliveries."""
    schedules: ScheduleEndpoints | None = None
    """For /v1/schedules."""
    tasks: TaskBook | None = None
    """For /v1/tasks."""
    approvals: ApprovalBook | None = None
    """For /v1/approvals."""
    hooks: Hooks | None = None
    """For POST /hooks/{name}."""
    called: Sequence[CalledChannel] = ()
    """For /channels/{name}."""
    workflows: WorkflowService | None = None
    """For /workflows and /v1/jobs."""
    workflow_models: WorkflowModels | None = None
    """The workflows that clients can name as models."""
    idempotency: IdempotencyStore | None = None
    """Keeps first answers for repeated requests; None: each request is executed."""
    files: FileService | None = None
    """For /v1/files."""
    memory: MemoryResources | None = None
    """For /v1/memories."""
    responses: ResponseStore | None = None
    """For /v1/responses, which needs `files` too."""
    household: Household | None = None
    """For /v1/people and /v1/link."""
    usage: UsageReports | None = None
    """For /v1/usage."""
    audit: AuditStore | None = None
    """For /v1/audit."""
    keys: KeyStore | None = None
    """For /v1/keys."""
    pairings: PairingDesk | None = None
    """For /v1/pairings."""
    configured: Callable[[], Configured] | None = None
    """For /v1/configuration."""
    channel_setup: ChannelSetupEndpoints | None = None
    """For /v1/channels."""
    examine: Callable[[], Awaitable[Sequence[Finding]]] | None = None
    """For /v1/doctor."""
    attachments: AttachmentStore | None = None
    """For the files of sessions."""
    search: Search = field(default_factory=NoSearch)
    """Over what was said, for /v1/sessions."""
    changes: ChangeFeed | None = None
    """For /v1/changes."""
    hears: bool = False
    """Whether recordings are heard (`voice.transcriber`)."""
    metrics: Metrics = field(default_factory=Metrics)
    depths: Callable[[], Awaitable[Depths]] | None = None
    """For /metrics: how much waits."""


def create_app(services: ApiServices) -> ASGIApp:
    """The API as one ASGI application. Raises ValueError for a malformed allowed host, origin or trusted proxy."""
    settings, spool_folder = services.settings, services.spool_folder
    turns, registry, direct, agents = services.turns, services.registry, services.direct, services.agents
    outgoing, files, workflows, models = services.outgoing, services.files, services.workflows, services.workflow_models
    prepare_spool(spool_folder)
    known = AgentCatalog(
        model=agents[MAIN].id, agents=agents, workflows=models.ids if models else (), takes_history=settings.history == "client"
    )
    asking = ChatService(turns=turns, registry=registry, direct=direct, known=known)
    resources: list[object] = [
        ModelEndpoints(agents=agents, registry=registry, workflows=known.workflows),
        HealthEndpoints(version=services.version, checks=services.ready, channels=services.channels),
        _sessions(services),
        TextEndpoints(registry=registry, direct=direct, known=known, settings=settings),
    ]
    if services.responses is not None and files is not None:
        resources.append(
            ResponseEndpoints(asking=asking, store=services.responses, files=files, settings=settings, spool_folder=spool_folder)
        )
    if outgoing is not None:
        resources.append(DeliveryEndpoints(outgoing=outgoing, limits=settings.limits, spool_folder=spool_folder))
    if files is not None:
        resources.append(FileEndpoints(service=files, limits=settings.limits, spool_folder=spool_folder))
    if services.memory is not None:
        resources.append(MemoryEndpoints(known=services.memory, limits=settings.limits))
    if workflows is not None:
        resources.append(WorkflowEndpoints(workflows=workflows, settings=settings, spool_folder=spool_folder))
    if services.household is not None:
        resources.append(PeopleEndpoints(household=services.household))
    if services.usage is not None:
        resources.append(UsageEndpoints(reports=services.usage))
    if services.audit is not None:
        resources.append(AuditEndpoints(store=services.audit))
    resources += _administration(services)
    if services.depths is not None:
        resources.append(MetricsEndpoints(metrics=services.metrics, depths=services.depths))
    if services.schedules is not None:
        resources.append(services.schedules)
    if services.tasks is not None:
        resources.append(TaskEndpoints(book=services.tasks))
    if services.approvals is not None:
        resources.append(ApprovalEndpoints(book=services.approvals, limits=settings.limits))
    resources += _for_pages(services)
    if services.hooks is not None:
        resources.append(HookEndpoints(hooks=services.hooks))
    if services.called:
        resources.append(ChannelEndpoints(channels={channel.name: channel for channel in services.called}))
    start = models.start if models else None
    chat = ChatEndpoint(
        asking=asking, settings=settings, spool_folder=spool_folder, files=files, start_workflow=start, hears=services.hears
    )
    resources.append(McpEndpoints(version=services.version, settings=settings, chat=chat, resources=tuple(resources)))
    app = create_routes(version=services.version, chat=chat if settings.endpoints.chat_completions.enabled else None, resources=resources)
    sockets = SocketServices(
        chat=asking, authenticator=services.authenticator, workflows=workflows, settings=settings, spool_folder=spool_folder
    )
    app.router.routes.append(SocketRoute(sockets))
    return guarded(repeated(app, services.idempotency, settings), settings, services.authenticator, metrics=services.metrics)


def _sessions(services: ApiServices) -> SessionEndpoints:
    return SessionEndpoints(
        store=services.sessions,
        turns=services.turns,
        attachments=services.attachments,
        search=services.search,
        keep_alive=services.settings.keep_alive_seconds,
    )


def _for_pages(services: ApiServices) -> list[object]:
    """What pages need beside the rest."""
    resources: list[object] = []
    if services.household is not None and services.authenticator.browsers is not None:
        resources.append(_browsers(services, services.household, services.authenticator.browsers))
    if services.changes is not None:
        resources.append(ChangeEndpoints(feed=services.changes, keep_alive=services.settings.keep_alive_seconds))
    return resources


def _administration(services: ApiServices) -> Iterator[object]:
    """What only an owner's credential opens."""
    if services.keys is not None:
        yield KeyEndpoints(store=services.keys)
    if services.pairings is not None:
        yield PairingEndpoints(desk=services.pairings)
    if services.configured is not None:
        yield ConfigurationEndpoints(configured=services.configured)
    if services.channel_setup is not None:
        yield services.channel_setup
    if services.examine is not None:
        yield DoctorEndpoints(check=services.examine)


def _browsers(services: ApiServices, household: Household, browsers: BrowserAccess) -> BrowserEndpoints:
    parts = {
        "deliveries": services.outgoing,
        "schedules": services.schedules,
        "tasks": services.tasks,
        "approvals": services.approvals,
        "workflows": services.workflows,
        "memory": services.memory,
        "usage": services.usage,
        "audit": services.audit,
        "files": services.files,
        "people": services.household,
        "responses": services.responses,
        "metrics": services.depths,
        "keys": services.keys,
        "pairings": services.pairings,
        "configuration": services.configured,
        "channels": services.channel_setup,
        "doctor": services.examine,
    }
    return BrowserEndpoints(
        authenticator=services.authenticator,
        browsers=browsers,
        people=household.people,
        proxies=networks(services.settings.trusted_proxies),
        version=services.version,
        features=[name for name, part in parts.items() if part is not None],
    )


def repeated(app: ASGIApp, store: IdempotencyStore | None, settings: ApiSettings) -> ASGIApp:
    """The routes, with HEAD, and with answers to requests that are sent again."""
    app = HeadAsGet(app)
    return app if store is None else IdempotencyMiddleware(app, store, patience=settings.timeout + _MARGIN_SECONDS)


def guarded(
    app: ASGIApp, settings: ApiSettings, authenticator: Authenticator, *, mounted: bool = False, metrics: Metrics | None = None
) -> ASGIApp:
    """The middleware of requests and sockets, the outermost last. `mounted`: another program's server calls the app."""
    app = AuthMiddleware(app, authenticator, networks(settings.trusted_proxies))
    app = HostGuard(app, bound_to=settings.host, hosts=settings.allowed_hosts, origins=settings.allowed_origins, cors=settings.cors.origins)
    app = ErrorMiddleware(app, passes_on=mounted)
    app = BodyTimeout(app, settings.timeouts.body)
    return RequestIdMiddleware(app, metrics or Metrics())
