"""GET /v1/sessions, GET and DELETE /v1/sessions/{id}: what the server keeps of conversations. Another owner's are not there."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Request

from assistant.api.answers import (
    SessionAnswer,
    SessionDeleted,
    SessionDetail,
    SessionList,
    SessionUsage,
    StoredAttachment,
    StoredMessageAnswer,
    StoredToolCall,
)
from assistant.api.chat.endpoint import TurnStarter
from assistant.api.chat.route import known_key, listed_id
from assistant.api.middleware.request import principal
from assistant.contracts.errors import SessionNotFound
from assistant.contracts.messages import AssistantMessage, Text, UserMessage
from assistant.contracts.sessions import Session, SessionStore, StoredMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEndpoints:
    store: SessionStore
    turns: TurnStarter

    async def index(
        self, request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 50, before: Annotated[str | None, Query(max_length=300)] = None
    ) -> SessionList:
        """The latest first; `before`: the id of the last one of the page before."""
        key = None if before is None else known_key(before)
        found = await self.store.list(principal(request.scope).id, limit=limit + 1, before=key)
        return SessionList(object="list", data=[_listed(session) for session in found[:limit]], has_more=len(found) > limit)

    async def show(
        self,
        request: Request,
        session_id: str,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    ) -> SessionDetail:
        """With its messages in order; `after`: the `seq` of the last one of the page before."""
        owner, key = principal(request.scope).id, known_key(session_id)
        session = await self.store.get(owner, key)
        if session is None:
            raise SessionNotFound(param="session_id")
        found = await self.store.messages(owner, key, after=after, limit=limit + 1)
        return SessionDetail(**dict(_listed(session)), data=[_shown(stored) for stored in found[:limit]], has_more=len(found) > limit)

    async def delete(self, request: Request, session_id: str) -> SessionDeleted:
        """With its messages, and the files that no other session holds; after the turns that run in it."""
        await self.turns.delete_session(principal(request.scope).id, known_key(session_id))
        return SessionDeleted(id=session_id, object="session.deleted", deleted=True)


def _listed(session: Session) -> SessionAnswer:
    usage = session.usage
    return SessionAnswer(
        id=listed_id(session.key),
        object="session",
        created=int(session.created.timestamp()),
        updated=int(session.updated.timestamp()),
        messages=session.messages,
        usage=SessionUsage(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.prompt_tokens + usage.completion_tokens,
        ),
    )


def _shown(stored: StoredMessage) -> StoredMessageAnswer:
    message = stored.message
    attachments: list[StoredAttachment] = []
    calls: list[StoredToolCall] = []
    if isinstance(message, UserMessage):
        text = "\n".join([part.text for part in message.parts if isinstance(part, Text)])
        attachments = [
            StoredAttachment(id=part.attachment_id, name=part.name, kind=part.kind, size=part.size)
            for part in message.parts
            if not isinstance(part, Text)
        ]
    else:
        text = message.text
    if isinstance(message, AssistantMessage):
        calls = [StoredToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in message.tool_calls]
    return StoredMessageAnswer(
        id=message.id,
        seq=stored.seq,
        role=message.role,
        created=int(stored.at.timestamp()),
        content=text,
        attachments=attachments,
        tool_calls=calls,
        cut_off=message.cut_off if isinstance(message, AssistantMessage) else None,
    )
