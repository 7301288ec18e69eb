"""The whole of the HTTP side, put together."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from starlette.types import ASGIApp

from assistant.access.authenticator import Authenticator
from assistant.api.body.spool import prepare_spool
from assistant.api.chat.endpoint import ChatEndpoint, ChatService
from assistant.api.chat.route import AgentCatalog
from assistant.api.completions.endpoints import TextEndpoints
from assistant.api.deliveries import DeliveryEndpoints, Outgoing
from assistant.api.files import FileEndpoints, FileService
from assistant.api.health import HealthEndpoints, ReadinessCheck
from assistant.api.idempotency.middleware import IdempotencyMiddleware
from assistant.api.middleware.auth import AuthMiddleware
from assistant.api.middleware.errors import BodyTimeout, ErrorMiddleware
from assistant.api.middleware.guard import HostGuard, networks
from assistant.api.middleware.request import HeadAsGet, RequestIdMiddleware
from assistant.api.models import ModelEndpoints
from assistant.api.responses.endpoints import ResponseEndpoints
from assistant.api.routes import create_routes
from assistant.api.sessions import SessionEndpoints
from assistant.api.settings import ApiSettings
from assistant.api.sockets.endpoint import Sockets
from assistant.api.sockets.questions import SocketServices
from assistant.api.turns import TurnStarter
from assistant.api.workflows.endpoints import WorkflowEndpoints
from assistant.contracts.channels import ChannelStatus
from assistant.contracts.hooks import Hooks
from assistant.contracts.models import ModelInfo
from assistant.contracts.sessions import SessionStore
from assistant.contracts.turns import MAIN
from assistant.contracts.workflows import Workflows as WorkflowService
from assistant.providers.registry import ModelRegistry
from assistant.store.idempotency import IdempotencyStore
from assistant.store.responses import ResponseStore
from assistant.turns.direct import Direct
from assistant.workflows.models import WorkflowModels

_MARGIN_SECONDS = 30
"""What a request may take beside its turn."""


def create_app(
    *,
    settings: ApiSettings,
    doorkeeper: Authenticator,
    turns: TurnStarter,
    sessions: SessionStore,
    agents: Mapping[str, ModelInfo],
    registry: ModelRegistry,
    direct: Direct,
    ready: Callable[[], Awaitable[Sequence[ReadinessCheck]]],
    spool_folder: Path,
    version: str,
    outgoing: Outgoing | None = None,
    channels: Callable[[], Sequence[ChannelStatus]] = tuple,
    hooks: Hooks | None = None,
    workflows: WorkflowService | None = None,
    repeats: IdempotencyStore | None = None,
    shelf: FileService | None = None,
    responses: ResponseStore | None = None,
    asked: WorkflowModels | None = None,
) -> ASGIApp:
    """The API as one ASGI application: what comes in passes from the bottom of the stack to the top.

    `agents`: the model of each, by the agent's id, MAIN first. `registry`: the models that can be asked themselves, by `direct`. `ready`: asked
    anew for each GET /ready. `spool_folder`: made if it is missing, private; files lie there while a request is taken in. `outgoing`: what
    /v1/deliveries works on; None: it is not there. `channels`: how they fare now, for GET /ready. `hooks`: who takes POST /hooks/{name};
    None: there is no such path. `workflows`: what /workflows and /v1/jobs work on; None: as above.
    `repeats`: keeps first answers for requests that come again; None: each is done each time. `shelf`: what /v1/files works on; None: as above.
    `responses`: keeps what /v1/responses answers, with the files of `shelf`; None: as above. `asked`: the workflows that can be asked as models.
    Raises ValueError for an allowed host or origin, or a trusted proxy, that is malformed.
    """
    prepare_spool(spool_folder)
    known = AgentCatalog(model=agents[MAIN].id, agents=agents, workflows=asked.ids if asked else ())
    asking = ChatService(turns=turns, registry=registry, direct=direct, known=known)
    app: ASGIApp = create_routes(
        chat=ChatEndpoint(asking=asking, settings=settings, spool_folder=spool_folder, shelf=shelf, workflows=asked),
        texts=TextEndpoints(registry=registry, direct=direct, known=known, settings=settings),
        responses=_responses(asking, responses, shelf, settings, spool_folder),
        models=ModelEndpoints(agents=agents, registry=registry, workflows=known.workflows),
        sessions=SessionEndpoints(store=sessions, turns=turns),
        health=HealthEndpoints(version=version, checks=ready, channels=channels),
        deliveries=None if outgoing is None else DeliveryEndpoints(outgoing=outgoing, limits=settings.limits, spool_folder=spool_folder),
        files=None if shelf is None else FileEndpoints(shelf=shelf, limits=settings.limits, spool_folder=spool_folder),
        hooks=hooks,
        workflows=None if workflows is None else WorkflowEndpoints(workflows=workflows, settings=settings, spool_folder=spool_folder),
        chat_enabled=settings.endpoints.chat_completions.enabled,
    )
    door = SocketServices(
        turns=turns,
        registry=registry,
        direct=direct,
        known=known,
        keeper=doorkeeper,
        workflows=workflows,
        settings=settings,
        spool_folder=spool_folder,
    )
    return guarded(Sockets(repeated(app, repeats, settings), door), settings, doorkeeper)


def _responses(
    asking: ChatService, store: ResponseStore | None, shelf: FileService | None, settings: ApiSettings, spool_folder: Path
) -> ResponseEndpoints | None:
    if store is None or shelf is None:
        return None
    return ResponseEndpoints(asking=asking, store=store, shelf=shelf, settings=settings, spool_folder=spool_folder)


def repeated(app: ASGIApp, repeats: IdempotencyStore | None, settings: ApiSettings) -> ASGIApp:
    """The routes, behind what answers HEAD and knows requests that come again."""
    app = HeadAsGet(app)
    return app if repeats is None else IdempotencyMiddleware(app, repeats, patience=settings.timeout + _MARGIN_SECONDS)


def guarded(app: ASGIApp, settings: ApiSettings, doorkeeper: Authenticator, *, mounted: bool = False) -> ASGIApp:
    """What requests and sockets pass alike, before anything of them is read. `mounted`: another program's server calls this."""
    app = AuthMiddleware(app, doorkeeper, networks(settings.trusted_proxies))
    app = HostGuard(app, bound_to=settings.host, hosts=settings.allowed_hosts, origins=settings.allowed_origins, cors=settings.cors.origins)
    app = ErrorMiddleware(app, passes_on=mounted)
    app = BodyTimeout(app, settings.timeouts.body)
    return RequestIdMiddleware(app)
