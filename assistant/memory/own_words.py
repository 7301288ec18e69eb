"""What may be remembered and forgotten: the gate between what was read and what is kept. Pure."""

from collections.abc import Sequence
from typing import Final, Literal

from assistant.contracts.messages import AssistantMessage, Message, UserMessage
from assistant.contracts.own_words import asker, foreign, in_own_words, own_words
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record
from assistant.contracts.statements import asks_to_forget, asks_to_remember, says_yes, share

_NAMED: Final = 0.5
"""The share of a memory's words by which a person names it."""


@record
class Verdict:
    """Whether a statement is the person's."""

    says: Literal["yes", "ask", "no words"]
    """"ask": they must confirm it first. "no words": the newest message has none of the person's own."""
    provenance: Provenance = "person"
    explicit: bool = False
    """They asked for it in these words, or confirmed it."""


def judge(text: str, conversation: Sequence[Message], earlier: Provenance | None = None) -> Verdict:
    """`conversation`: up to now; its last user message is the newest. `earlier`: whose words were read before it; None: no one else's.

    A statement is a person's if most of its words are among theirs, and all of its numbers and addresses. Where nothing of others was read in the
    conversation, the model may put it in words of its own. Else their yes counts, to an answer that gave the statement.
    """
    newest = next((message for message in reversed(conversation) if isinstance(message, UserMessage)), None)
    by = asker(conversation)
    words = own_words(newest, by=by) if newest else ""
    read = foreign(conversation, by=by) or earlier
    if _confirms(text, conversation):
        return Verdict(says="yes", provenance=read or "person", explicit=True)
    if not words:
        return Verdict(says="no words", provenance=read or "person")
    said = [own_words(message, by=by) for message in conversation if isinstance(message, UserMessage)]
    if in_own_words(text, said):
        return Verdict(says="yes", explicit=asks_to_remember(words) and in_own_words(text, [words]))
    return Verdict(says="ask" if read else "yes", provenance=read or "person")


def judge_forgetting(text: str, what: str, conversation: Sequence[Message], earlier: Provenance | None = None) -> Verdict:
    """Whether a person wants a memory forgotten. `what`: as the model named it. Where words of others were read in the conversation, they must
    ask for it themselves, in words of it."""
    newest = next((message for message in reversed(conversation) if isinstance(message, UserMessage)), None)
    by = asker(conversation)
    words = own_words(newest, by=by) if newest else ""
    if (foreign(conversation, by=by) or earlier) is None:
        return Verdict(says="yes" if words else "no words")
    named = max(share(text, [words], exact=False), share(what, [words])) >= _NAMED
    if (named and asks_to_forget(words)) or _confirms(text, conversation):
        return Verdict(says="yes")
    return Verdict(says="ask")


def _confirms(text: str, conversation: Sequence[Message]) -> bool:
    """Whether the newest message is a yes to an answer that gave the statement."""
    place = max((at for at, message in enumerate(conversation) if isinstance(message, UserMessage)), default=0)
    newest = conversation[place] if conversation else None
    if not isinstance(newest, UserMessage) or not says_yes(own_words(newest, pressed=True)):
        return False
    return in_own_words(text, [_answer_before(conversation[:place])])


def _answer_before(conversation: Sequence[Message]) -> str:
    """What the assistant said between the last two user messages."""
    said: list[str] = []
    for message in reversed(conversation):
        if isinstance(message, UserMessage):
            break
        if isinstance(message, AssistantMessage):
            said.append(message.text)
    return "\n".join(said)
