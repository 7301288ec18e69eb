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
from assistant.api.chat.disconnects import cancelled_on_disconnect
from assistant.api.chat.input import ChatInput, read_chat
from assistant.api.chat.route import ToAgent
from assistant.api.chat.stream import ChatStream
from assistant.api.files.endpoints import Shelf, files_of
from assistant.api.middleware.errors import FailedAfterActing
from assistant.api.middleware.scope import admission, principal
from assistant.api.settings import ApiSettings
from assistant.contracts.errors import NanobotError
from assistant.turns.running import RunningTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """The endpoint. Its errors leave as exceptions, to be answered by ErrorAnswers."""

    asking: Asking
    settings: ApiSettings
    spool_folder: Path
    shelf: Shelf | None = None
    """Where files lie that messages may name."""

    async def __call__(self, request: Request) -> Response:
        spool = Spool(self.spool_folder, self.settings.limits, files_of(self.shelf, principal(request.scope).id))
        try:
            asked = await read_chat(request.scope, request.receive, spool, self.settings.limits, self.asking.known)
            turn = self.asking.start(await self.asking.prepare(request.scope, asked))
            spool.hand_over()
        finally:
            if spool.holds_files:
                await asyncio.to_thread(spool.remove)
        return await self._answered(request, turn, asked)

    async def _answered(self, request: Request, turn: RunningTurn, asked: ChatInput) -> Response:
        created = int(time.time())
        if isinstance(asked.route, ToAgent):
            model, cancels = asked.route.shown, self.settings.on_disconnect == "cancel"
        else:
            model, cancels = asked.route.id, True  # nobody keeps the answer
        if asked.stream:
            chunks = Chunks(turn.id, created=created, model=model, with_usage=asked.include_usage, answers=asked.wishes.n)
            return ChatStream(turn, chunks, keep_alive=self.settings.keep_alive_seconds, cancel_on_disconnect=cancels)
        async with cancelled_on_disconnect(turn, request.receive, enabled=cancels):
            try:
                finished = await turn.result()
            except NanobotError as error:
                raise FailedAfterActing(error) if turn.acted else error from None
        admission(request.scope).used(finished.usage.prompt_tokens + finished.usage.completion_tokens)
        return Response(completion(finished, created=created, model=model), media_type="application/json")
