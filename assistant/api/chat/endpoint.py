"""POST /v1/chat/completions: one turn, its answer whole or as it comes."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from assistant.api.body.spool import Spool
from assistant.api.chat.completions import Chunks, completion
from assistant.api.chat.disconnects import cancelled_on_disconnect
from assistant.api.chat.estimate import estimated_tokens
from assistant.api.chat.input import read_chat
from assistant.api.chat.stream import ChatStream
from assistant.api.middleware.errors import FailedAfterActing
from assistant.api.middleware.scope import admission, principal
from assistant.api.settings import ApiSettings
from assistant.api.turns import Turns
from assistant.contracts.errors import ModelNotFound, NanobotError
from assistant.contracts.ids import new_id
from assistant.contracts.models import ModelInfo
from assistant.contracts.turns import TurnRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """The endpoint. Its errors leave as exceptions, to be answered by ErrorAnswers."""

    turns: Turns
    model: ModelInfo
    settings: ApiSettings
    spool_folder: Path

    async def __call__(self, request: Request) -> Response:
        spool = Spool(self.spool_folder, self.settings.limits)
        try:
            asked = await read_chat(request.scope, request.receive, spool, self.settings.limits, self.model.id)
            who, counted = principal(request.scope), admission(request.scope)
            if not who.may_use(self.model.id):
                raise ModelNotFound(param="model")
            await counted.reserve(estimated_tokens(asked.content, asked.instructions, asked.sampling))
            turn = self.turns.start(
                TurnRequest(
                    id=new_id("turn"),
                    owner=who.id,
                    session=asked.session,
                    content=asked.content,
                    instructions=asked.instructions,
                    sampling=asked.sampling,
                    stream=asked.stream,
                )
            )
            spool.hand_over()
        finally:
            if spool.holds_files:
                await asyncio.to_thread(spool.remove)
        created = int(time.time())
        cancels = self.settings.on_disconnect == "cancel"
        if asked.stream:
            chunks = Chunks(turn.id, created=created, model=self.model.id, with_usage=asked.include_usage)
            return ChatStream(turn, chunks, keep_alive=self.settings.keep_alive_seconds, cancel_on_disconnect=cancels)
        async with cancelled_on_disconnect(turn, request.receive, enabled=cancels):
            try:
                finished = await turn.result()
            except NanobotError as error:
                raise FailedAfterActing(error) if turn.acted else error from None
        counted.used(finished.usage.prompt_tokens + finished.usage.completion_tokens)
        return Response(completion(finished, created=created, model=self.model.id), media_type="application/json")
