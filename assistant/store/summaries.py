"""The cuts of sessions: from where on the model sees the messages, and the summary that stands for those before. All messages stay stored."""

from collections.abc import Iterable, Sequence
from typing import Final

from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.sessions import CachedUpTo, History, SessionCut
from assistant.contracts.util import Clock, lazy_pattern, replace_surrogates, utc_now
from assistant.store.codec import decode_cut, escape, to_micros, unescape
from assistant.store.database import Database, SqlValue, Transaction
from assistant.store.outbox_rows import add_events, prepare_event
from assistant.store.processes import Notifier
from assistant.store.sessions import HistoryRows, decode_history, read_history

CUT_SESSION = """
    UPDATE sessions SET context_from = :seq, revision = revision + 1
    WHERE id = :id AND owner = :owner AND revision = :revision AND context_from <= :seq RETURNING id"""
ADD_CUT = """
    INSERT INTO summaries (session_id, seq, results_from, text, tokens, made_by, at)
    VALUES (:id, :seq, :results_from, :text, :tokens, :made_by, :at)
    ON CONFLICT (session_id, seq) DO UPDATE SET results_from = excluded.results_from, text = excluded.text,
        tokens = excluded.tokens, made_by = excluded.made_by, at = excluded.at"""
CUTS = """
    SELECT seq, results_from, text, tokens, made_by, summaries.at FROM summaries JOIN sessions ON sessions.id = session_id
    WHERE owner = :owner AND key = :key ORDER BY seq"""
CURRENT = "SELECT 1 FROM sessions WHERE id = :id AND owner = :owner AND revision = :revision"
SHOWN = "SELECT id, messages, context_from, revision FROM sessions WHERE owner = :owner AND key = :key"
SUMMARIES_OF = "SELECT session_id, seq, text FROM summaries JOIN sessions ON sessions.id = session_id WHERE owner = :owner AND text <> ''"
REPLACE_SUMMARY = "UPDATE summaries SET text = :text WHERE session_id = :id AND seq = :seq"
SHOW_ANEW = "UPDATE sessions SET revision = revision + 1 WHERE owner = :owner"


class SummaryStore:
    """Cuts by session. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database, notifier: Notifier, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._notifier = notifier
        self._clock = clock

    async def cut(self, owner: str, known: CachedUpTo, made: SessionCut, *, outbound: Sequence[OutboundEvent] = ()) -> bool:
        """Let the model see the session from `made.seq` on, behind the summary, and enqueue `outbound`; all in one transaction. False: what the
        model sees has changed since `known` (another cut, a new beginning, a redaction), or the session is gone; nothing is written."""
        now = to_micros(self._clock())
        values: dict[str, SqlValue] = {
            "id": known.row,
            "owner": escape(owner),
            "revision": known.revision,
            "seq": made.seq,
            "results_from": made.results_from,
            "text": escape(replace_surrogates(made.text)),
            "tokens": made.tokens,
            "made_by": escape(made.made_by),
            "at": to_micros(made.at),
        }
        drafts = [prepare_event(event, now) for event in outbound]

        def write(connection: Transaction) -> bool:
            if not connection.execute(CUT_SESSION, values):
                return False
            connection.execute(ADD_CUT, values)
            add_events(connection, drafts, self._notifier)
            return True

        done = await self._database.write(write)
        if done and drafts:
            self._notifier.announced()
        return done

    async def current(self, owner: str, known: CachedUpTo) -> bool:
        """Whether the model still sees the session as in `known`."""
        values: dict[str, SqlValue] = {"id": known.row, "owner": escape(owner), "revision": known.revision}
        return bool(await self._database.select(CURRENT, values))

    async def list(self, owner: str, session: str) -> Sequence[SessionCut]:
        """The cuts of a session, the earliest first."""
        return [decode_cut(row) for row in await self._database.select(CUTS, {"owner": escape(owner), "key": escape(session)})]

    async def shown(self, owner: str, session: str) -> History | None:
        """What the model sees of a session; None: there is no such session."""

        def read(connection: Transaction) -> HistoryRows | None:
            found = connection.execute(SHOWN, {"owner": escape(owner), "key": escape(session)})
            if not found:
                return None
            row, last, context_from, revision = found[0]
            return read_history(connection, row, last + 1, context_from, revision, None)

        rows = await self._database.read(read)
        return None if rows is None else await decode_history(rows)


def redact(connection: Transaction, owner: str, texts: Sequence[str]) -> int:
    """Take what mentions one of these statements out of the owner's summaries; returns how many summaries changed. Every process reads the
    owner's sessions anew at their next turns, so that what else the transaction changes in them is seen, too. For a job of `Database.write`."""
    changed = 0
    for session, seq, stored in connection.execute(SUMMARIES_OF, {"owner": escape(owner)}):
        text = unescape(stored)
        kept = without_mentions(text, texts)
        if kept != text:
            connection.execute(REPLACE_SUMMARY, {"id": session, "seq": seq, "text": escape(kept)})
            changed += 1
    connection.execute(SHOW_ANEW, {"owner": escape(owner)})
    return changed


_SENTENCE: Final = lazy_pattern(r"(?<=[.!?。！？])\s+|(?<=[。！？])")
_LATIN: Final = lazy_pattern(r"[^\W_]+(?:[-'’.@:/][^\W_]+)*")
_NO_SPACES: Final = lazy_pattern(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_SHORT: Final = 3
"""Letters of a word that says nothing by itself, as "the" and "und"."""
_MOST_OF: Final = 0.6
"""The share of a statement's words whose presence makes a sentence mention it."""


def without_mentions(text: str, statements: Sequence[str]) -> str:
    """A text without the lines and sentences that mention a statement: that hold it, most of its words, or nothing but words of it."""
    wanted = [(" ".join(statement.split()).casefold(), _words(statement)) for statement in statements if statement.strip()]
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith("#") or not line.strip():
            lines.append(line)
            continue
        sentences = _SENTENCE.split(line)
        kept = [sentence for sentence in sentences if not any(_mentions(sentence, *each) for each in wanted)]
        if len(kept) == len(sentences):
            lines.append(line)
        elif any(_words(sentence) for sentence in kept):
            lines.append(" ".join(kept) if line.startswith(kept[0]) or not line.startswith("- ") else f"- {' '.join(kept)}")
    return "\n".join(lines)


def _mentions(sentence: str, statement: str, words: frozenset[str]) -> bool:
    if statement in " ".join(sentence.split()).casefold():
        return True
    said = _words(sentence)
    shared = said & words
    return bool(words) and (len(shared) >= max(2, _MOST_OF * len(words)) or (bool(said) and said <= words))


def _words(text: str) -> frozenset[str]:
    """The words that say something, and the pairs of signs where words have no spaces."""
    folded = text.casefold()
    return frozenset([*_pairs(_NO_SPACES.findall(folded)), *_telling(_LATIN.findall(_NO_SPACES.sub(" ", folded)))])


def _pairs(runs: Iterable[str]) -> list[str]:
    return [run[place : place + 2] for run in runs for place in range(max(1, len(run) - 1))]


def _telling(words: Iterable[str]) -> list[str]:
    return [word for word in words if len(word) > _SHORT or any(map(str.isdigit, word))]
