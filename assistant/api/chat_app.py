"""The HTTP side where there is only chat: NodeTool's chat server, and what is mounted in another program."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.access.doorkeeper import Doorkeeper
from assistant.api.app import guarded, repeated
from assistant.api.body.spool import prepare_spool
from assistant.api.chat.asking import Asking
from assistant.api.chat.endpoint import Chat
from assistant.api.chat.route import Known
from assistant.api.health import Check, Health
from assistant.api.models import Models
from assistant.api.routes import create_routes
from assistant.api.settings import ApiSettings
from assistant.api.turns import Turns
from assistant.contracts.errors import NotFound
from assistant.contracts.models import ModelInfo, ModelRegistry
from assistant.contracts.repeats import RepeatStore
from assistant.contracts.turns import MAIN
from assistant.turns.direct import Direct
from assistant.workflows.models import WorkflowModels


def create_chat_app(
    *,
    settings: ApiSettings,
    doorkeeper: Doorkeeper,
    turns: Turns,
    agents: Mapping[str, ModelInfo],
    registry: ModelRegistry,
    direct: Direct,
    asked: WorkflowModels,
    ready: Callable[[], Awaitable[Sequence[Check]]],
    repeats: RepeatStore,
    spool_folder: Path,
    version: str,
    mounted: bool,
) -> ASGIApp:
    """Chat completions, models, /health, /ready, /docs and /openapi.json; in front of them all that `assistant.api.app.create_app` has there.

    Whoever asks the default agent by its model's name brings the history, as OpenAI's clients do. `mounted`: another program's server calls
    this. For the rest, and what is raised, see `create_app`.
    """
    prepare_spool(spool_folder)
    known = Known(model=agents[MAIN].id, agents=agents, workflows=asked.ids, takes_history=True)
    routes = create_routes(
        chat=Chat(
            asking=Asking(turns=turns, registry=registry, direct=direct, known=known),
            settings=settings,
            spool_folder=spool_folder,
            workflows=asked,
        ),
        models=Models(agents=agents, registry=registry, workflows=asked.ids, chat_only=True),
        health=Health(version=version, checks=ready, channels=tuple),
        chat_enabled=settings.endpoints.chat_completions.enabled,
    )
    return guarded(_NoSockets(repeated(routes, repeats, settings)), settings, doorkeeper, mounted=mounted)


class _NoSockets:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            raise NotFound("There are no WebSockets here: nanobot serve has /chat and /predict.")
        await self._app(scope, receive, send)
