"""A real server on a loopback port in front of turns that are played, for tests of what the API itself promises."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from assistant.access.authenticator import Authenticator
from assistant.access.principals import Access, OpenAccess, SharedKeys
from assistant.api.app import ApiServices, create_app
from assistant.api.deliveries import Outgoing
from assistant.api.files import FileService
from assistant.api.health import ReadinessCheck
from assistant.api.people import Household
from assistant.api.schedules import ScheduleEndpoints
from assistant.api.server.serve import serve
from assistant.api.settings import ApiSettings
from assistant.contracts.access import UNLIMITED, Admission
from assistant.contracts.channels import ChannelStatus
from assistant.contracts.errors import NanobotError, SessionNotFound, TurnCancelled
from assistant.contracts.hooks import Hooks
from assistant.contracts.messages import FinishReason, Usage
from assistant.contracts.models import ModelInfo
from assistant.contracts.turns import AgentFacts, FollowedTurn, TextDelta, TurnFailed, TurnFinished, TurnRequest, Upload
from assistant.contracts.workflows import Workflows
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from assistant.providers.choice import ChosenModel
from assistant.providers.listing import ListedModels
from assistant.providers.registry import ModelRegistry
from assistant.store.idempotency import IdempotencyStore
from assistant.turns.compaction import MadeCut
from assistant.turns.direct import Direct
from assistant.turns.handle import RunningTurn
from assistant.workflows.models import WorkflowModels

from .kept_sessions import KeptSessions

MODEL = ModelInfo(id="gpt-test", provider="openai", context_tokens=100_000)
USAGE = Usage(prompt_tokens=12, completion_tokens=3, cached_tokens=4)
Play = Callable[[RunningTurn, TurnRequest], Awaitable[None]]


def says(*pieces: str, finish_reason: FinishReason = "stop") -> Play:
    """A turn that says these words, one event each."""

    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        for piece in pieces:
            turn.emit(TextDelta(text=piece))
            await asyncio.sleep(0)
        finish(turn, "".join(pieces), finish_reason)

    return play


def finish(turn: RunningTurn, text: str, finish_reason: FinishReason = "stop") -> None:
    turn.emit(TurnFinished(turn_id=turn.id, text=text, finish_reason=finish_reason, usage=USAGE, model="gpt-test-1"))


def fail(turn: RunningTurn, error: NanobotError) -> None:
    turn.emit(TurnFailed(turn_id=turn.id, error=error, acted=turn.acted))


class PlayedTurns:
    """Stands where Turns does: takes requests, removes their files as an intake does, and plays what the test gave it."""

    def __init__(self, play: Play | None = None) -> None:
        self.sessions = KeptSessions()
        self.play = play or says("Hello", " there")
        self.refusal: NanobotError | None = None
        self.requests: list[TurnRequest] = []
        self.files: list[bytes] = []
        self.turns: list[RunningTurn] = []
        self._paths: list[Path] = []

    @property
    def only(self) -> TurnRequest:
        (request,) = self.requests
        return request

    def start(self, request: TurnRequest, admission: Admission | None = None) -> RunningTurn:
        if self.refusal is not None:
            raise self.refusal
        self.requests.append(request)
        for part in request.content:
            if isinstance(part, Upload):
                self.files.append(part.path.read_bytes())
                part.path.unlink()
        turn = RunningTurn(request.id, admission or UNLIMITED)
        self.turns.append(turn)
        turn.task = asyncio.create_task(self._run(turn, request))
        return turn

    def facts(self, agent: str) -> AgentFacts:
        return AgentFacts(provider="openai", tools=frozenset({"message", "read_attachment"}))

    async def delete_session(self, owner: str, session: str) -> None:
        if not await self.sessions.delete(owner, session):
            raise SessionNotFound(param="session_id")

    async def follow(self, owner: str, session: str) -> FollowedTurn | None:
        return next(iter(self._running(owner, session)), None)

    def _running(self, owner: str, session: str) -> list[RunningTurn]:
        here = [
            turn for turn, request in zip(self.turns, self.requests, strict=True) if (request.owner, request.session) == (owner, session)
        ]
        return [turn for turn in here if turn.task is not None and not turn.task.done()]

    async def stop(self, owner: str, session: str) -> int:
        running = self._running(owner, session)
        for turn in running:
            turn.cancel()
        return len(running)

    async def take_back(self, owner: str, session: str, seq: int) -> int:
        removed = await self.sessions.take_back(owner, session, seq)
        if removed is None:
            raise SessionNotFound(param="session_id")
        return removed

    async def compact(self, owner: str, session: str) -> asyncio.Task[MadeCut] | None:
        if await self.sessions.get(owner, session) is None:
            raise SessionNotFound(param="session_id")
        return None

    async def _run(self, turn: RunningTurn, request: TurnRequest) -> None:
        turn.awake = True
        try:
            if turn.stopped:
                raise asyncio.CancelledError
            await self.play(turn, request)
        except asyncio.CancelledError:
            fail(turn, TurnCancelled())


@dataclass(kw_only=True)
class Running:
    """A server that runs, and what stands behind it."""

    port: int
    turns: PlayedTurns
    sessions: KeptSessions
    client: httpx2.AsyncClient
    spool: Path
    stop: asyncio.Event
    checks: list[ReadinessCheck] = field(default_factory=list[ReadinessCheck])

    @property
    def spooled(self) -> list[Path]:
        return list(self.spool.iterdir())

    async def chat(self, content: object = "hi", **fields: object) -> httpx2.Response:
        """A request with one user message."""
        return await self.client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": content}], **fields})

    async def raw(self, data: bytes, *, wait: float = 30) -> bytes:
        """Everything that the server sends on a connection of its own, until it closes it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(wait):
                return await reader.read()
        finally:
            writer.close()


async def _no_choice(model: str, provider: str) -> ChosenModel:
    raise AssertionError("there are no models to choose from")


def _access(settings: ApiSettings) -> Access:
    return SharedKeys([settings.api_key.get_secret_value()]) if settings.api_key else OpenAccess()


@asynccontextmanager
async def serving(
    folder: Path,
    settings: ApiSettings | None = None,
    *,
    play: Play | None = None,
    agents: Sequence[str] = ("main",),
    registry: ModelRegistry | None = None,
    grace: float = 1,
    outgoing: Outgoing | None = None,
    channels: Sequence[ChannelStatus] = (),
    hooks: Hooks | None = None,
    workflows: Workflows | None = None,
    idempotency: IdempotencyStore | None = None,
    files: FileService | None = None,
    authenticator: Authenticator | None = None,
    workflow_models: WorkflowModels | None = None,
    household: Household | None = None,
    schedules: ScheduleEndpoints | None = None,
) -> AsyncGenerator[Running]:
    """A server on a free port, with these settings otherwise. `channels`: their states. `authenticator`: None: by the shared key alone."""
    settings = (settings or ApiSettings()).model_copy(update={"port": 0})
    turns, spool = PlayedTurns(play), folder / "spool"
    checks = [ReadinessCheck(name="store", ok=True, detail="The store can be written.")]

    async def ready() -> Sequence[ReadinessCheck]:
        return checks

    app = create_app(
        ApiServices(
            settings=settings,
            authenticator=authenticator or Authenticator(access=_access(settings)),
            turns=turns,
            sessions=turns.sessions,
            agents=dict.fromkeys(agents, MODEL),
            registry=registry or ModelRegistry({}, ListedModels({}), _no_choice, offline=False),
            direct=Direct(reader=ChildReader(DocumentSettings()), document_chars=1_000, timeout=10),
            ready=ready,
            spool_folder=spool,
            version="1.2.3",
            outgoing=outgoing,
            channels=lambda: channels,
            hooks=hooks,
            workflows=workflows,
            idempotency=idempotency,
            files=files,
            workflow_models=workflow_models,
            household=household,
            schedules=schedules,
        )
    )
    listening, stop = asyncio.get_running_loop().create_future(), asyncio.Event()
    server = asyncio.create_task(serve(app, settings, stop=stop, grace=grace, on_listening=listening.set_result))
    port: int = await asyncio.wait_for(listening, 30)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        try:
            yield Running(port=port, turns=turns, sessions=turns.sessions, client=client, spool=spool, stop=stop, checks=checks)
        finally:
            stop.set()
            async with asyncio.timeout(grace + 20):
                await server


def error_of(response: httpx2.Response) -> dict[str, str | None]:
    """The error of an answer, having checked that it is one and nothing else."""
    body = response.json()
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert response.headers["x-request-id"].startswith("req_")
    return body["error"]


def uploads(api: Running) -> list[Upload]:
    """The files of the only request that the turns were given."""
    return [part for part in api.turns.only.content if isinstance(part, Upload)]


def form_part(disposition: str, data: bytes = b"data") -> bytes:
    """A part of a form whose boundary is B."""
    return b"--B\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n\r\n" + data + b"\r\n"
