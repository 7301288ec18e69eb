"""POST /v1/chat/completions: one turn, its answer whole or as it comes."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from assistant.api.body.spool import Spool
from assistant.api.chat.completions import Chunks, completion
from assistant.api.chat.direct import direct_request
from assistant.api.chat.disconnects import cancelled_on_disconnect
from assistant.api.chat.input import ChatInput, read_chat
from assistant.api.chat.route import Known, ToAgent, names_of
from assistant.api.chat.stream import ChatStream
from assistant.api.files.endpoints import Shelf, files_of
from assistant.api.middleware.errors import FailedAfterActing
from assistant.api.middleware.scope import admission, principal
from assistant.api.settings import ApiSettings
from assistant.api.turns import Turns
from assistant.contracts.errors import ModelNotFound, NanobotError
from assistant.contracts.ids import new_id
from assistant.contracts.models import ModelRegistry
from assistant.contracts.sessions import ONCE
from assistant.contracts.turns import Asked, TurnRequest
from assistant.turns.direct import Direct
from assistant.turns.estimate import estimated_tokens
from assistant.turns.running import RunningTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """The endpoint. Its errors leave as exceptions, to be answered by ErrorAnswers."""

    turns: Turns
    registry: ModelRegistry
    direct: Direct
    known: Known
    settings: ApiSettings
    spool_folder: Path
    shelf: Shelf | None = None
    """Where files lie that messages may name."""

    async def __call__(self, request: Request) -> Response:
        spool = Spool(self.spool_folder, self.settings.limits, files_of(self.shelf, principal(request.scope).id))
        try:
            asked = await read_chat(request.scope, request.receive, spool, self.settings.limits, self.known)
            who = principal(request.scope)
            if not any(map(who.may_use, names_of(asked.route, self.known))):
                raise ModelNotFound(param="model")
            if isinstance(asked.route, ToAgent):
                await self._reserve(request, asked)
                turn = self.turns.start(turn_request(asked, asked.route, who.id))
            else:
                wanted = await direct_request(asked, asked.route.id, self.registry)
                await self._reserve(request, asked)
                turn = self.direct.start(wanted)
            spool.hand_over()
        finally:
            if spool.holds_files:
                await asyncio.to_thread(spool.remove)
        return await self._answered(request, turn, asked)

    async def _reserve(self, request: Request, asked: ChatInput) -> None:
        """Raises RateLimited."""
        tokens = estimated_tokens(asked.said, asked.instructions, asked.sampling, answers=asked.wishes.n)
        await admission(request.scope).reserve(tokens)

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
                admission(request.scope).broke_off(turn.took)
                raise FailedAfterActing(error) if turn.acted else error from None
        admission(request.scope).used(finished.usage.prompt_tokens + finished.usage.completion_tokens)
        return Response(completion(finished, created=created, model=model), media_type="application/json")


def turn_request(asked: ChatInput, to: ToAgent, owner: str) -> TurnRequest:
    """The turn that answers. A request that stands for itself gets a session of its own."""
    turn_id = new_id("turn")
    *before, last = asked.said
    if not isinstance(last, Asked):
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
