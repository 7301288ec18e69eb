"""Skills in use outlive a cut: the instructions that were loaded go behind the summary as they are, and from there behind the next one. Pure."""

from collections.abc import Sequence
from typing import Final

from assistant.contracts.messages import Message, Text, ToolMessage, UserMessage
from assistant.contracts.skills import CONTENT, loaded_skills
from assistant.contracts.transcripts import SUMMARY_ID
from assistant.contracts.util import CHARACTERS_PER_TOKEN

MARK: Final = "## Skills in use, as loaded"
_MOST_CHARS: Final = 20_000
_SHARE: Final = 0.1
"""Of the context, what they may take together."""


def section(messages: Sequence[Message], context: int) -> str:
    """The instructions of the skills that were loaded in these messages, or are kept by the summary before them, the last loaded last; empty: there
    are none. Those without room are named. `context`: the model's, in tokens."""
    loaded: dict[str, str] = {}
    for message in messages:
        for content in _contents(message):
            name = content.partition('"')[2].partition('"')[0]
            loaded.pop(name, None)
            loaded[name] = content
    left = min(_MOST_CHARS, int(context * _SHARE * CHARACTERS_PER_TOKEN))
    shown: list[str] = []
    for name, content in reversed(loaded.items()):
        left -= len(content)
        shown.append(content if left >= 0 else f'- {name}: too long to keep here; use_skill(name="{name}") shows it again.')
    return "\n".join([MARK, *reversed(shown)]) if shown else ""


def carried(text: str, gone: Sequence[Message], context: int) -> str:
    """A summary of messages, with the skills that were in use in them."""
    text = text.replace(MARK, "")  # only ours counts: a summary may quote a text that has it
    kept = section(gone, context)
    return f"{text.rstrip()}\n\n{kept}" if kept else text


def _contents(message: Message) -> tuple[str, ...]:
    if isinstance(message, ToolMessage):
        return loaded_skills(message)
    if not isinstance(message, UserMessage) or not message.id.startswith(SUMMARY_ID):
        return ()
    text = "\n".join([part.text for part in message.parts if isinstance(part, Text)])
    return tuple([found[0] for found in CONTENT.finditer(text.partition(MARK)[2])])
