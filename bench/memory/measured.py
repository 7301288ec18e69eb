"""Puts conversations into a real store, asks, and counts how much of the evidence is among the first results."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from assistant.contracts.messages import AssistantMessage, Message, Text, UserMessage
from assistant.contracts.search import SearchWish
from assistant.contracts.util import new_id
from assistant.memory.search import StoredSearch
from assistant.store.codec import encode_message, to_micros
from assistant.store.database import SqlValue, StoreSettings, Transaction
from assistant.store.sessions import ADD_MESSAGE, ADD_SESSION
from assistant.store.store import Store, open_store
from bench.memory.baseline import Bm25
from bench.memory.conversations import Conversation, Question

AT: Final = (5, 10, 20)
Find = Callable[[str], Awaitable[Sequence[int]]]
"""Question → the places of the best 20 messages."""


@dataclass(slots=True)
class Recall:
    """Sums over questions, by kind."""

    asked: dict[str, int]
    found: dict[tuple[str, int], float]

    def add(self, question: Question, best: Sequence[int]) -> None:
        for kind in (question.kind, "all"):
            self.asked[kind] = self.asked.get(kind, 0) + 1
            for most in AT:
                share = len(question.evidence & {*best[:most]}) / len(question.evidence)
                self.found[kind, most] = self.found.get((kind, most), 0.0) + share

    def at(self, most: int, kind: str = "all") -> float:
        return self.found.get((kind, most), 0.0) / max(1, self.asked.get(kind, 0))


async def recall(conversations: Sequence[Conversation], finder: Callable[[int, Conversation], Find]) -> Recall:
    """`finder`: (number of the conversation, the conversation) → how it is searched. Questions without an answer are not counted."""
    counted = Recall({}, {})
    for number, conversation in enumerate(conversations):
        find = finder(number, conversation)
        for question in conversation.questions:
            if question.evidence:
                counted.add(question, await find(question.text))
    return counted


def plain(_: int, conversation: Conversation) -> Find:
    index = Bm25([said.text for said in conversation.said])

    async def find(question: str) -> Sequence[int]:
        return index.best(question, AT[-1])

    return find


@asynccontextmanager
async def filled(conversations: Sequence[Conversation]) -> AsyncGenerator[Store]:
    """A store that holds the conversations, each its own owner's, all indexed."""
    with TemporaryDirectory() as folder:
        store = await open_store(StoreSettings(), Path(folder))
        try:
            for number, conversation in enumerate(conversations):
                await store.database.write(lambda connection, n=number, c=conversation: _insert(connection, f"person-{n}", c))
            await store.history.finish()
            yield store
        finally:
            await store.close()


def ours(search: StoredSearch) -> Callable[[int, Conversation], Find]:
    def finder(number: int, conversation: Conversation) -> Find:
        places = _places(conversation)
        now = conversation.said[-1].at + timedelta(days=3)

        async def find(question: str) -> Sequence[int]:
            wish = SearchWish(owner=f"person-{number}", query=question, now=now, limit=AT[-1])
            return [places[hit.session, hit.seq] for hit in await search.search(wish)]

        return find

    return finder


def _places(conversation: Conversation) -> dict[tuple[str, int], int]:
    places: dict[tuple[str, int], int] = {}
    counts: dict[int, int] = {}
    for place, said in enumerate(conversation.said):
        counts[said.session] = counts.get(said.session, 0) + 1
        places[f"session-{said.session}", counts[said.session]] = place
    return places


def _insert(connection: Transaction, owner: str, conversation: Conversation) -> None:
    for session in dict.fromkeys(said.session for said in conversation.said):
        mine = [said for said in conversation.said if said.session == session]
        values: dict[str, SqlValue] = {
            "owner": owner,
            "key": f"session-{session}",
            "at": to_micros(datetime.now(UTC)),
            "seq": len(mine),
            "read": 0,
            "opening": "",
        }
        row = connection.execute(ADD_SESSION, values)[0][0]
        for seq, said in enumerate(mine, 1):
            payload = encode_message(_message(said.who, said.text))
            role = "assistant" if said.who else "user"
            added: dict[str, SqlValue] = {
                "id": row,
                "seq": seq,
                "turn": "turn_0",
                "at": to_micros(said.at),
                "role": role,
                "payload": payload,
            }
            connection.execute(ADD_MESSAGE, added)


def _message(who: int, text: str) -> Message:
    made = new_id("msg")
    return AssistantMessage(id=made, text=text) if who else UserMessage(id=made, parts=(Text(text=text),))
