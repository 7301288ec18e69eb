"""/v1/approvals: calls that wait for a person's yes."""

import json
from functools import partial
from typing import Annotated, Final, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from assistant.api.answers import Answer, Before, ListAnswer, PageLimit, Time, known_id
from assistant.api.body.request import read_json
from assistant.api.chat.route import listed_id
from assistant.api.complaints import validated
from assistant.api.middleware.request import principal
from assistant.api.openapi import endpoint, error, errors, takes
from assistant.api.settings import ApiLimits
from assistant.approvals.book import ApprovalBook
from assistant.contracts.approvals import Approval, ApprovalNotFound, ApprovalState, ApprovalWord
from assistant.contracts.records import record

_PATH: Final = "/v1/approvals"
_ONE: Final = _PATH + "/{approval_id}"
_OVER: Final = {409: error("It was answered otherwise, has expired, or is not the call any more that was asked for.")}
_known = partial(known_id, prefix="apr", missing=ApprovalNotFound, param="approval_id")


class ApprovalAnswerRequest(BaseModel):
    """A person's answer."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    answer: ApprovalWord = Field(
        description="once: it runs; session: its like in this session, too, without a question; deny: it does not run."
    )


class ApprovalAnswer(Answer):
    """A call that waits for a yes, or what followed. Times are UTC, by ISO 8601."""

    id: str
    object: Literal["approval"] = "approval"
    code: str = Field(description="What `/approve` takes in a chat.")
    state: ApprovalState = Field(
        description="approved: it runs now; done: it has run; void: it was not the call any more, or could not run."
    )
    answer: ApprovalWord | None
    tool: str
    arguments: dict[str, JsonValue]
    text: str = Field(description="The whole call, for people.")
    why: str
    agent: str
    session: str
    created_at: Time
    expires_at: Time
    ended_at: Time | None


class ApprovalList(ListAnswer[ApprovalAnswer]):
    pass


@record
class ApprovalEndpoints:
    book: ApprovalBook
    limits: ApiLimits

    @endpoint("GET", _PATH, "List approvals", scope="approvals", responses=errors(400, 401, 404, 503))
    async def index(
        self,
        request: Request,
        waiting: Annotated[bool, Query(description="Only those that can be answered now.")] = False,
        limit: PageLimit = 50,
        before: Before = None,
    ) -> ApprovalList:
        """The caller's own, the newest first; `before`: the id of the last one of the page before."""
        last = None if before is None else _known(before)
        found = await self.book.list(principal(request.scope).person, waiting=waiting, limit=limit + 1, before=last)
        return ApprovalList.page(found, limit, shown)

    @endpoint("GET", _ONE, "Show an approval", scope="approvals", responses=errors(401, 404, 503))
    async def show(self, request: Request, approval_id: str) -> ApprovalAnswer:
        """One of the caller's own."""
        return shown(await self.book.get(principal(request.scope).person, _known(approval_id)))

    @endpoint(
        "POST",
        _ONE,
        "Answer an approval",
        scope="approvals",
        responses={**errors(400, 401, 404, 408, 413, 415, 422, 503), **_OVER},
        extra=takes(ApprovalAnswerRequest),
    )
    async def answer(self, request: Request, approval_id: str) -> ApprovalAnswer:
        """Say yes or no, once. After a yes the session goes on by itself; its answer goes to its chat, or stays in it. The same answer again changes
        nothing."""
        asked = validated(ApprovalAnswerRequest, await read_json(request.scope, request.receive, self.limits))
        return shown(await self.book.answer(principal(request.scope).person, _known(approval_id), asked.answer))


def shown(approval: Approval) -> ApprovalAnswer:
    return ApprovalAnswer(
        id=approval.id,
        code=approval.code,
        state=approval.state,
        answer=approval.answer,
        tool=approval.tool,
        arguments=json.loads(approval.arguments),
        text=approval.text,
        why=approval.why,
        agent=approval.agent,
        session=listed_id(approval.session),
        created_at=approval.created,  # pyright: ignore[reportArgumentType] - written by `Time`
        expires_at=approval.expires_at,  # pyright: ignore[reportArgumentType] - likewise
        ended_at=approval.ended,  # pyright: ignore[reportArgumentType] - likewise
    )
