"""Taking messages back, to ask anew: from one that the person sent to the end of the session, with what was made of them."""

import re
from typing import Final

from assistant.contracts.errors import InvalidRequest, SessionBusy
from assistant.store.database import SqlValue, Transaction
from assistant.store.search import remove_entries
from assistant.store.titles import renew_opening

ASKED: Final = "SELECT role FROM messages WHERE session_id = :id AND seq = :seq"
OWES: Final = """
    SELECT 1 FROM continuations, sessions WHERE sessions.id = :id AND continuations.owner = sessions.owner AND continuations.session = sessions.key
        AND continuations.state IN ('waiting', 'taken')"""
TAKEN: Final = "SELECT turn_id, payload FROM messages WHERE session_id = :id AND seq >= :seq"
NAMED_BEFORE: Final = "SELECT 1 FROM messages WHERE session_id = :id AND seq < :seq AND payload LIKE :name LIMIT 1"
NAMED_IN_SUMMARY: Final = "SELECT 1 FROM summaries WHERE session_id = :id AND text LIKE :name LIMIT 1"
DROP_ATTACHMENT: Final = """
    DELETE FROM attachments WHERE id = :attachment AND EXISTS (
        SELECT 1 FROM sessions WHERE sessions.id = :id AND sessions.owner = attachments.owner AND sessions.key = attachments.session)
    RETURNING digest"""
VOID: Final = "UPDATE approvals SET state = 'void', ended = :at WHERE turn = :turn AND state IN ('waiting', 'approved')"
FOUND_IN: Final = "SELECT id, space, terms FROM search_entries WHERE session_id = :id AND seq >= :seq"
UNMARK: Final = "UPDATE search_marks SET seq = :last WHERE session_id = :id AND seq > :last"
UNLEARN: Final = """
    UPDATE memory_learned SET seq = CASE WHEN seq > :last THEN :last ELSE seq END, claim = 0 WHERE session_id = :id"""
"""Who searches it now finds the claim gone, and notes nothing."""
REMOVE_MESSAGES: Final = "DELETE FROM messages WHERE session_id = :id AND seq >= :seq"
SHRINK_SESSION: Final = """
    UPDATE sessions SET messages = :last, updated = :at, revision = revision + 1 WHERE id = :id AND context_from <= :seq RETURNING id"""
_ATTACHMENT: Final = re.compile(r"att_[0-9a-f]{28}")


def take_back(connection: Transaction, session: int, seq: int, at: int) -> tuple[int, list[str]]:
    """Remove the messages of a session (its row) from `seq` on, in which nothing runs. Returns how many, and the digests of files that may have no
    holder any more. Every process reads the session anew at its next turn.

    What was remembered of them stays, and so do the journal and the ledger: it was done. Raises InvalidRequest where the message is not the person's
    or the model sees it no more, SessionBusy where the session still owes a turn.
    """
    values: dict[str, SqlValue] = {"id": session, "seq": seq, "last": seq - 1, "at": at}
    if [role for (role,) in connection.execute(ASKED, values)] != ["user"]:
        raise InvalidRequest("There is no message of yours at this place: 'from' is the seq of one.", param="from")
    if connection.execute(OWES, values):
        raise SessionBusy("The session still goes on by itself, after a yes or a task: wait for its answer.", retry_after=1)
    if not connection.execute(SHRINK_SESSION, values):
        words = "This message was summed up by now, or the conversation was started over since: what is behind that stays."
        raise InvalidRequest(words, param="from")
    taken = connection.execute(TAKEN, values)
    for turn in {turn for turn, _ in taken}:
        connection.execute(VOID, {**values, "turn": turn})
    digests: list[str] = []
    for attachment in {found for _, payload in taken for found in _ATTACHMENT.findall(payload)}:
        named: dict[str, SqlValue] = {**values, "name": f"%{attachment}%"}
        if not (connection.execute(NAMED_BEFORE, named) or connection.execute(NAMED_IN_SUMMARY, named)):
            digests += [digest for (digest,) in connection.execute(DROP_ATTACHMENT, {**values, "attachment": attachment})]
    remove_entries(connection, connection.execute(FOUND_IN, values))
    for statement in (UNMARK, UNLEARN, REMOVE_MESSAGES):
        connection.execute(statement, values)
    renew_opening(connection, session)
    return len(taken), digests
