"""`/approve`, `/deny` and `/approvals`, written in a chat or given by a question's button, without a model."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from assistant.approvals.book import ApprovalBook, closed
from assistant.approvals.calls import fenced, left, summary
from assistant.contracts.approvals import Approval, ApprovalNotFound, ApprovalWord
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.inbox import ChatCommand, CommandCall
from assistant.contracts.util import Clock, utc_now

_HOW: Final = "`/approve CODE` lets it run once, `/approve session CODE` also its like in this conversation, `/deny CODE` does not."
_NOTHING: Final = "Nothing waits for you."
_THEIRS: Final = "Only the person who asked for it can answer this."


class ApprovalCommands:
    """A person answers their own questions, in any of their chats."""

    def __init__(self, book: ApprovalBook, person_of: Callable[[str, str], Awaitable[str]], *, clock: Clock = utc_now) -> None:
        """`person_of`: (identity, name) → the person's id."""
        self._book = book
        self._person_of = person_of
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, ChatCommand]:
        """By the command's name."""
        return {"approve": self.approve, "deny": self.deny, "approvals": self.approvals}

    async def approve(self, call: CommandCall) -> str:
        first, _, code = call.arguments.strip().partition(" ")
        word: ApprovalWord = "session" if first.lower() == "session" else "once"
        return await self._answer(call, code if first.lower() in ("session", "once") else first, word)

    async def deny(self, call: CommandCall) -> str:
        return await self._answer(call, call.arguments, "deny")

    async def approvals(self, call: CommandCall) -> str:
        person, code = await self._person(call), _code(call.arguments)
        if code:
            found = await self._found(call, person, code)
            whole = fenced(f"{found.text}\n\n{found.why}")
            return f"{whole}\n\n{_HOW.replace('CODE', found.code)}"
        waiting = await self._book.list(person, waiting=True)
        lines = [f"- {each.code} · {left(each, self._clock())} · {fenced_line(each)}" for each in waiting]
        return "\n".join([*lines, "", _HOW]) if lines else _NOTHING

    async def _answer(self, call: CommandCall, written: str, word: ApprovalWord) -> str:
        person, code = await self._person(call), _code(written)
        if not code:
            waiting = await self._book.list(person, waiting=True, limit=2)
            if len(waiting) != 1:
                raise InvalidRequest(f"Say which: /approvals lists what waits. {_HOW}" if waiting else _NOTHING)
            code = waiting[0].code
        found = await self._found(call, person, code)
        # A pressed button's message is replaced by the answer; any other message that asked is changed beside it.
        pressed = call.message.chosen and found.asked == call.message.address
        answered = await self._book.answer(person, found.id, word, edit=not pressed)
        return closed(answered, answered.state)

    async def _found(self, call: CommandCall, person: str, code: str) -> Approval:
        """Raises ApprovalNotFound, whose words tell another's question only where it was asked."""
        try:
            return await self._book.get(person, code)
        except ApprovalNotFound:
            try:
                theirs = await self._book.get(None, code)
            except ApprovalNotFound:
                raise ApprovalNotFound("There is no such question for you: /approvals lists what waits.") from None
            here = theirs.asked is not None and theirs.asked.lane == call.message.address.lane
            raise ApprovalNotFound(_THEIRS if here else "There is no such question for you: /approvals lists what waits.") from None

    async def _person(self, call: CommandCall) -> str:
        """The sender, also where the chat is a group."""
        message = call.message
        if message.private:
            return call.place.owner
        return await self._person_of(f"{message.address.channel}:{message.sender.id}", message.sender.name)


def _code(written: str) -> str:
    """As it may be written: "`k7m2q9`"."""
    code = written.strip().strip("`").strip()
    return code if code.startswith("apr_") else code.upper()


def fenced_line(approval: Approval) -> str:
    """The call on one line of code."""
    words = summary(approval).replace("`", "'")
    return f"`{words}`"
