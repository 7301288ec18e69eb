"""/v1/responses: create, get, delete, list input items."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

import orjson
from fastapi import Query, Request
from starlette.responses import Response

from assistant.api.answers import known_id
from assistant.api.body.spool import FileLookup, spooled
from assistant.api.chat.endpoint import ChatService, wait_for_result
from assistant.api.chat.route import ToAgent
from assistant.api.chat.stream import ChatStream, notice_headers
from assistant.api.files import FileService, files_of
from assistant.api.middleware.request import principal, state_of
from assistant.api.openapi import WHY, described, endpoint, errors, takes
from assistant.api.responses.answers import RESPONSE_EVENTS, InputItemList, ResponseDeleted, ResponseObject
from assistant.api.responses.builder import ResponseBuilder, ResponseEvents, interrupted
from assistant.api.responses.input import ResponseInput, read_response
from assistant.api.responses.items import kept_items
from assistant.api.responses.wire import ResponseRequest
from assistant.api.settings import ApiSettings
from assistant.contracts.errors import InvalidRequest, NanobotError, ResponseNotFound
from assistant.contracts.records import record
from assistant.contracts.turns import TurnFailed, TurnFinished
from assistant.store.responses import KeptResponse, ResponseStore, SentFile
from assistant.turns.handle import RunningTurn

_PATH: Final = "/v1/responses"
_ONE: Final = _PATH + "/{response_id}"
_EITHER: Final = "The response; or, with `stream: true`, events from response.created to response.completed, incomplete or failed."
_known = partial(known_id, prefix="resp", missing=ResponseNotFound, param="response_id")


@record
class ResponseEndpoints:
    asking: ChatService
    store: ResponseStore
    files: FileService
    settings: ApiSettings
    spool_folder: Path

    @endpoint(
        "POST",
        _PATH,
        "Ask, by OpenAI's Responses",
        scope="chat",
        responses={
            200: described(ResponseObject, _EITHER, *RESPONSE_EVENTS),
            **errors(*[status for status in WHY if status not in (405, 422)]),
        },
        extra=takes(ResponseRequest),
    )
    async def create(self, request: Request) -> Response:
        """Ask, and have the answer kept: whole, or (`stream: true`) as server-sent events."""
        owner = principal(request.scope).person
        async with spooled(self.spool_folder, self.settings.limits, self._named(owner)) as spool:
            asked = await read_response(request.scope, request.receive, spool, self.asking.known, self.store, owner)
            wanted = await self.asking.prepare(request.scope, asked.chat)
            draft = ResponseBuilder(wanted.id, asked)
            if asked.keeps:
                await self._begin(owner, draft, asked)
                wanted = replace(wanted, keep=partial(self._keep, owner, draft, asked.chat.stream))
            try:
                turn = self.asking.start(wanted, state_of(request.scope).admission)
            except NanobotError:
                if asked.keeps:
                    await self.store.delete(owner, draft.id)
                raise
            spool.hand_over()
        return await self._answered(request, turn, draft, asked)

    @endpoint(
        "GET",
        _ONE,
        "Show a response",
        scope="chat",
        responses={200: described(ResponseObject, "Successful Response"), **errors(400, 401, 404, 503)},
    )
    async def show(self, request: Request, response_id: str, stream: Annotated[bool, Query(description="Only false.")] = False) -> Response:
        """A response as it is now."""
        if stream:
            raise InvalidRequest(
                "A response that is kept is not streamed: ask for it again until its status is not in_progress.", param="stream"
            )
        kept = await self._get(request, response_id)
        body = interrupted(kept.body) if kept.state == "interrupted" else kept.body
        return Response(orjson.dumps(body), media_type="application/json")

    @endpoint("GET", _ONE + "/input_items", "List the input of a response", scope="chat", responses=errors(400, 401, 404, 503))
    async def input_items(
        self,
        request: Request,
        response_id: str,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        order: Literal["asc", "desc"] = "desc",
        after: Annotated[str | None, Query(max_length=64)] = None,
    ) -> InputItemList:
        """What was sent to be answered: the last first, or (`order=asc`) the first; `after`: the id of the last one of the page before."""
        items = list((await self._get(request, response_id)).input)
        items = items[::-1] if order == "desc" else items
        start = next((place + 1 for place, item in enumerate(items) if item["id"] == after), len(items)) if after is not None else 0
        found = items[start:]
        first, last = (str(found[0]["id"]), str(found[:limit][-1]["id"])) if found else (None, None)
        return InputItemList.page(found, limit, dict, first_id=first, last_id=last)

    @endpoint("DELETE", _ONE, "Delete a response", scope="chat", responses=errors(401, 404, 503))
    async def delete(self, request: Request, response_id: str) -> ResponseDeleted:
        """Remove it. The conversation of a later response then begins after it; the session in which it was made keeps its messages."""
        if not await self.store.delete(principal(request.scope).person, _known(response_id)):
            raise ResponseNotFound(param="response_id")
        return ResponseDeleted(id=response_id)

    async def _get(self, request: Request, response_id: str) -> KeptResponse:
        kept = await self.store.get(principal(request.scope).person, _known(response_id))
        if kept is None:
            raise ResponseNotFound(param="response_id")
        return kept

    def _named(self, owner: str) -> FileLookup:
        """Finds the files that this owner uploaded, or sent with a response that is kept."""
        uploaded = files_of(self.files, owner)

        async def find(file_id: str) -> tuple[str, Path] | None:
            return (await uploaded(file_id) if uploaded else None) or await self.store.file(owner, file_id)

        return find

    async def _begin(self, owner: str, draft: ResponseBuilder, asked: ResponseInput) -> None:
        """Keep what was sent. Raises StoreUnavailable, and what reading a file raises."""
        read = self.files.reader.read
        files = [SentFile(id=sent.id, upload=sent.upload, read=await read(sent.upload)) for sent in asked.files.values()]
        kept = KeptResponse(
            id=draft.id,
            previous=asked.request.previous_response_id,
            session=asked.session,
            at=datetime.fromtimestamp(draft.created, UTC),
            input=kept_items(asked.items, asked.files, draft.id),
            body=draft.begun.model_dump(),
        )
        await self.store.begin(owner, kept, files)

    async def _keep(self, owner: str, draft: ResponseBuilder, told: bool, end: TurnFinished | TurnFailed) -> None:
        """`told`: whether the client may know the response's id before its end. One that failed without that was never there."""
        if isinstance(end, TurnFinished):
            await self.store.finish(owner, draft.id, draft.finished(end).model_dump())
        elif told:
            await self.store.finish(owner, draft.id, draft.failed(end.error).model_dump())
        else:
            await self.store.delete(owner, draft.id)

    async def _answered(self, request: Request, turn: RunningTurn, draft: ResponseBuilder, asked: ResponseInput) -> Response:
        # A model's answer that is not kept can't be read later.
        cancels = self.settings.on_disconnect == "cancel" or not (asked.keeps or isinstance(asked.to, ToAgent))
        notice = notice_headers(*asked.notices)
        if asked.chat.stream:
            events = ResponseEvents(draft)
            return ChatStream(turn, events, keep_alive=self.settings.keep_alive_seconds, cancel_on_disconnect=cancels, headers=notice)
        response = draft.finished(await wait_for_result(turn, request, cancels=cancels))
        return Response(response.model_dump_json(), media_type="application/json", headers=notice)
