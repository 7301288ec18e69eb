"""What the assistant itself, not the model, writes in a chat. Markdown."""

from collections.abc import Sequence
from math import ceil
from typing import Final

from assistant.contracts import errors
from assistant.contracts.effects import Effect
from assistant.contracts.ledger import BudgetUsedUp
from assistant.contracts.messages import FinishReason
from assistant.contracts.turns import TurnFailed
from assistant.delivery.service import span

START = "Hello. Write to me, or send me files, and I will answer. /help says what else there is."
HELP = """\
Write to me as you would to a person; files and pictures can come along.

- /new begins a new conversation: I no longer see what was said before
- /compact sums up the older part of the conversation, so that answers come faster and cost less
- /stop stops what I am doing
- /status says how things are
- /memory shows what I remember of you, where it came from, and how I forget it
- /schedule lists what is planned, and cancels or pauses it
- /tasks shows what helpers do in the background, and stops it: /tasks stop 2
- /snooze puts a reminder off: /snooze 10m
- /done says that the last reminder is done
- /id gives the ids of this chat and of you
- /link joins this chat with another of yours: I give a code here, and you write it there
- /prefer has messages to you, reminders too, sent to this chat first; /prefer off ends that
- /usage says what you used, and what is left of your budget
- /approvals lists what waits for your yes; /approve and /deny answer it
- /help shows this"""
NEW = "A new conversation begins: I no longer see what was said before."
NEW_STOPPED = f"I stopped what I was doing. {NEW}"
STOPPED = "I stopped what I was doing."
STOPPED_WITH_MORE = "I stopped what I was doing, and answer what you wrote meanwhile."
LET_IN = "You may write to me now. What you wrote before was not kept: write it again."
NOTHING_TO_STOP = "There is nothing to stop: I am not doing anything here."
SET_ASIDE = (
    "I could not answer your last message: the server broke down over it twice. I have put it aside and will not try again. "
    "Please send it in another way: shorter, or without its files."
)
SUMMING_UP = "I am summing up the older part of our conversation, and will say when it is done."
NOTHING_TO_SUM_UP = "There is nothing to sum up yet: the conversation is short."
SUMMED_UP = "I have summed up the older part of our conversation; everything stays searchable."
NO_HEARING = "the sound or the film itself: there is nothing here that hears or watches it, so ask the user to say it in words"
_CUT: dict[FinishReason, str] = {
    "length": "[My answer ends here: it reached its limit.]",
    "content_filter": "[My answer ends here: the model's provider held the rest back.]",
}


LINK_IN_PRIVATE = "Write /link to me in a private chat: what is joined is you, not a group."
LINKED = "This chat is joined with your others now: we share conversations, and what I know of you, in all of them."


PREFER_IN_PRIVATE = "Write /prefer to me in a private chat: what is for you alone does not go to a group."
PREFERRED = (
    "Messages to you go to this chat first from now on. Where one can't be delivered here, it goes to your next one. /prefer off ends that."
)
NOT_PREFERRED = "Messages to you go to the chat from which you wrote to me last."


def link_code(code: str) -> str:
    """`code`: of the sender, valid for ten minutes."""
    return (
        f"Your code: `{code}`. Write `/link {code}` in another private chat with me within ten minutes, once. The one who writes it "
        "sees everything of yours, so keep it to yourself. With an API key: `POST /v1/link`."
    )


def pairing(code: str) -> str:
    """For a stranger; `code` is valid for an hour."""
    return (
        f"I do not know you yet. If you know the one who runs me, ask them to let you in with this code: `{code}` "
        f"(`nanobot pairing approve {code}`). The code is valid for an hour. "
        "Until you are let in I can't read what you write; then write to me again."
    )


def answer(text: str, reason: FinishReason, effects: Sequence[Effect] = ()) -> str:
    """An answer, with a truthful end where it is not whole, and what was done; empty where there is nothing to say. A model may think until its
    limit is reached."""
    said = text if text.strip() else ""
    cut = _CUT[reason] if reason == "length" or (said and reason in _CUT) else ""
    return "\n\n".join(filter(None, [said, cut, done(effects)]))


MOST_LINES: Final = 5
"""Effects that are told one by one."""


def done(effects: Sequence[Effect]) -> str:
    """What a turn did, a line each."""
    lines = [f"✓ {' '.join(effect.text.split())}" for effect in effects[:MOST_LINES]]
    return "\n".join([*lines, *([f"+{len(effects) - MOST_LINES} more"] if len(effects) > MOST_LINES else [])])


def failure(end: TurnFailed) -> str:
    """Why there is no answer, what to do next, and what was done before. For a stopped turn the last alone: /stop has its own answer."""
    if isinstance(end.error, errors.TurnCancelled):
        return f"Before I stopped, this was done:\n\n{done(end.effects)}" if end.effects else ""
    acted = " Some of what you asked for may have been done already." if end.acted and not end.effects else ""
    return "\n\n".join(filter(None, [f"{_failure(end.error)}{acted}", done(end.effects)]))


def _failure(error: errors.NanobotError) -> str:
    match error:
        case errors.ContextLengthExceeded():
            return "Your message is too long for me: it does not fit what the model can read at once. Please send less at a time."
        case errors.RateLimited():
            wait = "later" if error.retry_after is None else f"in {span(ceil(error.retry_after))}"
            return f"You have reached your limit: I kept your message, and can answer it when you write to me again {wait}."
        case BudgetUsedUp():
            return f"I kept your message, and can't answer it now. {error.message}"
        case errors.TurnTimeout():
            return "I could not answer in time and stopped. Please ask again, perhaps for less at once."
        case errors.ProviderOverloaded() | errors.ProviderTimeout():
            return "I can't answer now: the model is overloaded or does not respond. Please ask again in a few minutes."
        case errors.ProviderFailed(retryable=True):
            return "I can't answer now: the model failed. Please ask again in a moment."
        case errors.ProviderFailed():
            return "I can't answer: the model refused the request. The person who runs me sees more in the log, and with `nanobot doctor`."
        case errors.SessionNotFound():
            return "I did not answer: this conversation was deleted meanwhile."
        case _:
            return "I could not answer because of a fault of mine. The person who runs me finds it in the log."


def status(*, model: str, messages: int, working: bool, waiting: int, more: Sequence[str]) -> str:
    """`more`: lines for the owner."""
    doing = "I am working on an answer here." if working else "I am not working on anything here."
    lines = [f"Model: `{model}`", f"Messages in this conversation: {messages}", doing]
    if waiting:
        lines.append(f"Messages that wait for me here: {waiting}")
    return "\n".join(f"- {line}" for line in [*lines, *more])


def ids(chat_id: str, thread_id: str | None, sender_id: str) -> str:
    lines = [f"Chat: `{chat_id}`", *([f"Thread: `{thread_id}`"] if thread_id else []), f"You: `{sender_id}`"]
    return "\n".join(f"- {line}" for line in lines)
