"""What sessions are called: by the person, or after the first words of their first message."""

import unicodedata
from collections.abc import Iterable
from typing import Final

from assistant.contracts.messages import Message, UserMessage
from assistant.store.codec import decode_message, json_column
from assistant.store.database import Transaction

LONGEST_OPENING: Final = 80
"""Characters."""
LONGEST_TITLE: Final = 200
_LOOKED_AT: Final = 2_000
"""Characters of a text among which its first words are."""
FIRST_SAID = "SELECT payload FROM messages WHERE session_id = :id AND role = 'user' ORDER BY seq LIMIT 1"
SET_OPENING = "UPDATE sessions SET opening = :opening WHERE id = :id"
SET_TITLE = "UPDATE sessions SET title = :title WHERE owner = :owner AND key = :key RETURNING id"
TITLE = "COALESCE(sessions.title, sessions.opening)"
"""What a session is called, in a statement."""


def one_line(text: str, longest: int) -> str:
    """The first words of a text: one line without invisible characters, cut at a word where it is longer than `longest`."""
    seen = "".join([" " if unicodedata.category(c)[0] in "CZ" else c for c in text[:_LOOKED_AT]])
    line = " ".join(seen.split())
    if len(line) <= longest:
        return line
    cut = line[: longest - 1]
    return (cut.rpartition(" ")[0] if " " in cut[longest // 2 :] else cut).rstrip() + "…"


def opening_of(messages: Iterable[Message]) -> str:
    """The first words of the first user's message, as the column takes them: the person's own, else what was passed on, else a file's name."""
    first = next((message for message in messages if isinstance(message, UserMessage)), None)
    if first is None:
        return ""
    texts = [part for part in first.parts if part.kind == "text" and not part.recalled]
    said = [*[part.text for part in texts if not part.quoted], *[part.text for part in texts if part.quoted]]
    names = [part.name for part in first.parts if part.kind != "text"]
    return json_column(next(filter(None, [one_line(each, LONGEST_OPENING) for each in (*said, *names)]), ""))


def renew_opening(connection: Transaction, session: int) -> None:
    """After messages of the session were changed or removed."""
    found = connection.execute(FIRST_SAID, {"id": session})
    connection.execute(SET_OPENING, {"id": session, "opening": opening_of([decode_message(payload) for (payload,) in found])})
