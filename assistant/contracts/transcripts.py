"""Pure passes over a transcript: how long it is, where to cut it, how to repair it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from sys import getsizeof

from assistant.contracts.messages import AssistantMessage, Document, Image, Message, Text, ToolMessage, UserMessage
from assistant.contracts.models import ToolSpec
from assistant.contracts.skills import loaded_skills
from assistant.contracts.util import estimate_tokens, new_id

MESSAGE_TOKENS = 4
"""What a message costs besides its words."""
IMAGE_TOKENS = 1_500
"""A picture of 2048 px on the long side costs between 765 (OpenAI, high detail) and about 1,600 (Anthropic)."""
USER_BYTES, ANSWER_BYTES, RESULT_BYTES = 210, 330, 270
"""What messages take in memory besides what they say, as measured (CPython 3.11), and then what is inside: a test compares them."""
PART_BYTES, FILE_BYTES, CALL_BYTES, OPAQUE_BYTES, EFFECT_BYTES = 64, 420, 170, 500, 300
SUMMARY_ID = "sum_"
"""Begins the id of the message that stands for what was cut off: it stays where older turns are left out."""
LONG_RESULT = 400
"""Characters of a tool's result that an old one may have before it is shortened."""
REMOVED = "[This result was removed to make room.]"
NO_RESULT = "No result: the conversation went on without one. Whether the call took effect is not known."


def text_tokens(text: str) -> int:
    """An estimate, low for CJK and emoji until `Transcript.learn` corrects it by the provider's count: better a provider that refuses than a
    refusal of what would have fitted."""
    return estimate_tokens(len(text))


def tool_tokens(tool: ToolSpec) -> int:
    """What the description of a tool takes of the context, estimated."""
    return text_tokens(f"{tool.name} {tool.description} {tool.parameters}")


def message_tokens(message: Message) -> int:
    """What a message takes of the context, estimated."""
    match message:
        case UserMessage():
            tokens = MESSAGE_TOKENS
            for part in message.parts:
                tokens += (
                    text_tokens(part.text) + (30 if part.quoted else 20 if part.heard else 0)
                    if isinstance(part, Text)
                    else _file_tokens(part)
                )
        case AssistantMessage():
            tokens = MESSAGE_TOKENS + text_tokens(message.text)
            tokens += text_tokens(str(message.extras)) if message.extras else 0
            for call in message.tool_calls:
                tokens += text_tokens(call.name) + text_tokens(call.arguments) + MESSAGE_TOKENS
                tokens += text_tokens(str(call.extras)) if call.extras else 0
        case ToolMessage():
            tokens = MESSAGE_TOKENS + text_tokens(message.text) + sum(map(_file_tokens, message.images))
    return tokens


def _file_tokens(part: Image | Document) -> int:
    if isinstance(part, Image):
        return IMAGE_TOKENS + text_tokens(part.name)
    return text_tokens(part.text) + text_tokens(part.missing) + text_tokens(part.name) + 30


def images_of(message: Message) -> Sequence[Image]:
    """The pictures that a message brings."""
    if isinstance(message, UserMessage):
        return [part for part in message.parts if isinstance(part, Image)]
    return message.images if isinstance(message, ToolMessage) else ()


def message_bytes(message: Message) -> int:
    """What a message takes in memory, about."""
    match message:
        case UserMessage():
            size, opaque = USER_BYTES, message.extras
            for part in message.parts:
                size += FILE_BYTES if isinstance(part, Image) else PART_BYTES + getsizeof(part.text)
                size += FILE_BYTES + getsizeof(part.missing) if isinstance(part, Document) else 0
        case AssistantMessage():
            size, opaque = ANSWER_BYTES + getsizeof(message.text), message.extras
            size += getsizeof(message.reasoning) if message.reasoning else 0
            for call in message.tool_calls:
                size += CALL_BYTES + getsizeof(call.arguments)
                size += OPAQUE_BYTES + getsizeof(str(call.extras)) if call.extras else 0
        case ToolMessage():
            size = RESULT_BYTES + getsizeof(message.text) + FILE_BYTES * len(message.images)
            return size + EFFECT_BYTES * (len(message.effects) + 2 * (message.pending is not None))
    return size + OPAQUE_BYTES + getsizeof(str(opaque)) if opaque else size


def cut(messages: Sequence[Message], costs: Sequence[int], budget: int, keep_tokens: int | None = None) -> int:
    """Index of the first message to keep so that the rest costs at most `keep_tokens` (None: half of `budget`); 0 where all of it fits the budget.

    Cutting much at once, and not message by message, keeps the prompt's beginning the same for many turns, as a
    provider's cache needs. The cut falls before a user message, so no tool message loses the call it answers.
    The last turn is always kept, whatever it costs.
    """
    total = sum(costs)
    most = budget // 2 if keep_tokens is None else keep_tokens
    if total <= budget:
        return 0
    keep = 0
    for index, message in enumerate(messages):
        if isinstance(message, UserMessage):
            keep = index
            if total <= most:
                break
        total -= costs[index]
    return keep


def kept_from(messages: Sequence[Message], start: int) -> tuple[Message, ...]:
    """The messages from `start` on, behind the summary that the transcript begins with, if it does."""
    summary = messages[:1] if start and messages[0].id.startswith(SUMMARY_ID) else ()
    return (*summary, *messages[start:])


def fit(messages: Sequence[Message], budget: int) -> tuple[Message, ...]:
    """A transcript made to fit: older turns go first, behind a summary that it begins with, then the older tool results of the last turn are
    emptied (their calls stay answered). What still exceeds the budget after that is sent as it is: the provider has the last word."""
    costs = [message_tokens(message) for message in messages]
    start = cut(messages, costs, budget)
    kept = list(kept_from(messages, start))
    excess = sum(map(message_tokens, kept)) - budget
    results = [index for index, message in enumerate(kept) if isinstance(message, ToolMessage)]
    for index in results[:-1]:
        if excess <= 0:
            break
        message = kept[index]
        if isinstance(message, ToolMessage) and len(message.text) > len(REMOVED):
            excess -= costs[start + index] - MESSAGE_TOKENS - text_tokens(REMOVED)
            kept[index] = replace(message, text=REMOVED, images=())
    return tuple(kept)


def shortened(result: ToolMessage) -> ToolMessage:
    """An old result in one line that says how to get it again; a short one as it is, and a skill's instructions."""
    text = result.text
    if len(text) <= LONG_RESULT or loaded_skills(result):
        return result
    begins = " ".join(text[:200].split())[:120].strip()
    kept = re.search(r'read_attachment\(id="([^"]{1,64})"', text)
    again = (
        f'read_attachment(id="{kept[1]}")'
        if kept
        else f"search_history finds it in message {result.id}, or call {result.name} again if it only reads"
    )
    return replace(result, text=f"[Shortened to make room: {len(text):,} characters that began {begins!r}. To see them: {again}.]")


def unanswered(messages: Sequence[Message]) -> dict[str, str]:
    """The calls that the end of a transcript leaves open, id and name: a client may still send their results."""
    results: set[str] = set()
    for message in reversed(messages):
        if isinstance(message, ToolMessage):
            results.add(message.call_id)
            continue
        calls = message.tool_calls if isinstance(message, AssistantMessage) else ()
        return {call.id: call.name for call in calls if call.id not in results}
    return {}


def heal(messages: Sequence[Message], waiting: Mapping[str, str] | None = None) -> list[Message]:
    """Answer every tool call that others follow without a result, truthfully, and leave out results that answer no call: providers refuse both.
    `waiting`: the calls that the messages before left open. Those that the last message leaves open stay so."""
    healed: list[Message] = []
    open_calls = dict(waiting) if waiting else {}
    for message in messages:
        if isinstance(message, ToolMessage):
            if open_calls.pop(message.call_id, None) is not None:
                healed.append(message)
            continue
        if open_calls:
            healed += [ToolMessage(id=new_id("msg"), call_id=id, name=name, text=NO_RESULT, ok=False) for id, name in open_calls.items()]
            open_calls = {}
        if isinstance(message, AssistantMessage) and message.tool_calls:
            open_calls = {call.id: call.name for call in message.tool_calls}
        healed.append(message)
    return healed
