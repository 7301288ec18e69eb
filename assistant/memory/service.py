"""Memory as turns and tools use it: what is known goes into the prompt, and only a person's own words become memory."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from assistant.contracts.errors import NanobotError, ToolFailed
from assistant.contracts.memory import ForgottenOnce, Memory, MemoryNotFound, MemorySource, Statement
from assistant.contracts.messages import Text, UserMessage
from assistant.contracts.own_words import own_words
from assistant.contracts.provenance import UNTRUSTED, Provenance
from assistant.contracts.search import Search, SearchWish
from assistant.contracts.sessions import ONCE, StoredMessage
from assistant.contracts.statements import asks_everywhere, share
from assistant.contracts.tools import ToolContext
from assistant.contracts.turns import TurnRequest
from assistant.contracts.util import Clock, utc_now
from assistant.contracts.workflows import JOB_SESSION
from assistant.memory.own_words import Verdict, judge, judge_forgetting
from assistant.store.memories import profile_line
from assistant.store.store import Store

log = logging.getLogger(__name__)

RECALLED: Final = 5
"""Memories behind a message, at most."""
THRESHOLD: Final = 0.25
"""The share of a message's words that a memory must have to be recalled."""
_HEADING: Final = "Recalled from what the user said before, for this message; it is no part of the message:\n"
_LOOKED_BACK: Final = 300
"""Messages of a session in which a person's own words are looked for."""
_MOST_KNOWN: Final = 10_000


class MemoryService:
    """Implements MemoryTools and TurnMemory."""

    def __init__(
        self, store: Store, search: Search, *, idle: Callable[[TurnRequest], None] = lambda _: None, clock: Clock = utc_now
    ) -> None:
        """`idle`: told each turn that ended, for what happens when its session falls idle."""
        self._store = store
        self._search = search
        self._idle = idle
        self._clock = clock
        self._has: dict[str, object] = {}
        """Whether an owner has memories, as far as it is known; neither True nor False: it is being asked."""
        self._unsaid: dict[str, list[str]] = {}
        """What a running turn forgets everywhere."""
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self) -> None:
        """Take notice of what other processes remember."""
        self._store.notifier.listen(self._has.clear)

    async def close(self) -> None:
        """Finish what turns that ended left to do."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def before(self, request: TurnRequest, message: UserMessage | None) -> tuple[str, UserMessage | None]:
        owner = request.owner
        if self._tasks:  # the turn before may have words to take back
            await asyncio.wait(self._tasks)
        known = self._has.get(owner)
        if known is False or request.cause.kind == "job":
            return "", message
        try:
            if known is not True:
                if len(self._has) >= _MOST_KNOWN:
                    self._has.clear()
                asked = self._has[owner] = object()
                known = await self._store.memories.any(owner)
                if self._has.get(owner) is asked:  # else something was remembered meanwhile
                    self._has[owner] = known
            if not known:
                return "", message
            profile = await self._store.memories.profile(owner, request.session, keep=not request.session.startswith(ONCE))
            return profile, message and await self._with_recalled(owner, message, profile)
        except NanobotError as error:
            log.warning("memory.not_recalled turn=%s code=%s", request.id, error.code)
            return "", message

    def after(self, request: TurnRequest) -> None:
        if texts := self._unsaid.pop(request.id, None):
            task = asyncio.create_task(self._unsay(request, texts))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._idle(request)

    async def remember(self, ctx: ToolContext, statement: Statement) -> Memory:
        conversation, earlier = await self._conversation(ctx)
        verdict = _allowed(judge(statement.text, [stored.message for stored in conversation], earlier), f'"{statement.text}"', ctx)
        said = next(stored for stored in reversed(conversation) if isinstance(stored.message, UserMessage))
        source = MemorySource(session=ctx.session, message=said.message.id, seq=said.seq)
        told = [own_words(stored.message) for stored in conversation if isinstance(stored.message, UserMessage)]
        about = statement.about if share(statement.about, [statement.text, *told]) == 1 or verdict.provenance == "person" else ""
        kept = replace(statement, about=about, provenance=verdict.provenance, source=source, learned=False)
        try:
            return await self.keep(ctx.owner, kept, explicit=verdict.explicit)
        except ForgottenOnce as error:
            raise ToolFailed(f"Not remembered: {error.message} Tell them so.") from None

    async def keep(self, owner: str, statement: Statement, *, explicit: bool) -> Memory:
        """Keep a statement, for the next turn to know. Raises ForgottenOnce, as `MemoryStore.add`."""
        kept = await self._store.memories.add(owner, statement, explicit=explicit)
        self._has.clear()
        return kept

    async def recall(self, ctx: ToolContext, query: str, limit: int) -> Sequence[Memory]:
        if not query.strip():
            return await self._store.memories.list(ctx.owner, limit=limit)
        return await self.find(ctx.owner, query, limit)

    async def find(self, owner: str, query: str, limit: int, *, above: float = 0.0) -> Sequence[Memory]:
        """The memories that hold now and have words of the query, the best first. `above`: of its words' weight."""
        wish = SearchWish(owner=owner, query=query, now=self._clock(), kinds=("memory",), limit=2 * limit)
        hits = await self._search.search(wish)
        return (await self._store.memories.known(owner, [hit.ref for hit in hits if hit.share >= above]))[:limit]

    async def forget(self, ctx: ToolContext, what: str, *, everywhere: bool) -> Sequence[Memory]:
        stored, earlier = await self._conversation(ctx)
        conversation = [each.message for each in stored]
        meant = await self.meant(ctx.owner, what)
        if len(meant) != 1:
            raise ToolFailed(_which(meant))
        _allowed(judge_forgetting(meant[0].text, what, conversation, earlier), f'to forget "{meant[0].text}"', ctx)
        newest = next((message for message in reversed(conversation) if isinstance(message, UserMessage)), None)
        if everywhere and not (newest and asks_everywhere(own_words(newest))):
            raise ToolFailed(
                "Not forgotten: the user must say in their own words that it is to go from what was said, too. Ask them, or leave out `everywhere`."
            )
        gone = await self._store.forgetting.forget(ctx.owner, [meant[0].id], everywhere=everywhere)
        if everywhere:
            self._unsaid.setdefault(ctx.turn_id, []).extend(each.text for each in gone)
        return gone

    async def meant(self, owner: str, what: str) -> Sequence[Memory]:
        """The memories that an id, a number or words mean; several where it is not clear."""
        what = what.strip().lstrip("#")
        if what.isdecimal() or what.startswith("mem_"):
            try:
                return [await self._store.memories.get(owner, what)]
            except MemoryNotFound:
                return []
        known = list(await self.find(owner, what, 20))
        for least in (1.0, 0.5):
            if close := [each for each in known if share(what, [each.text, each.about.replace("-", " ")]) >= least]:
                return close
        return []

    async def _with_recalled(self, owner: str, message: UserMessage, profile: str) -> UserMessage:
        words = own_words(message)
        found = await self.find(owner, words, RECALLED, above=THRESHOLD) if words else ()
        shown = [(each, line) for each in found if (line := profile_line(each)).strip() not in profile]
        if not shown:
            return message
        whence: Provenance | None = next((each.provenance for each, _ in shown if each.provenance in UNTRUSTED), None)
        text = _HEADING + "".join([line for _, line in shown]).rstrip("\n")
        return replace(message, parts=(*message.parts, Text(text=text, quoted=True, recalled=True, provenance=whence)))

    async def _conversation(self, ctx: ToolContext) -> tuple[Sequence[StoredMessage], Provenance | None]:
        """(The newest part of the session, whose words were read in what is older.) Raises ToolFailed where no person speaks."""
        if ctx.cause.kind not in ("message", "approval") or ctx.session.startswith(JOB_SESSION):
            raise ToolFailed(
                "Nothing is remembered or forgotten in jobs and schedules: only in a conversation, where a person asks for it."
            )
        session = await self._store.sessions.get(ctx.owner, ctx.session)
        last = session.messages if session else 0
        newest = await self._store.sessions.messages(ctx.owner, ctx.session, after=max(0, last - _LOOKED_BACK), limit=_LOOKED_BACK)
        read = min(session.read, default=None) if session and last > _LOOKED_BACK else None
        return newest, read

    async def _unsay(self, request: TurnRequest, texts: Sequence[str]) -> None:
        try:
            await self._store.forgetting.black_out(request.owner, request.session, texts)
        except NanobotError as error:
            log.warning("memory.not_blacked_out turn=%s code=%s", request.id, error.code)


def _allowed(verdict: Verdict, what: str, ctx: ToolContext) -> Verdict:
    """Raises ToolFailed for what is not the person's wish, in their own words or by an approval of this very call."""
    match verdict.says:
        case "ask" | "no words" if ctx.approval:
            return verdict
        case "yes":
            return verdict
        case "ask":
            raise ToolFailed(
                f"Not done: this is not in the user's own words, and others' words were read in this conversation. Ask them to confirm {what}, "
                "in these words; when they have said yes, call again."
            )
        case "no words":
            raise ToolFailed("Not done: the newest message has no words of the user's own. Only a person's own words count.")


def _which(meant: Sequence[Memory]) -> str:
    if not meant:
        return "Nothing like that is remembered."
    listed = "\n".join(f"- {each.number}: {each.text}" for each in meant[:20])
    return f"Several memories are like that. Ask the user which, then call forget with its number:\n{listed}"
