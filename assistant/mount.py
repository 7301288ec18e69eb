"""The assistant's chat in another program: as a router of its FastAPI app, or as a server that it runs.

app = FastAPI()
app.include_router(create_openai_compatible_router(provider="openai", default_model="gpt-5-mini"), prefix="/assistant")
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import uvloop
from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from assistant.access.principals import CannotLetIn, auth_mode
from assistant.api.chat_app import create_mounted_router, not_open
from assistant.api.server.bind import CannotServe
from assistant.app.runtime import FOR_TURNS, open_runtime
from assistant.app.services import Services
from assistant.app.serving import serve
from assistant.config import Loaded, load_config
from assistant.contracts.messages import Json
from assistant.contracts.util import expand_home

PORT: Final = 8080
_NOTHING: Final[Mapping[str, Json]] = {}
_FILES: Final = (".yaml", ".yml")


def create_openai_compatible_router(
    provider: str | None = None,
    default_model: str | None = None,
    tools: Sequence[str] | None = None,
    workflows: Sequence[str | Path] = (),
    *,
    remote_auth: bool = False,
    config: Path | None = None,
    settings: Mapping[str, Json] = _NOTHING,
    trusts_host: bool = False,
) -> APIRouter:
    """A router with `/v1/chat/completions`, `/v1/models` and `/v1/models/{id}`, for `app.include_router(…)`, with a prefix or without.

    The assistant is opened when the app starts and closed when it ends, by the app's lifespan; an app that is itself mounted in another has
    none, and then requests are answered with 503 and the reason. Its configuration is that of `nanobot serve`, or `config`; over it come
    `settings` ({"api.apiKey": "…"}) and the other arguments, which are as in `run_chat_server`. No channels are opened.

    Keys, allowed hosts and origins, limits and the form of errors hold for these routes as they do for `nanobot serve`. Without
    authentication, only requests from this machine are accepted, or (`trusts_host`) all that your app lets through; each acts as the one owner.

    Raises ConfigError; CannotServe where the authentication lacks something, or NODETOOL_ENVIRONMENT asks for one.
    """
    loaded = chat_config(
        provider, default_model, tools, workflows, remote_auth=remote_auth, config=config, settings=settings, trusted=trusts_host
    )
    opening = _Opening(loaded, trusts_host=trusts_host)
    return create_mounted_router(lambda: opening.app, opening.lifespan)


def run_chat_server(
    host: str = "127.0.0.1",
    port: int = PORT,
    provider: str | None = None,
    default_model: str | None = None,
    tools: Sequence[str] | None = None,
    workflows: Sequence[str | Path] = (),
    *,
    remote_auth: bool = False,
    config: Path | None = None,
    settings: Mapping[str, Json] = _NOTHING,
    on_listening: Callable[[Services, int], None] = lambda services, port: None,
) -> None:
    """Serve chat completions, models and /health until Ctrl-C or SIGTERM; what `nanobot chat-server` does. Call it in the main thread.

    `provider`, `default_model`: what answers; None: as configured. `tools`: the names of the agent's tools; None: as configured.
    `workflows`: ids, or files, that clients may ask as the model `workflow:<id>`. `remote_auth`: users of the Supabase project that SUPABASE_URL and
    SUPABASE_KEY name; else as configured; by default, requests need no key. `config`, `settings`: as in
    `create_openai_compatible_router`. `on_listening`: called once, with the port. Raises CannotServe, ConfigError, StoreUnavailable.
    """
    settings = {**settings, "api.host": host, "api.port": port}
    loaded = chat_config(provider, default_model, tools, workflows, remote_auth=remote_auth, config=config, settings=settings)
    uvloop.run(serve(loaded, on_listening, chat_only=True))


def chat_config(
    provider: str | None,
    default_model: str | None,
    tools: Sequence[str] | None,
    workflows: Sequence[str | Path],
    *,
    remote_auth: bool,
    config: Path | None,
    settings: Mapping[str, Json],
    trusted: bool = False,
) -> Loaded:
    """The configuration under these arguments. Raises ConfigError; CannotServe as `create_openai_compatible_router` does."""
    over: dict[str, Json] = {**settings}
    if provider is not None or default_model is not None:
        over |= {"agents.defaults.model": default_model, "agents.defaults.modelPreset": None}
    if provider is not None:
        over["agents.defaults.provider"] = provider
    if tools is not None:
        over["agents.defaults.tools"] = list(tools)
    if workflows:
        # a file's path starts at the current folder, as paths that a program is given do
        names = [str(workflow) for workflow in workflows]
        over["workflows.models"] = [str(expand_home(Path(name)).absolute()) if name.lower().endswith(_FILES) else name for name in names]
    if remote_auth:
        over["auth.mode"] = "supabase"
    loaded = load_config(config, os.environ, over)
    try:
        mode = auth_mode(loaded.config.auth, loaded.config.api.api_key)
    except CannotLetIn as error:
        raise CannotServe(str(error)) from error
    if mode == "none" and not trusted and os.environ.get("NODETOOL_ENVIRONMENT", "").strip().lower() == "production":
        raise CannotServe(
            "NODETOOL_ENVIRONMENT is 'production', and requests would need no key: use remote auth (--remote-auth, with SUPABASE_URL and "
            "SUPABASE_KEY), or set api.apiKey or an auth.mode."
        )
    return loaded


class _Opening:
    """The assistant of one router: open as long as any app that has the router runs."""

    def __init__(self, loaded: Loaded, *, trusts_host: bool) -> None:
        self.app: ASGIApp = not_open
        self._loaded = loaded
        self._trusts_host = trusts_host
        self._users = 0
        self._turn = asyncio.Lock()
        self._opened = AsyncExitStack()

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncGenerator[None]:
        """Raises ConfigError, StoreUnavailable."""
        async with self._turn:
            if not self._users:
                self.app = await self._opened.enter_async_context(self._running())
            self._users += 1
        try:
            yield
        finally:
            async with self._turn:
                self._users -= 1
                if not self._users:
                    self.app = not_open
                    await self._opened.aclose()

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[ASGIApp]:
        async with open_runtime(self._loaded, chat_only=True, mounted=True, trusts_host=self._trusts_host) as (runtime, app):
            await runtime.start()
            try:
                yield app
            finally:
                await runtime.stop(self._loaded.config.shutdown.grace * FOR_TURNS)
