"""/v1/memories: what is remembered of the caller; it is seen by its owner alone."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from assistant.api.answers import Answer, Before, ListAnswer, PageLimit, Time, known_id
from assistant.api.body.request import read_json
from assistant.api.chat.route import listed_id
from assistant.api.complaints import validated
from assistant.api.middleware.request import principal
from assistant.api.openapi import endpoint, errors, takes
from assistant.api.settings import ApiLimits
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.memory import MOST_CHARS, Memory, MemoryKind, MemoryNotFound, Statement
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record
from assistant.contracts.sending import read_time
from assistant.memory.command import source_of
from assistant.memory.service import MemoryService
from assistant.store.store import Store


class MemoryRequest(BaseModel):
    """A statement to remember. It is the caller's explicit wish: what was forgotten comes back by it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    text: Annotated[str, Field(min_length=1, max_length=MOST_CHARS)]
    kind: MemoryKind = "fact"
    about: Annotated[str, Field(max_length=100)] = Field(
        default="", description="What single thing it says, if there can be only one: a later statement about it supersedes this one."
    )
    valid_until: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="When it ends: ISO 8601 with an offset.")


class MemoryAnswer(Answer):
    id: str
    object: Literal["memory"] = "memory"
    number: int
    text: str
    kind: MemoryKind
    provenance: Provenance
    about: str = Field(description="What single thing it says; empty: nothing that a later statement could supersede.")
    learned: bool = Field(description="Found in what was said, without being asked for.")
    seen_at: Time
    valid_until: Time | None
    superseded_by: str | None = Field(description="The id of the memory that replaced it; null: it holds.")


class MemoryOrigin(Answer):
    """The message that a memory came from. `text`: null where it was deleted."""

    session_id: str
    message_id: str
    seq: int
    text: str | None


class MemoryDetail(MemoryAnswer):
    source: MemoryOrigin | None


class MemoryList(ListAnswer[MemoryAnswer]):
    pass


class MemoryDeleted(Answer):
    id: str
    object: Literal["memory.deleted"] = "memory.deleted"
    deleted: Literal[True] = True


_PATH: Final = "/v1/memories"
_ONE: Final = _PATH + "/{memory_id}"
_known = partial(known_id, prefix="mem", missing=MemoryNotFound, param="memory_id")


@record
class MemoryResources:
    """The services that memories need."""

    store: Store
    memory: MemoryService


@record
class MemoryEndpoints:
    known: MemoryResources
    limits: ApiLimits

    @endpoint("GET", _PATH, "List memories", scope="memory", responses=errors(400, 401, 404, 503))
    async def index(
        self,
        request: Request,
        query: Annotated[str | None, Query(max_length=500)] = None,
        history: bool = False,
        limit: PageLimit = 50,
        before: Before = None,
    ) -> MemoryList:
        """The latest first; `before`: the id of the last one of the page before. `query`: those that fit these words, the best first (there is
        one page). `history`: with those that were superseded."""
        owner = principal(request.scope).person
        if query is not None:
            if before is not None or history:
                raise InvalidRequest("A query has one page, of memories that hold: leave out 'before' and 'history'.", param="query")
            return MemoryList.page(await self.known.memory.find(owner, query, limit), limit, MemoryAnswer.model_validate)
        last = None if before is None else (await self.known.store.memories.get(owner, _known(before))).id
        found = await self.known.store.memories.list(owner, history=history, limit=limit + 1, before=last)
        return MemoryList.page(found, limit, MemoryAnswer.model_validate)

    @endpoint(
        "POST",
        _PATH,
        "Remember something",
        scope="memory",
        responses=errors(400, 401, 408, 413, 415, 503),
        extra=takes(MemoryRequest),
    )
    async def create(self, request: Request) -> MemoryDetail:
        """Keep a statement. The same one again is the same memory; one about the same thing supersedes it."""
        asked = validated(MemoryRequest, await read_json(request.scope, request.receive, self.limits))
        if not (text := asked.text.strip()):
            raise InvalidRequest("'text' is empty.", param="text")
        ends = read_time(asked.valid_until) if asked.valid_until else None
        if ends is not None and ends <= datetime.now(UTC):
            raise InvalidRequest("'valid_until' is in the past.", param="valid_until")
        statement = Statement(text=text, kind=asked.kind, about=asked.about, valid_until=ends)
        return await self._detail(await self.known.memory.keep(principal(request.scope).person, statement, explicit=True))

    @endpoint("GET", _ONE, "Show a memory", scope="memory", responses=errors(401, 404, 503))
    async def show(self, request: Request, memory_id: str) -> MemoryDetail:
        """With the message that it came from."""
        return await self._detail(await self.known.store.memories.get(principal(request.scope).person, _known(memory_id)))

    @endpoint("DELETE", _ONE, "Forget a memory", scope="memory", responses=errors(400, 401, 404, 503))
    async def forget(self, request: Request, memory_id: str, everywhere: bool = False) -> MemoryDeleted:
        """With its older versions, and all that was made of it. It is not learned again. `everywhere`: its words are blacked out in what was
        said, too."""
        if not await self.known.store.forgetting.forget(principal(request.scope).person, [_known(memory_id)], everywhere=everywhere):
            raise MemoryNotFound(param="memory_id")
        return MemoryDeleted(id=memory_id)

    async def _detail(self, memory: Memory) -> MemoryDetail:
        source = memory.source
        origin: dict[str, Any] | None = source and {
            "session_id": listed_id(source.session),
            "message_id": source.message,
            "seq": source.seq,
            "text": await source_of(self.known.store, memory),
        }
        fields = {name: getattr(memory, name) for name in MemoryAnswer.model_fields if name != "object"}
        return MemoryDetail.model_validate({**fields, "source": origin})
