"""/memory in chats: what is remembered, where it came from, and how it is forgotten."""

from assistant.contracts.inbox import CommandCall
from assistant.contracts.memory import Memory
from assistant.contracts.messages import UserMessage
from assistant.contracts.own_words import own_words
from assistant.memory.service import MemoryService
from assistant.store.store import Store

_SHOWN = 30
_HOW = (
    "`/memory forget NUMBER` forgets one (`… everywhere`: also in what was said) · `/memory why NUMBER` shows where it came from · "
    "`/memory search WORDS` finds some · `/memory learn off` ends learning unasked, `… on` begins it again"
)


class MemoryCommand:
    """A ChatCommand: answers with what belongs to the space of the chat, and to no one else."""

    def __init__(self, store: Store, memory: MemoryService, *, learns: bool) -> None:
        """`learns`: whether the server learns at all."""
        self._store = store
        self._memory = memory
        self._learns = learns

    async def __call__(self, call: CommandCall) -> str:
        owner = call.place.owner
        name, _, rest = call.arguments.strip().partition(" ")
        match name.lower(), rest.strip():
            case ("", _) | ("list", _):
                return await self._list(owner)
            case "search", words if words:
                found = await self._memory.find(owner, words, _SHOWN)
                return "\n".join(map(memory_line, found)) or "Nothing is remembered about that."
            case "why", number if number:
                return await why(self._store, await self._store.memories.get(owner, number.lstrip("#")))
            case "forget", what if what:
                return await self._forget(owner, what)
            case "learn", "on" | "off" if not call.message.private:
                return "I learn nothing in groups by myself. What you ask me to remember here, I do, for all who are here."
            case "learn", ("on" | "off") as wanted:
                await self._store.learned.switch(owner, learn=wanted == "on")
                return (
                    "I learn from what you say again."
                    if wanted == "on"
                    else "I no longer learn from what you say. What you ask me to remember, I do."
                )
            case _:
                return _HOW

    async def _list(self, owner: str) -> str:
        found = await self._store.memories.list(owner, limit=_SHOWN + 1)
        if not found:
            return f'Nothing is remembered yet. Say "remember that …", or see what I can do: {_HOW}'
        more = "\n… and more: `/memory search WORDS` finds them." if len(found) > _SHOWN else ""
        off = "" if not self._learns or await self._store.learned.learns(owner) else "\nI learn nothing by myself: it is switched off."
        return "\n".join(map(memory_line, found[:_SHOWN])) + f"{more}{off}\n\n{_HOW}"

    async def _forget(self, owner: str, what: str) -> str:
        words = what.split()
        everywhere = len(words) > 1 and words[-1].lower() in ("everywhere", "--everywhere", "überall", "везде")
        meant = await self._memory.meant(owner, " ".join(words[:-1] if everywhere else words))
        if len(meant) != 1:
            listed = "\n".join(map(memory_line, meant))
            return f"Several are like that; `/memory forget NUMBER` forgets one:\n{listed}" if meant else "Nothing like that is remembered."
        await self._store.forgetting.forget(owner, [meant[0].id], everywhere=everywhere)
        return f"Forgotten: memory {meant[0].number}{', and its words in what was said' if everywhere else ''}. It is not learned again."


def memory_line(each: Memory) -> str:
    """A memory on a line of a list."""
    marks = [*(["learned"] if each.learned else []), *([f"from {each.provenance}"] if each.provenance != "person" else [])]
    marks += [f"until {each.last_day}"] if each.last_day else []
    about = f" ({', '.join(marks)})" if marks else ""
    return f"{each.number}. {' '.join(each.text.split())}{about}"


async def source_of(store: Store, each: Memory) -> str | None:
    """The words of the message that a memory came from; None: it came from none, or that is deleted."""
    if each.source is None:
        return None
    found = await store.sessions.messages(each.owner, each.source.session, after=each.source.seq - 1, limit=1)
    if not found or found[0].message.id != each.source.message:
        return None
    message = found[0].message
    return own_words(message, pressed=True) if isinstance(message, UserMessage) else message.text


async def why(store: Store, each: Memory) -> str:
    """Where a memory came from, in words."""
    told = "It was learned from what you said" if each.learned else "You said so"
    if each.provenance != "person":
        told = f"It came from a {each.provenance}, and you confirmed it"
    words = await source_of(store, each)
    quoted = "" if words is None else ":\n" + "\n".join(f"> {line}" for line in words[:2000].splitlines())
    where = f" in the session {each.source.session}" if each.source else ""
    return f"{memory_line(each)}\n\n{told} on {each.seen_at:%Y-%m-%d}{where}{quoted or '.'}"
