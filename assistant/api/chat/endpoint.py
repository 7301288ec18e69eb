"""POST /v1/chat/completions: starts the turn, and answers whole or as a stream."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from assistant.api.body.spool import Spool
from assistant.api.chat.read import ChatInput, read_chat
from assistant.api.chat.route import AgentCatalog, Route, ToAgent, ToModel, ToWorkflow, name_of_workflow, names_of
from assistant.api.chat.stream import ChatStream, Chunks, cancelled_on_disconnect, completion
from assistant.api.files import FileService, files_of
from assistant.api.middleware.errors import FailedAfterActing
from assistant.api.middleware.request import admission, principal
from assistant.api.settings import ApiSettings
from assistant.api.turns import TurnStarter
from assistant.contracts.errors import InvalidRequest, ModelNotFound, NanobotError
from assistant.contracts.models import ModelProvider, OpenedModel
from assistant.contracts.sessions import ONCE
from assistant.contracts.turns import HistoryMessage, TurnFinished, TurnRequest
from assistant.contracts.util import new_id
from assistant.providers.registry import ModelRegistry
from assistant.turns.direct import Direct, DirectRequest
from assistant.turns.handle import RunningTurn
from assistant.turns.prompt import estimated_tokens
from assistant.workflows.models import WorkflowModels

_ELSEWHERE = {"completion": "/v1/completions", "embedding": "/v1/embeddings"}


async def direct_request(asked: ChatInput, model_id: str, registry: ModelRegistry) -> DirectRequest:
    """Raises ModelNotFound, ProviderFailed (it can't be had), InvalidRequest (it is not for chat, or has no likelihoods)."""
    opened = await registry.open(model_id)
    model, wishes = _writer(opened), asked.wishes
    if wishes.top_logprobs is not None and not model.info.logprobs:
        raise InvalidRequest(f"'logprobs' are not to be had of the model '{model_id[:100]}'.", param="logprobs")
    return DirectRequest(
        id=new_id("turn"),
        model=model,
        conversations=(asked.said,) * wishes.n,
        instructions=asked.instructions,
        tools=wishes.tools,
        tool_choice=wishes.tool_choice,
        parallel_calls=wishes.parallel_calls,
        top_logprobs=wishes.top_logprobs,
        sampling=asked.sampling.over(opened.sampling),
        stream=asked.stream,
    )


def _writer(opened: OpenedModel) -> ModelProvider:
    kind = opened.listed.type
    if opened.writes is None or kind != "chat":
        where = _ELSEWHERE.get(kind, "/v1/models")
        raise InvalidRequest(f"This model is of the type '{kind}': ask it at {where}.", param="model")
    return opened.writes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatService:
    """Who there is to be asked."""

    turns: TurnStarter
    registry: ModelRegistry
    direct: Direct
    known: AgentCatalog

    def check_rights(self, scope: Scope, to: Route) -> None:
        """Raises ModelNotFound where whoever sent the request may not ask there: for them there is no such model."""
        if not any(map(principal(scope).may_use, names_of(to, self.known))):
            raise ModelNotFound(param="model")

    async def prepare(self, scope: Scope, asked: ChatInput) -> TurnRequest | DirectRequest:
        """What answers, taken out of the limits of whoever sent the request. Raises RateLimited, ModelNotFound, InvalidRequest, ProviderFailed."""
        match asked.route:
            case ToAgent():
                wanted = _turn(asked, asked.route, principal(scope).id)
            case ToModel(id=model):
                wanted = await direct_request(asked, model, self.registry)
            case ToWorkflow():
                raise TypeError("a workflow is run, not asked")
        await admission(scope).reserve(estimated_tokens(asked.said, asked.instructions, asked.sampling, answers=asked.wishes.n))
        return wanted

    def start(self, wanted: TurnRequest | DirectRequest) -> RunningTurn:
        """Raises SessionBusy, ShuttingDown; then the uploads are still the caller's."""
        return self.turns.start(wanted) if isinstance(wanted, TurnRequest) else self.direct.start(wanted)


def _turn(asked: ChatInput, to: ToAgent, owner: str) -> TurnRequest:
    """A request that stands for itself gets a session of its own."""
    turn_id = new_id("turn")
    *before, last = asked.said
    if not isinstance(last, HistoryMessage):
        raise TypeError("an agent is asked by a user")
    return TurnRequest(
        id=turn_id,
        owner=owner,
        agent=to.agent,
        session=to.session or ONCE + turn_id,
        content=last.content,
        history=tuple(before),
        instructions=asked.instructions,
        sampling=asked.sampling,
        stream=asked.stream,
    )


async def wait_for_result(turn: RunningTurn, request: Request, *, cancels: bool) -> TurnFinished:
    """What the turn gives; what it took counts against the limits of whoever sent the request. `cancels`: it is stopped when they go away.
    Raises what ended it, as FailedAfterActing where a tool had changed something."""
    async with cancelled_on_disconnect(turn, request.receive, enabled=cancels):
        try:
            finished = await turn.result()
        except NanobotError as error:
            admission(request.scope).broke_off(turn.took)
            raise FailedAfterActing(error) if turn.acted else error from None
    admission(request.scope).used(finished.usage.prompt_tokens + finished.usage.completion_tokens)
    return finished


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatEndpoint:
    """The endpoint. Its errors leave as exceptions, to be answered by ErrorAnswers."""

    asking: ChatService
    settings: ApiSettings
    spool_folder: Path
    shelf: FileService | None = None
    """Where files lie that messages may name."""
    workflows: WorkflowModels | None = None
    """Those that `known` has; None: it has none."""

    async def __call__(self, request: Request) -> Response:
        spool = Spool(self.spool_folder, self.settings.limits, files_of(self.shelf, principal(request.scope).id))
        try:
            asked = await read_chat(request.scope, request.receive, spool, self.settings.limits, self.asking.known)
            self.asking.check_rights(request.scope, asked.route)
            if isinstance(asked.route, ToWorkflow):
                turn = await self._run(request, asked.route.id, asked)  # it has taken the files in
            else:
                turn = self.asking.start(await self.asking.prepare(request.scope, asked))
                spool.hand_over()
        finally:
            if spool.holds_files:
                await asyncio.to_thread(spool.remove)
        return await self._answered(request, turn, asked)

    async def _run(self, request: Request, workflow: str, asked: ChatInput) -> RunningTurn:
        who = principal(request.scope)
        if self.workflows is None:
            raise ModelNotFound(param="model")
        who.require("workflows")
        return await self.workflows.start(who.id, workflow, asked.said, stream=asked.stream)

    async def _answered(self, request: Request, turn: RunningTurn, asked: ChatInput) -> Response:
        created = int(time.time())
        match asked.route:
            case ToAgent(shown=model):
                cancels = self.settings.on_disconnect == "cancel"
            case ToWorkflow(id=workflow):
                model, cancels = name_of_workflow(workflow), self.settings.on_disconnect == "cancel"
            case ToModel(id=model):
                cancels = True  # nobody keeps the answer
        if asked.stream:
            chunks = Chunks(turn.id, created=created, model=model, with_usage=asked.include_usage, answers=asked.wishes.n)
            return ChatStream(turn, chunks, keep_alive=self.settings.keep_alive_seconds, cancel_on_disconnect=cancels)
        finished = await wait_for_result(turn, request, cancels=cancels)
        return Response(completion(finished, created=created, model=model), media_type="application/json")
