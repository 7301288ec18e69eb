"""Answers to what waits for a person's yes, from every door."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from assistant.approvals.calls import digest_of, fenced, summary
from assistant.approvals.desk import Folder
from assistant.contracts.approvals import Approval, ApprovalConflict, ApprovalState, ApprovalWord
from assistant.contracts.causes import Cause
from assistant.contracts.continuations import Continuation
from assistant.contracts.messages import Json, ToolCall
from assistant.contracts.util import Clock, derived_id, utc_now
from assistant.store.approvals import ApprovalStore, Outcome

Reads = Callable[[Approval, ToolCall], Awaitable[Mapping[str, Json] | None]]
"""The call's arguments as the tool takes them now that the session has; None: it does not."""
_TOLD: Final[Mapping[ApprovalState, str]] = {
    "denied": "Denied: it does not run.",
    "expired": "Too late: it has expired, and does not run.",
    "void": "It does not run: what was asked for has changed, or its conversation is gone.",
    "done": "It was approved, and has run.",
}

_WHY_NOT: Final[Mapping[str, str]] = {
    "denied": "the person denied it",
    "expired": "the person did not answer in time",
    "void": "it is not the call any more that the person was asked for",
}


class ApprovalBook:
    """Lists what waits, and takes answers. `person` None means any person's (the command line)."""

    def __init__(self, store: ApprovalStore, *, folder: Folder, reads: Reads | None = None, clock: Clock = utc_now) -> None:
        """`reads`: None: this process has no tools; the one that runs the call looks then."""
        self._store = store
        self._folder = folder
        self._reads = reads
        self._clock = clock

    async def get(self, person: str | None, wanted: str) -> Approval:
        """By id or code. Raises ApprovalNotFound."""
        return self._as_of_now(await self._store.get(person, wanted))

    async def list(self, person: str | None, *, waiting: bool = False, limit: int = 50, before: str | None = None) -> Sequence[Approval]:
        """The latest first. `waiting`: only those that can be answered."""
        return [self._as_of_now(each) for each in await self._store.list(person, waiting=waiting, limit=limit, before=before)]

    async def answer(self, person: str | None, wanted: str, word: ApprovalWord, *, edit: bool = True) -> Approval:
        """Answer a question once; the same answer again changes nothing. `edit`: change the message that asked. Raises ApprovalNotFound,
        ApprovalConflict where it was answered otherwise, or it is too late."""
        now = await self._now(await self._store.get(person, wanted)) if word != "deny" else None
        found, counted = await self._store.answer(person, wanted, word, lambda approval: self._decided(approval, word, now), edit=edit)
        if counted and found.state in ("approved", "denied"):
            return found
        if not counted and found.answer == word:
            return found  # a press that comes twice
        raise ApprovalConflict(told(found))

    async def expire(self) -> int:
        """End what was not answered in time. Raises StoreUnavailable."""
        return await self._store.expire(lambda approval: self._ended(approval, "expired"))

    async def _now(self, approval: Approval) -> Mapping[str, Json] | None:
        return json.loads(approval.arguments) if self._reads is None else await self._reads(approval, _call(approval))

    def _decided(self, approval: Approval, word: ApprovalWord, now: Mapping[str, Json] | None) -> Outcome:
        if approval.expires_at <= self._clock():
            return self._ended(approval, "expired")
        if word == "deny":
            return self._ended(approval, "denied")
        if now is None or digest_of(approval.tool, now, approval.agent, self._folder(approval.owner)) != approval.digest:
            return self._ended(approval, "void")
        go = self._continuation(approval, f"Approved ({approval.code}): the call of {approval.tool} runs now. Then go on.")
        go = replace(go, call=_call(approval), approval=approval.id)
        return Outcome(state="approved", edit=closed(approval, "approved"), go=go)

    def _ended(self, approval: Approval, state: Literal["denied", "expired", "void"]) -> Outcome:
        note = f"[Not run, because {_WHY_NOT[state]}: {summary(approval)}]"
        return Outcome(state=state, edit=closed(approval, state), note=replace(self._continuation(approval, note), note=True, address=None))

    def _continuation(self, approval: Approval, text: str) -> Continuation:
        return Continuation(
            id=derived_id("con", approval.id),
            owner=approval.owner,
            session=approval.session,
            agent=approval.agent,
            cause=Cause(kind="approval", id=approval.id),
            text=text,
            provenance="system",
            address=approval.address,
            caller=approval.caller,
            asker=approval.person if approval.person != approval.owner else "",
            only_tools=approval.only_tools,
            within=approval.within,
            inherits=approval.inherits,
        )

    def _as_of_now(self, approval: Approval) -> Approval:
        """One whose time is over is shown as expired before its row is."""
        over = approval.state == "waiting" and approval.expires_at <= self._clock()
        return replace(approval, state="expired", ended=approval.expires_at) if over else approval


def _call(approval: Approval) -> ToolCall:
    return ToolCall(id=derived_id("call", approval.id), name=approval.tool, arguments=approval.arguments)


def told(approval: Approval) -> str:
    """How a question stands, in one sentence."""
    if approval.state == "approved":
        return "Approved for this session: it runs now." if approval.answer == "session" else "Approved: it runs now."
    return _TOLD.get(approval.state, "It waits for an answer.")


def closed(approval: Approval, state: ApprovalState) -> str:
    """What takes the place of the message that asked."""
    mark = "✓" if state == "approved" else "✗"
    return f"{fenced(summary(approval, 300))}\n\n{mark} {told(replace(approval, state=state))}"
