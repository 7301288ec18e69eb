"""POST /v1/chat/completions: starts the turn, and answers whole or as a stream."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from assistant.api.body.spool import spooled
from assistant.api.chat.extras import owned_by
from assistant.api.chat.read import ChatInput, parted, read_chat
from assistant.api.chat.route import AgentCatalog, ToAgent, ToModel, ToWorkflow, name_of_workflow, names_of
from assistant.api.chat.stream import ChatStream, Chunks, cancel_on_disconnect, completion, notice_headers
from assistant.api.files import FileService, files_of
from assistant.api.middleware.errors import FailedAfterActing
from assistant.api.middleware.request import principal, state_of
from assistant.api.settings import ApiSettings
from assistant.contracts.access import UNLIMITED, Admission
from assistant.contracts.causes import Payer
from assistant.contracts.errors import InvalidRequest, ModelNotFound, NanobotError
from assistant.contracts.messages import Verbatim
from assistant.contracts.models import ModelRequest
from assistant.contracts.records import record
from assistant.contracts.sessions import ONCE
from assistant.contracts.turns import AgentFacts, Earlier, FollowedTurn, TurnFinished, TurnRequest
from assistant.contracts.util import new_id
from assistant.providers.registry import ModelRegistry
from assistant.turns.compaction import MadeCut
from assistant.turns.direct import Direct, DirectRequest
from assistant.turns.handle import RunningTurn
from assistant.turns.prompt import estimated_tokens

StartWorkflow = Callable[[str, str, Sequence[Earlier], bool, str], Awaitable[RunningTurn]]
"""`assistant.workflows.models.WorkflowModels.start`."""


class TurnStarter(Protocol):
    """What the API uses of `assistant.turns.service.Turns`; a port, because tests of the API have turns of their own."""

    def start(self, request: TurnRequest, admission: Admission | None = None) -> RunningTurn:
        """Begin a turn at once. Raises SessionBusy, ShuttingDown; otherwise the turn removes the uploads."""
        ...

    def facts(self, agent: str) -> AgentFacts:
        """What a client may know about an agent. Raises ModelNotFound."""
        ...

    async def delete_session(self, owner: str, session: str) -> None:
        """Remove a session after the turns that wait in it. Raises SessionNotFound, SessionBusy."""
        ...

    async def follow(self, owner: str, session: str) -> FollowedTurn | None:
        """The turn that runs in a session, or waits there as the first, in any process; None: nothing does."""
        ...

    async def stop(self, owner: str, session: str) -> int:
        """Stop the turns that run or wait in a session, in any process; returns how many."""
        ...

    async def take_back(self, owner: str, session: str, seq: int) -> int:
        """Remove the messages from `seq` on; returns how many. Raises SessionNotFound, SessionBusy, InvalidRequest."""
        ...

    async def compact(self, owner: str, session: str) -> asyncio.Task[MadeCut] | None:
        """Sum up the older part of a session; None: there is none. Raises SessionNotFound."""
        ...


async def direct_request(asked: ChatInput, model_id: str, registry: ModelRegistry, payer: Payer) -> DirectRequest:
    """Raises ModelNotFound, ProviderFailed (unavailable), InvalidRequest (it is not for chat, or has no log probabilities)."""
    opened = await registry.open(model_id)
    model, kind, options = opened.writes, opened.listed.type, asked.options
    if model is None or kind != "chat":
        where = {"completion": "/v1/completions", "embedding": "/v1/embeddings"}.get(kind, "/v1/models")
        raise InvalidRequest(f"This model is of the type '{kind}': use it at {where}.", param="model")
    if options.top_logprobs is not None and not model.info.logprobs:
        raise InvalidRequest(f"The model '{model_id[:100]}' has no 'logprobs'.", param="logprobs")
    if not asked.said and not asked.instructions:
        raise InvalidRequest("There is nothing to answer: no message holds words or a file.")
    return DirectRequest(
        id=new_id("turn"),
        model=model,
        conversations=(owned_by(model.info.provider, asked.said),) * options.n,
        ask=ModelRequest(
            instructions=asked.instructions,
            messages=(),
            tools=options.tools,
            tool_choice=options.tool_choice,
            parallel_calls=options.parallel_calls,
            top_logprobs=options.top_logprobs,
            sampling=asked.sampling.over(opened.sampling),
            stream=asked.stream,
            extra_fields=options.extra_fields,
            payer=payer,
        ),
        hints=options.hints,
    )


@record
class ChatService:
    """Agents and registered models, as chat completions and responses start them."""

    turns: TurnStarter
    registry: ModelRegistry
    direct: Direct
    known: AgentCatalog

    async def prepare(self, scope: Scope, asked: ChatInput) -> TurnRequest | DirectRequest:
        """The request for the agent or model, its estimated tokens reserved from the caller's limits.

        Raises ModelNotFound (unknown, or the key may not use it), RateLimited, InvalidRequest, ProviderFailed.
        """
        state, who = state_of(scope), principal(scope)
        if who.models is not None and not any(map(who.may_use, names_of(asked.route, self.known))):
            raise ModelNotFound(param="model")
        match asked.route:
            case ToAgent(agent=agent, session=session):
                turn_id = new_id("turn")
                history, results, content = parted(asked.said)
                wanted = TurnRequest(
                    id=turn_id,
                    owner=who.person,
                    caller=who.id,
                    agent=agent,
                    session=session or ONCE + turn_id,
                    content=tuple([part for part in content if not isinstance(part, Verbatim)]),
                    results=results,
                    history=owned_by(self.turns.facts(agent).provider, history) if history else (),
                    client_tools=asked.options.tools,
                    tool_choice=asked.options.tool_choice,
                    parallel_calls=asked.options.parallel_calls,
                    only_tools=self._own_tools(agent, asked) if asked.options.named_tools or asked.options.barred_tools else None,
                    instructions=asked.instructions,
                    sampling=asked.sampling,
                    stream=asked.stream,
                )
            case ToModel(id=model):
                wanted = await direct_request(asked, model, self.registry, who.payer)
            case ToWorkflow():
                raise TypeError("a workflow is started, not prepared")
        if state.admission is not UNLIMITED:
            await state.admission.reserve(estimated_tokens(asked.said, asked.instructions, asked.sampling, answers=asked.options.n))
        return wanted

    def _own_tools(self, agent: str, asked: ChatInput) -> frozenset[str]:
        """Those of the agent's own tools that `allowed_tools` leaves. Raises InvalidRequest where it names one that is not there."""
        own, named = self.turns.facts(agent).tools, asked.options.named_tools
        if named - own:
            raise InvalidRequest("'tool_choice' names a tool that is neither one of 'tools' nor one of this agent's.", param="tool_choice")
        return (named or own) - asked.options.barred_tools

    def start(self, wanted: TurnRequest | DirectRequest, admission: Admission) -> RunningTurn:
        """`admission`: pays for the turn's tokens. Raises SessionBusy, ShuttingDown; then the uploads are still the caller's."""
        return self.turns.start(wanted, admission) if isinstance(wanted, TurnRequest) else self.direct.start(wanted, admission)


async def wait_for_result(turn: RunningTurn, request: Request, *, cancels: bool) -> TurnFinished:
    """The answer. `cancels`: a client that disconnects cancels the turn.

    Raises what ended the turn, as FailedAfterActing where a tool had changed something.
    """
    watcher = asyncio.create_task(cancel_on_disconnect(turn, request.receive)) if cancels else None
    try:
        return await turn.result()
    except NanobotError as error:
        raise FailedAfterActing(error) if turn.acted else error from None
    finally:
        if watcher is not None:
            watcher.cancel()


@record
class ChatEndpoint:
    """The endpoint, an ASGI application. Its errors are answered by ErrorMiddleware."""

    asking: ChatService
    settings: ApiSettings
    spool_folder: Path
    files: FileService | None = None
    """Where uploaded files are, for messages that name one."""
    start_workflow: StartWorkflow | None = None
    """Starts the workflows that `known` lists; None: there are none."""
    hears: bool = False
    """Whether recordings are heard (`voice.transcriber`)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        uploaded = files_of(self.files, principal(scope).person)
        async with spooled(self.spool_folder, self.settings.limits, uploaded, hears=self.hears) as spool:
            asked = await read_chat(scope, receive, spool, self.asking.known)
            if isinstance(asked.route, ToWorkflow):
                turn = await self._run(scope, asked.route, asked)
            else:
                turn = self.asking.start(await self.asking.prepare(scope, asked), state_of(scope).admission)
                spool.hand_over()
        response = await self._answer(Request(scope, receive), turn, asked)
        await response(scope, receive, send)

    async def _run(self, scope: Scope, to: ToWorkflow, asked: ChatInput) -> RunningTurn:
        """It has taken the files in when this returns."""
        who = principal(scope)
        if self.start_workflow is None or not any(map(who.may_use, names_of(to, self.asking.known))):
            raise ModelNotFound(param="model")
        who.require("workflows")
        return await self.start_workflow(who.person, to.id, asked.said, asked.stream, who.id)

    async def _answer(self, request: Request, turn: RunningTurn, asked: ChatInput) -> Response:
        created = int(time.time())
        notice = notice_headers(asked.options.notice) if asked.options.notice else None
        cancels = self.settings.on_disconnect == "cancel"
        match asked.route:
            case ToAgent(shown=model):
                pass
            case ToWorkflow(id=workflow):
                model = name_of_workflow(workflow)
            case ToModel(id=model):
                cancels = True  # the answer is stored nowhere
        if asked.stream:
            chunks = Chunks(turn.id, created=created, model=model, with_usage=asked.include_usage, answers=asked.options.n)
            return ChatStream(
                turn,
                chunks,
                keep_alive=self.settings.keep_alive_seconds,
                cancel_on_disconnect=cancels,
                headers=notice,
                step=chunks.step if asked.include_steps else None,
            )
        finished = await wait_for_result(turn, request, cancels=cancels)
        return Response(completion(finished, created=created, model=model), media_type="application/json", headers=notice)
