"""What sessions are called: by the person, or after the first words of their first message."""

import unicodedata
from typing import Final

import orjson

from assistant.contracts.messages import Message
from assistant.store.codec import json_column
from assistant.store.database import Transaction

LONGEST_TITLE: Final = 80
"""Characters of the first words; a person's own title may be longer."""
_LOOKED_AT: Final = 2_000
"""Characters of a message among which its first words are."""
FIRST_SAID = "SELECT payload FROM messages WHERE session_id = :id AND role = 'user' ORDER BY seq LIMIT 1"
SET_OPENING = "UPDATE sessions SET opening = :opening WHERE id = :id"


def one_line(text: str, longest: int = LONGEST_TITLE) -> str:
    """The first words of a text: one line without invisible characters, cut at a word where it is longer than `longest`."""
    seen = "".join([" " if unicodedata.category(c)[0] in "CZ" else c for c in text[:_LOOKED_AT]])
    line = " ".join(seen.split())
    if len(line) <= longest:
        return line
    cut = line[: longest - 1]
    return (cut.rpartition(" ")[0] if " " in cut[longest // 2 :] else cut).rstrip() + "…"


def opening_of(payload: str) -> str:
    """The first words of a user's message, from its JSON, as the column takes them: the person's own, else what was passed on, else the name of
    the first file."""
    parts = orjson.loads(payload).get("parts", ())
    texts = [(part["text"], part.get("quoted", False)) for part in parts if part.get("kind") == "text" and not part.get("recalled")]
    names = [(part.get("name", ""), True) for part in parts if part.get("kind") != "text"]
    found = [line for quoted in (False, True) for text, is_quoted in (*texts, *names) if is_quoted == quoted and (line := one_line(text))]
    return json_column(found[0]) if found else ""


def opening_among(messages: tuple[Message, ...], payloads: list[str]) -> str:
    """The first words of the first user's message among those that a session begins with, each with its JSON."""
    return next((opening_of(payload) for message, payload in zip(messages, payloads, strict=True) if message.role == "user"), "")


def renew_opening(connection: Transaction, session: int) -> None:
    """After a message of the session was changed or removed."""
    found = connection.execute(FIRST_SAID, {"id": session})
    connection.execute(SET_OPENING, {"id": session, "opening": opening_of(found[0][0]) if found else ""})
