"""/v1/sessions: conversations that the server keeps: listed, searched, shown, renamed, compacted, deleted. Those of other owners are 404."""

import asyncio
from collections import Counter
from dataclasses import field
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from assistant.api.answers import Answer, ChatCompletionChunk, ListAnswer, PageLimit, Seconds
from assistant.api.chat.endpoint import TurnStarter
from assistant.api.chat.follow import FollowStream
from assistant.api.chat.route import known_key, listed_id
from assistant.api.chat.stream import usage
from assistant.api.file_answers import SHOWN, file_answer
from assistant.api.middleware.request import principal
from assistant.api.openapi import FILE, endpoint, errors, events
from assistant.contracts.errors import InvalidRequest, NoSuchFile, SessionNotFound
from assistant.contracts.messages import AssistantMessage, Text, ToolMessage, UserMessage
from assistant.contracts.records import record
from assistant.contracts.search import NoSearch, Search, SearchWish
from assistant.contracts.sessions import Session, SessionStore, StoredMessage
from assistant.store.attachments import AttachmentStore


class SessionUsage(Answer):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class SessionAnswer(Answer):
    id: str
    object: Literal["session"] = "session"
    created: Seconds
    updated: Seconds
    messages: int
    usage: SessionUsage
    title: str = Field(description="As it was called, else the first words of its first message; one line, perhaps empty.")
    running: bool = Field(description="A turn runs or waits in it.")
    context_from: int = Field(
        description="The `seq` of the first message that the model sees: what was before is summed up, or left behind."
    )


class SessionChange(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    title: Annotated[str, Field(max_length=200)] = Field(description="Empty: the first words of its first message, again.")


class SessionList(ListAnswer[SessionAnswer]):
    pass


class SessionDeleted(Answer):
    id: str
    object: Literal["session.deleted"] = "session.deleted"
    deleted: Literal[True] = True


class SessionCompacted(Answer):
    id: str
    object: Literal["session.compacted"] = "session.compacted"
    compacted: bool
    """False: there was nothing older to sum up, or the session changed meanwhile."""


class SessionStopped(Answer):
    object: Literal["session.stopped"] = "session.stopped"
    stopped: int = Field(description="How many turns.")


class MessagesRemoved(Answer):
    id: str
    object: Literal["session.messages.deleted"] = "session.messages.deleted"
    deleted: int


class StoredAttachment(Answer):
    id: str = Field(validation_alias="attachment_id")
    name: str
    kind: Literal["image", "document"]
    size: int


class StoredToolCall(Answer):
    id: str
    name: str
    arguments: str


class StoredMessageAnswer(Answer):
    """`reasoning`, `model`: of the assistant's messages, else empty. `tool_call_id`, `name`, `ok`, `pending` (the approval that it waits for): of
    results of tools, else null."""

    id: str
    seq: int
    turn_id: str = Field(description="The turn that it is of; the `id` of the turn's stream is `chatcmpl-` and what is behind `turn_`.")
    role: Literal["user", "assistant", "tool"]
    created: Seconds
    content: str
    attachments: list[StoredAttachment]
    tool_calls: list[StoredToolCall]
    cut_off: str | None
    reasoning: str
    model: str
    tool_call_id: str | None
    name: str | None
    ok: bool | None
    pending: str | None


class SessionDetail(SessionAnswer):
    data: list[StoredMessageAnswer]
    has_more: bool


_ONE: Final = "/v1/sessions/{session_id:path}"
_MOST_HITS: Final = 100
_FOLLOWED: Final = {
    200: {"description": "Events of the turn, from its first on; `[DONE]` behind a whole answer.", "content": events(ChatCompletionChunk)},
    204: {"description": "Nothing runs."},
}
_FILE: Final = {"description": "The file.", "content": {kind: {"schema": FILE} for kind in ("application/octet-stream", *SHOWN)}}


@record
class SessionEndpoints:
    store: SessionStore
    turns: TurnStarter
    attachments: AttachmentStore | None = None
    search: Search = field(default_factory=NoSearch)
    """Over what was said."""
    keep_alive: float = 10.0
    """Seconds."""
    following: Counter[str] = field(default_factory=Counter[str])
    """How many turns each person follows."""

    @endpoint("GET", "/v1/sessions", "List sessions", scope="sessions", responses=errors(400, 401, 404, 503))
    async def index(
        self,
        request: Request,
        limit: PageLimit = 50,
        before: Annotated[str | None, Query(max_length=300)] = None,
        search: Annotated[str, Query(max_length=500)] = "",
    ) -> SessionList:
        """The latest first; `before`: the id of the last one of the page before. `search`: those whose title holds these words, and those in which
        something like them was said."""
        owner, key, words = principal(request.scope).person, None if before is None else known_key(before), search.strip()
        said: dict[str, None] = {}
        if words:
            hits = await self.search.search(SearchWish(owner=owner, query=words, limit=_MOST_HITS))
            said = dict.fromkeys([hit.session for hit in hits if hit.session])
        found = await self.store.list(owner, limit=limit + 1, before=key, words=words, among=[*said])
        return SessionList.page(found, limit, lambda session: SessionAnswer(**_listed(session)))

    @endpoint(
        "GET",
        _ONE + "/attachments/{attachment_id:path}",
        "Fetch a file of a session",
        scope="sessions",
        responses={200: _FILE, **errors(401, 404, 503)},
        response_class=Response,
    )
    async def attachment(self, request: Request, session_id: str, attachment_id: str) -> Response:
        """Pictures (PNG, JPEG, GIF, WebP) are answered to be shown, everything else to be saved."""
        found = None
        if self.attachments is not None:
            found = await self.attachments.contents(principal(request.scope).person, known_key(session_id), attachment_id)
        if found is None:
            raise NoSuchFile("This session holds no such file.", param="attachment_id")
        return file_answer(found[0].name, found[1])

    @endpoint(
        "GET",
        _ONE + "/stream",
        "Follow what runs in a session",
        scope="sessions",
        responses={**_FOLLOWED, **errors(401, 404, 503)},
        response_class=Response,
    )
    async def follow(self, request: Request, session_id: str) -> Response:
        """The turn that runs or waits there, wherever it was asked for, as the stream of chat completions with its steps and its usage. What was said
        so far comes at once. At most 16 streams a person. `/v1/changes` tells when the next turn begins."""
        owner, key = principal(request.scope).person, known_key(session_id)
        turn = await self.turns.follow(owner, key)
        if turn is not None:
            return FollowStream(turn, self.following, keep_alive=self.keep_alive)
        if await self.store.get(owner, key) is None:
            raise SessionNotFound(param="session_id")
        return Response(status_code=204)

    @endpoint("GET", _ONE, "Show a session", scope="sessions", responses=errors(400, 401, 404, 503))
    async def show(
        self,
        request: Request,
        session_id: str,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
        before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
        latest: bool = False,
    ) -> SessionDetail:
        """With its messages in order. `after`: the `seq` of the last one of the page before. Backwards: the `latest`, then those `before` the `seq`
        of the first one that is known; `has_more` then means earlier ones."""
        if (before is not None or latest) and after:
            raise InvalidRequest("A page is 'after' one, or 'before' one and 'latest': not both.", param="after")
        owner, key = principal(request.scope).person, known_key(session_id)
        session = await self.store.get(owner, key)
        if session is None:
            raise SessionNotFound(param="session_id")
        end = before if before is not None else 2**63 - 1 if latest else None
        found = await self.store.messages(owner, key, after=after, before=end, limit=limit + 1)
        shown = found[:limit] if end is None else found[-limit:]
        return SessionDetail(**_listed(session), data=[_message(stored) for stored in shown], has_more=len(found) > limit)

    @endpoint("POST", _ONE + "/compact", "Compact a session", scope="sessions", responses=errors(401, 404, 503))
    async def compact(self, request: Request, session_id: str) -> SessionCompacted:
        """Sum up all but the last part of it now: the model sees the summary in place of the older messages, which stay stored."""
        task = await self.turns.compact(principal(request.scope).person, known_key(session_id))
        return SessionCompacted(id=session_id, compacted=task is not None and (await asyncio.shield(task)).stored)

    @endpoint("POST", _ONE + "/stop", "Stop what runs in a session", scope="sessions", responses=errors(401, 404, 503))
    async def stop(self, request: Request, session_id: str) -> SessionStopped:
        """The turns that run or wait in it, in any process on the store: each ends with what it said so far."""
        owner, key = principal(request.scope).person, known_key(session_id)
        stopped = await self.turns.stop(owner, key)
        if not stopped and await self.store.get(owner, key) is None:
            raise SessionNotFound(param="session_id")
        return SessionStopped(stopped=stopped)

    @endpoint("POST", _ONE, "Rename a session", scope="sessions", responses=errors(400, 401, 404, 503))
    async def rename(self, request: Request, session_id: str, change: SessionChange) -> SessionAnswer:
        owner, key = principal(request.scope).person, known_key(session_id)
        renamed = await self.store.rename(owner, key, change.title)
        session = await self.store.get(owner, key) if renamed else None
        if session is None:
            raise SessionNotFound(param="session_id")
        return SessionAnswer(**_listed(session))

    @endpoint("DELETE", _ONE + "/messages", "Take messages back", scope="sessions", responses=errors(400, 401, 404, 409, 503))
    async def take_back(
        self, request: Request, session_id: str, first: Annotated[int, Query(alias="from", ge=1, le=2**31 - 1)]
    ) -> MessagesRemoved:
        """Remove the messages from the `seq` in `from` on, a message of the person's, to ask it anew. What was remembered of them stays, and so does
        what was done. Refused (409) while a turn runs, and for what was summed up (400): `context_from` is the first that can be taken back."""
        removed = await self.turns.take_back(principal(request.scope).person, known_key(session_id), first)
        return MessagesRemoved(id=session_id, deleted=removed)

    @endpoint("DELETE", _ONE, "Delete a session", scope="sessions", responses=errors(401, 404, 409, 503))
    async def delete(self, request: Request, session_id: str) -> SessionDeleted:
        """With its messages, and the files that no other session holds; after the turns that run in it."""
        await self.turns.delete_session(principal(request.scope).person, known_key(session_id))
        return SessionDeleted(id=session_id)


def _listed(session: Session) -> dict[str, Any]:
    return {
        "id": listed_id(session.key),
        "created": session.created,
        "updated": session.updated,
        "messages": session.messages,
        "usage": usage(session.usage),
        "title": session.title,
        "running": session.running,
        "context_from": session.context_from,
    }


def _message(stored: StoredMessage) -> StoredMessageAnswer:
    message = stored.message
    user = message if isinstance(message, UserMessage) else None
    said = message if isinstance(message, AssistantMessage) else None
    result = message if isinstance(message, ToolMessage) else None
    texts = [part.text for part in user.parts if isinstance(part, Text) and not part.recalled] if user else []
    sent = [part for part in user.parts if not isinstance(part, Text) and part.attachment_id] if user else []
    return StoredMessageAnswer.model_validate(
        {
            "id": message.id,
            "seq": stored.seq,
            "turn_id": stored.turn_id,
            "role": message.role,
            "created": stored.at,
            "content": "\n".join(texts) if isinstance(message, UserMessage) else message.text,
            "attachments": sent if user else result.images if result else (),
            "tool_calls": said.tool_calls if said else (),
            "cut_off": said.cut_off if said else None,
            "reasoning": said.reasoning if said else "",
            "model": said.model if said else "",
            "tool_call_id": result.call_id if result else None,
            "name": result.name if result else None,
            "ok": result.ok if result else None,
            "pending": result.pending.id if result and result.pending else None,
        }
    )
