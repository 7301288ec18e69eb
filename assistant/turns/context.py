"""Context: what stands before the conversation, and how much of the conversation fits behind it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from assistant.agent.transcript import message_tokens, text_tokens
from assistant.contracts.errors import ContextLengthExceeded
from assistant.contracts.messages import UserMessage
from assistant.contracts.models import ToolSpec
from assistant.contracts.turns import TurnRequest

WORKSPACE_FILES: Final = ("AGENTS.md", "USER.md")
"""What the assistant is told of its work and its user, in this order; both may be absent."""
FILE_CHARS: Final = 64_000
ANSWER_TOKENS: Final = 4_096
"""Kept free for the answer where the request names no limit of its own."""


class Instructions:
    """The stable beginning of every prompt: the agent's instructions, then the workspace's files. The same bytes until one of them changes."""

    def __init__(self, agent: str, workspace: Path) -> None:
        self._agent = agent
        self._paths = [str(workspace / name) for name in WORKSPACE_FILES]
        self._stamps: list[tuple[int, int] | None] = []
        self._text = ""

    def text(self, today: datetime) -> str:
        """The instructions as of now. The date is their last line, so that the prompt's beginning changes once a day and no oftener."""
        stamps = [_stamp(path) for path in self._paths]
        if stamps != self._stamps or not self._text:
            found = [(Path(path).name, _read(path)) for path, stamp in zip(self._paths, stamps, strict=True) if stamp]
            self._text = "\n\n".join([self._agent, *(f"# {name}\n\n{text}" for name, text in found if text)])
            self._stamps = stamps
        return f"{self._text}\n\nToday is {today:%A, %d %B %Y} (UTC)."


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(FILE_CHARS).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A prompt's fixed part and what is left for the conversation."""

    instructions: tuple[str, ...]
    fixed_tokens: int
    """What instructions and tools take, estimated."""
    conversation_tokens: int
    """What the conversation may take, the new message included."""

    def budget(self, scale: float) -> int:
        """`conversation_tokens` in estimated tokens, where the provider counts `scale` tokens for each estimated one."""
        return int(self.conversation_tokens / scale)


class Context:
    """Measures what fits into a model's context."""

    def __init__(self, context_tokens: int, instructions: Instructions, tools: Sequence[ToolSpec]) -> None:
        """`context_tokens`: prompt and answer together."""
        self._total = context_tokens
        self._instructions = instructions
        self._tools_tokens = sum(map(_tool_tokens, tools))

    def room(self, request: TurnRequest, message: UserMessage) -> Room:
        """The room for a turn. Raises ContextLengthExceeded where the new message alone would not fit."""
        instructions = (self._instructions.text(datetime.now(UTC)), *request.instructions)
        brought = sum(_tool_tokens(tool.spec) for tool in request.tools)
        fixed = self._tools_tokens + brought + sum(map(text_tokens, instructions))
        answer = min(request.sampling.max_tokens or ANSWER_TOKENS, self._total // 4)
        left = self._total - answer - fixed
        needed = message_tokens(message)
        if needed > left:
            raise ContextLengthExceeded(
                f"This message takes about {needed:,} tokens, and {max(left, 0):,} of the model's {self._total:,} are free for it. "
                "Send less at a time, or choose a model with a larger context.",
                param="messages",
            )
        return Room(instructions=instructions, fixed_tokens=fixed, conversation_tokens=left)


def _tool_tokens(tool: ToolSpec) -> int:
    return text_tokens(f"{tool.name} {tool.description} {tool.parameters}")
