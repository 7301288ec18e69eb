"""GET /v1/audit: what tools did, when, by whose word."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final, Literal

from fastapi import Query, Request
from pydantic import Field

from assistant.api.answers import Answer, Before, ListAnswer, PageLimit, Time, known_id
from assistant.api.chat.route import known_key, listed_id
from assistant.api.middleware.request import principal
from assistant.api.openapi import endpoint, errors
from assistant.contracts.audit import Deed, DeedKind, DeedNotFound
from assistant.contracts.causes import CauseKind
from assistant.contracts.people import shown_person
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record
from assistant.store.audit import AuditStore


class DeedAnswer(Answer):
    id: str
    object: Literal["audit.entry"] = "audit.entry"
    at: Time
    person: str = Field(description="Whose it is: a person's id, or a group's chat.")
    session_id: str
    turn_id: str
    agent: str
    cause: CauseKind
    cause_id: str = Field(description="Of the schedule, task, job or approval; empty for a message.")
    caller: str = Field(description="Who asked: a credential or a sender.")
    tool: str
    kind: DeedKind = Field(description="What was done; asked: the call waits for a person's yes.")
    text: str
    ref: str
    read: list[Provenance] = Field(description="Whose words the conversation held by then, beside the person's.")
    approval: str


class DeedList(ListAnswer[DeedAnswer]):
    pass


_known: Final = partial(known_id, prefix="aud", missing=DeedNotFound, param="before")


@record
class AuditEndpoints:
    store: AuditStore

    @endpoint("GET", "/v1/audit", "What was done", scope="audit", responses=errors(400, 401, 404, 503))
    async def audit(
        self,
        request: Request,
        session_id: Annotated[str | None, Query(max_length=512)] = None,
        since: datetime | None = None,
        everyone: bool = False,
        limit: PageLimit = 50,
        before: Before = None,
    ) -> DeedList:
        """What tools did for you, the latest first, and what waited for a yes; `everyone`: for all people, which needs the scope `admin`. `since`: a
        time with its offset, else of UTC. `before`: the id of the last one of the page before."""
        who = principal(request.scope)
        if everyone:
            who.require("admin")
        found = await self.store.list(
            None if everyone else who.person,
            session=None if session_id is None else known_key(session_id),
            since=since if since is None or since.tzinfo else since.replace(tzinfo=UTC),
            limit=limit + 1,
            before=None if before is None else _known(before),
        )
        return DeedList.page(found, limit, _answer)


def _answer(deed: Deed) -> DeedAnswer:
    return DeedAnswer(
        id=deed.id,
        at=deed.at,  # pyright: ignore[reportArgumentType] - written by `Time`
        person=shown_person(deed.owner),
        session_id=listed_id(deed.session),
        turn_id=deed.turn_id,
        agent=deed.agent,
        cause=deed.cause.kind,
        cause_id=deed.cause.id,
        caller=shown_person(deed.caller),
        tool=deed.tool,
        kind=deed.kind,
        text=deed.text,
        ref=deed.ref,
        read=list(deed.read),
        approval=deed.approval,
    )
