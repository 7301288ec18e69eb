"""POST /v1/chat/completions: one turn, its answer whole or as it comes."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from assistant.api.body.spool import Spool
from assistant.api.chat.asking import Asking
from assistant.api.chat.completions import Chunks, completion
from assistant.api.chat.input import ChatInput, read_chat
from assistant.api.chat.route import ToAgent, ToModel, ToWorkflow, name_of_workflow
from assistant.api.chat.stream import ChatStream
from assistant.api.chat.whole import whole_answer
from assistant.api.files.endpoints import Shelf, files_of
from assistant.api.middleware.scope import principal
from assistant.api.settings import ApiSettings
from assistant.contracts.errors import ModelNotFound
from assistant.turns.running import RunningTurn
from assistant.workflows.models import WorkflowModels


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """The endpoint. Its errors leave as exceptions, to be answered by ErrorAnswers."""

    asking: Asking
    settings: ApiSettings
    spool_folder: Path
    shelf: Shelf | None = None
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
        finished = await whole_answer(turn, request, cancels=cancels)
        return Response(completion(finished, created=created, model=model), media_type="application/json")
