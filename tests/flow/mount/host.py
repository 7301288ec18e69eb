"""Another program: a FastAPI app with routes, middleware, a lifespan and ways of its own, run by uvicorn, with the assistant mounted in it."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import httpx2
import uvicorn
from fastapi import APIRouter, FastAPI, HTTPException, Request
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

PREFIX = "/assistant"


class Uvicorn(uvicorn.Server):
    """It leaves the signals to the tests, and says when it listens."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[object] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - none are given
        await super().startup()
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def host(router: APIRouter | None, *, events: list[str] | None = None) -> FastAPI:
    """`events`: what its lifespan notes."""
    noted = [] if events is None else events

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, str]]:
        noted.append("begun")
        yield {"theirs": "kept"}
        noted.append("ended")

    app = FastAPI(title="theirs", lifespan=lifespan)

    @app.get("/theirs")
    async def theirs(request: Request) -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return {"state": request.state.theirs}

    @app.get("/fails")
    async def fails() -> None:  # pyright: ignore[reportUnusedFunction]
        raise HTTPException(418, "theirs")

    @app.exception_handler(HTTPException)
    async def answer(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        assert isinstance(error, HTTPException)
        return JSONResponse({"their_error": error.detail}, error.status_code)

    @app.middleware("http")
    async def mark(request: Request, call_next: RequestResponseEndpoint) -> Response:  # pyright: ignore[reportUnusedFunction]
        response = await call_next(request)
        response.headers["x-theirs"] = "1"
        return response

    if router is not None:
        app.include_router(router, prefix=PREFIX)
    return app


@asynccontextmanager
async def running(app: FastAPI) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of the app, which uvicorn serves."""
    server = Uvicorn(app)
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(20):
            await server.listening.wait()
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def from_elsewhere(app: FastAPI) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client on another machine, as an app sees it."""
    async with app.router.lifespan_context(app) as state:
        transport = httpx2.ASGITransport(_with_state(app, dict(state or {})), client=("192.0.2.7", 4711))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as client:
            yield client


def _with_state(app: FastAPI, state: dict[str, object]) -> ASGIApp:
    async def called(scope: dict[str, object], receive: object, send: object) -> None:
        await app({**scope, "state": dict(state)}, receive, send)  # pyright: ignore[reportArgumentType]

    return called  # pyright: ignore[reportReturnType]
