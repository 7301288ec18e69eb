"""What an answer says was done or will be done, in English and German, compared with what the turn did.

A claim is the assistant's own, about now: not a question, condition, offer or negation, nothing quoted, and nothing of a draft, a dialogue or code.
Where one is in doubt it is none: a false claim that passes is told by the effects beside the answer, a true answer that is doubted is a fault.
"""

import logging
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from assistant.agent.loop import Doubt
from assistant.agent.toolbox import Toolbox
from assistant.contracts.effects import EFFECT_KINDS, EffectKind
from assistant.contracts.messages import ToolMessage
from assistant.contracts.records import record
from assistant.contracts.turns import TurnRequest, Upload
from assistant.turns import claim_words as words
from assistant.turns.claim_words import ClaimKind
from assistant.turns.handle import RunningTurn
from assistant.turns.prompt import Transcript

log = logging.getLogger(__name__)

BACKED_BY: Final[dict[ClaimKind, frozenset[EffectKind]]] = {
    "sent": frozenset({"sent", "queued"}),
    "scheduled": frozenset({"scheduled", "queued"}),
    "cancelled": frozenset({"cancelled", "scheduled", "stopped"}),
    "remembered": frozenset({"remembered", "written"}),
    "forgotten": frozenset({"forgotten", "deleted"}),
    "stopped": frozenset({"stopped", "cancelled"}),
}
"""The effects that make a claim true. A message that waits in the outbox counts as sent: the line of its effect says which."""
NOT_DONE: Final[dict[ClaimKind, str]] = {
    "sent": "no message was sent",
    "scheduled": "no reminder was set",
    "cancelled": "nothing was cancelled or changed",
    "remembered": "nothing was saved to memory",
    "forgotten": "nothing was removed from memory",
    "stopped": "nothing was stopped",
}

MOST_CHARS: Final = 4_000
"""At the beginning and at the end of an answer."""
LONGEST_SENTENCE: Final = 500
MOST_TRIED: Final = 2_000
"""Characters of the sentences that speak of a kind, in which its claim is looked for. Text made to be slow takes its patterns 10 µs for each, and
the event loop waits."""
MOST_ASKED: Final = 500
"""Characters at the beginning and at the end of the user's words: the request stands in one of them."""


@record
class AnswerClaim:
    kind: ClaimKind
    words: str
    """The sentence."""
    asked: bool
    """Whether the user asked for it now: then only what this turn did makes it true."""


def claimed(answer: str, asked: str) -> tuple[AnswerClaim, ...]:
    """What an answer (of a very long one its beginning and end) claims, one claim of a kind. `asked`: the user's last words. What is not in the
    first person ("Reminder set."), or stands in a list, counts only where they asked for it."""
    answer = (answer if len(answer) <= 2 * MOST_CHARS else f"{answer[:MOST_CHARS]}\n{answer[-MOST_CHARS:]}").replace("’", "'")
    lowered = answer.lower()
    if not words.ANY_STEM.search(lowered):
        return ()
    kinds = _named(lowered, list(words.STEMS))
    bare = any(map(lowered.__contains__, words.BARE_STEMS))
    asked = f"{asked[:MOST_ASKED]}\n{asked[-MOST_ASKED:]}" if len(asked) > 2 * MOST_ASKED else asked
    wanted = _wanted(asked, list(words.ASKS) if bare else kinds)
    if wanted is None or not (wanted or words.FIRST_PERSON.search(answer)):
        return ()
    found: dict[ClaimKind, AnswerClaim] = {}
    left = dict.fromkeys(kinds, MOST_TRIED)
    for sentence, listed in _spoken(answer):
        named = _named(
            f" {sentence} ".lower(), [kind for kind in kinds if kind not in found and len(sentence) <= min(left[kind], LONGEST_SENTENCE)]
        )
        first_person = bool(named and words.FIRST_PERSON.search(sentence))
        for kind in named:
            patterns = [words.FIRM[kind]] if first_person and (not listed or kind in wanted) else []
            patterns += [words.LOOSE[kind]] if kind in wanted else []
            left[kind] -= len(sentence) if patterns else 0
            for pattern in patterns:
                match = pattern.search(sentence)
                if match and match[0].lower() not in asked.lower() and _asserted(sentence, match, kind, firm=pattern is words.FIRM[kind]):
                    found.setdefault(kind, AnswerClaim(kind=kind, words=sentence, asked=kind in wanted))
        if bare and wanted and words.BARE.search(sentence):
            for kind in wanted:
                found.setdefault(kind, AnswerClaim(kind=kind, words=sentence, asked=True))
    return tuple(found.values())


def unbacked(claims: Iterable[AnswerClaim], *, done: Collection[EffectKind], before: Collection[EffectKind]) -> tuple[AnswerClaim, ...]:
    """Those that nothing was done for. `done`: by this turn. `before`: by the turns that the model sees; they count where the user did not ask."""
    return tuple(
        [claim for claim in claims if BACKED_BY[claim.kind].isdisjoint(done) and (claim.asked or BACKED_BY[claim.kind].isdisjoint(before))]
    )


def _named(lowered: str, kinds: Sequence[ClaimKind]) -> Sequence[ClaimKind]:
    """The kinds that a text has a stem of: only their patterns, which are slow, can match in it."""
    return [kind for kind in kinds if any(map(lowered.__contains__, words.STEMS[kind]))]


def _wanted(asked: str, kinds: Sequence[ClaimKind]) -> frozenset[ClaimKind] | None:
    """Which of these the user asks to be done now; None: they ask for words made to order, for an explanation, or for what was."""
    is_question = "?" in asked
    composed = words.PLAYS.search(asked) or (words.COMPOSE.search(asked) and not words.AND_ACTS.search(asked))
    if composed or words.EXPLAINS.search(asked) or (is_question and words.RECALLS.search(asked)):
        return None
    if is_question and (words.ASKS_WHETHER.search(asked) or not words.WISH.search(asked)):
        return frozenset()
    return frozenset([kind for kind in kinds if words.ASKS[kind].search(asked)])


def note_for(claims: Sequence[AnswerClaim]) -> str:
    """What the model is told about them."""
    said = "\n".join(f'- You say: "{claim.words[:300]}" But {NOT_DONE[claim.kind]}.' for claim in claims)
    return (
        f"[From the server, not from the user: your answer was compared with what was done in this turn.\n{said}\n"
        "If a tool of yours can do it, call it now. Otherwise answer the user again, and say plainly that it was not done. Do not mention this note.]"
    )


def mark_for(claims: Sequence[AnswerClaim]) -> str:
    """The sentence that the user reads under an answer that still claims it."""
    return f"[Not done: {'; '.join(NOT_DONE[claim.kind] for claim in claims)}.]"


def _spoken(answer: str) -> Iterable[tuple[str, bool]]:
    """The sentences in which the assistant itself speaks, and whether each is an item of a list: without questions, code, quotes, tables, drafts and
    dialogues."""
    text = words.SINGLE.sub("…", words.QUOTED.sub("…", words.CODE.sub("…", answer)))
    drafted = listed = False
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped:
            continue
        if len(stripped) < 80 and words.CLOSES.search(stripped):
            drafted = False
            continue
        if drafted or stripped[0] in ">|#":
            continue
        drafted = bool(words.GREETS.search(stripped[:100]) or (":" in stripped[-4:] and words.OPENS.search(stripped[-100:])))
        if words.SPEAKER.search(stripped):
            continue
        listed = bool(words.LISTED.search(line))
        for part in words.SENTENCE.split(words.LISTED.sub("", line).replace("**", "")):
            if (sentence := part.strip()) and not sentence.endswith("?"):
                yield sentence, listed


def _asserted(sentence: str, match: re.Match[str], kind: ClaimKind, *, firm: bool) -> bool:
    """Whether a match says that it is so: no condition, negation or report of others' words, and not about an earlier day."""
    before, behind = sentence[: match.start()], sentence[match.end() :]
    clause = words.CLAUSE.split(before)[-1].strip().removeprefix("that")
    if words.CONDITION.search(before) or words.BEHIND.search(behind) or (words.ENDS_JOINED if firm else words.JOINED).search(clause):
        return False
    if words.NEGATION.search(clause) or words.NEGATION.search(match[0]):
        return False
    return not (words.PAST.search(sentence) or (kind in ("sent", "remembered") and words.HERE.search(sentence)))


def doubt(request: TurnRequest, turn: RunningTurn, toolbox: Toolbox, transcript: Transcript, answer: str) -> Doubt | None:
    """Whether an answer says that something was done, and nothing shows it. None too where a tool ran that may have done it and does not tell."""
    claims = claimed(
        answer, "\n".join([item.text for item in (*request.content, *turn.heard) if not isinstance(item, Upload) and not item.quoted])
    )
    if not claims or request.results or not all(map(toolbox.tells_all, turn.used)):
        return None
    results = [message for message in transcript.messages if isinstance(message, ToolMessage)]
    before: frozenset[EffectKind] = (
        frozenset({effect.kind for result in results for effect in result.effects}) if 1 in transcript.seqs.values() else EFFECT_KINDS
    )
    wrong = unbacked(claims, done={effect.kind for effect in turn.effects}, before=before)
    if not wrong:
        return None
    log.info("turn.claims turn=%s kinds=%s", turn.id, ",".join(claim.kind for claim in wrong))
    return Doubt(note=note_for(wrong), mark=mark_for(wrong))
