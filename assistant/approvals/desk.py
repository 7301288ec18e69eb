"""The desk at which the toolbox asks for a person's yes."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from assistant.approvals.calls import call_text, code_of, digest_of, question_event, reason_text
from assistant.contracts.addresses import Address
from assistant.contracts.approvals import Approval
from assistant.contracts.effects import PendingApproval
from assistant.contracts.errors import ToolFailed
from assistant.contracts.gate import PlannedCall
from assistant.contracts.people import OWNER_ID, PeopleDirectory
from assistant.contracts.tools import ToolContext
from assistant.contracts.util import Clock, derived_id, utc_now
from assistant.store.approvals import MOST_WAITING, ApprovalStore

Folder = Callable[[str], str]
"""The folder in which calls of this owner work."""
_IN_ITS_CHAT: Final = frozenset({"message", "approval", "task"})
"""The causes of turns that answer the person's own chat. What is planned may go to another's: then the person is asked in private."""


class StoredDesk:
    """Implements ApprovalDesk on a store."""

    def __init__(
        self,
        store: ApprovalStore,
        people: PeopleDirectory,
        *,
        folder: Folder,
        chat: Callable[[str], Awaitable[Address | None]],
        expire_after: timedelta,
        clock: Clock = utc_now,
    ) -> None:
        """`chat`: the private chat in which a person wrote last."""
        self._store = store
        self._people = people
        self._folder = folder
        self._chat = chat
        self._expire_after = expire_after
        self._clock = clock

    async def granted(self, call: PlannedCall, ctx: ToolContext) -> bool:
        digest = self._digest(call, ctx)
        if ctx.approval:
            started = await self._store.start(ctx.approval, digest, again=call.repeats)
            if started == "cut off":
                raise ToolFailed(
                    "The server stopped while this ran, so it is not known whether it was done. Do not run it again: tell the person."
                )
            return started == "run"
        like = (_like(call, digest), digest)
        return await self._store.allows(ctx.owner, ctx.session, ctx.asker or ctx.owner, ctx.agent, call.tool, like)

    async def ask(self, call: PlannedCall, ctx: ToolContext, why: str) -> PendingApproval:
        person = ctx.asker or ctx.owner
        if person != OWNER_ID and await self._people.person(person) is None:
            raise ToolFailed(f"Not run: this needs a person's yes, and there is no one to ask here. {why}")
        now, digest = self._clock(), self._digest(call, ctx)
        id = derived_id("apr", ctx.turn_id, ctx.call_place, digest)
        asked = ctx.address if ctx.address is not None and ctx.cause.kind in _IN_ITS_CHAT else await self._chat(person)
        approval = Approval(
            id=id,
            code=code_of(id),
            owner=ctx.owner,
            session=ctx.session,
            person=person,
            agent=ctx.agent,
            tool=call.tool,
            arguments=json.dumps(dict(call.arguments), ensure_ascii=False),
            digest=digest,
            like=_like(call, digest),
            text=call_text(call.tool, call.arguments),
            why=reason_text(why),
            turn_id=ctx.turn_id,
            place=ctx.call_place,
            address=ctx.address or asked,
            asked=asked,
            caller=ctx.caller,
            created=now,
            expires_at=now + self._expire_after,
            only_tools=None if ctx.only_tools is None else tuple(sorted(ctx.only_tools)),
            within=ctx.within,
            inherits=tuple(sorted(ctx.inherits)),
        )
        kept = await self._store.add(approval, question_event(approval))
        if kept is None:
            raise ToolFailed(f"Not run: {MOST_WAITING} questions wait for this person already. Let them answer those first.")
        return kept.pending

    def _digest(self, call: PlannedCall, ctx: ToolContext) -> str:
        return digest_of(call.tool, call.arguments, ctx.agent, self._folder(ctx.owner))


def _like(call: PlannedCall, digest: str) -> str:
    """What "this session" covers: the same subject, and the same that is done to it."""
    return f"{call.subject}\n{', '.join(sorted(call.actions))}" if call.subject else digest
