"""The provider that answers before anybody has a key: it says so, and still does the part of the job that needs no model."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator

from assistant.contracts.ids import new_id
from assistant.contracts.messages import AssistantMessage, Document, Image, Text, ToolCall, ToolMessage, Usage, UserMessage, describe
from assistant.contracts.models import ModelInfo, ModelRequest
from assistant.providers.rendering import estimate_prompt_tokens, estimate_tokens

NO_MODEL = (
    "No model is configured, so nobody has thought about your message. To set one, in one line: OPENAI_API_KEY=<your key> nanobot serve "
    "(ANTHROPIC_API_KEY, OPENROUTER_API_KEY and GEMINI_API_KEY do as well, and so does an Ollama that runs)."
)
MESSAGE = "message"
_SEND = re.compile(
    r"""\bsend\s+["“”„«'](.{1,4000}?)["“”»']\s+to\s+([a-z][a-z0-9_-]{0,31})[\s:]\s*(\S{1,256}?)(?:\s+thread\s+(\S{1,256}?))?(?=[.,;!?]*(?:\s|$))""",
    re.IGNORECASE | re.DOTALL,
)
_WORDS_LOOKED_AT = 10_000
"""Characters of a message that are searched for what to send: nobody writes such a line behind more."""
_HEADING = re.compile(r"#{1,6} +(\S.*)")
_FENCE = re.compile(r"\s*(```|~~~)")
_HEADINGS = 12
_FIRST_LINES = 3
_WIDTH = 160
"""Characters of a heading or line that are given."""


class OfflineProvider:
    """Answers from what arrived and nothing else. Never fails. Calls one tool, `message`, and only where it is told to in so many words: so that
    the way out can be tried before anybody has a key."""

    def __init__(self, out_of_reach: str = "") -> None:
        """`out_of_reach`: why the model that was asked for can't be had, as in "the model x needs Y, which is not set"; empty: none was."""
        self._opening = (
            f"No model answers, so nobody has thought about your message: {out_of_reach}. Mend that, then start nanobot again."
            if out_of_reach
            else NO_MODEL
        )
        self._info = ModelInfo(id="offline", provider="offline", context_tokens=10_000_000, vision=False)

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def complete(self, request: ModelRequest, emit: Callable[[str], None]) -> AssistantMessage:
        if call := asked_to_send(request):
            usage = Usage(prompt_tokens=estimate_prompt_tokens(request), completion_tokens=estimate_tokens(call.arguments))
            return AssistantMessage(id=new_id("msg"), tool_calls=(call,), finish_reason="tool_calls", usage=usage, model=self._info.id)
        text = answer(request, self._opening)
        if request.stream:
            for line in text.splitlines(keepends=True):
                for piece in _pieces(line):
                    emit(piece)
                    await asyncio.sleep(0)  # lets each piece leave before the next is said
        usage = Usage(prompt_tokens=estimate_prompt_tokens(request), completion_tokens=estimate_tokens(text))
        return AssistantMessage(id=new_id("msg"), text=text, usage=usage, model=self._info.id)

    async def probe(self) -> None:
        """It is always there."""

    async def close(self) -> None:
        """There is nothing to close."""


def answer(request: ModelRequest, opening: str) -> str:
    """What can be said of the last user message without a model: what became of the message that it asked to send; or the opening, then its
    files, their headings and first lines."""
    last = request.messages[-1] if request.messages else None
    if isinstance(last, ToolMessage) and last.name == MESSAGE:
        return last.text
    asked = next((message for message in reversed(request.messages) if message.role == "user"), None)
    files = _files(asked) if asked else []
    if not files:
        return opening
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    return "\n\n".join([opening, f"{count} arrived and could be read:", *map(_about, files)])


def asked_to_send(request: ModelRequest) -> ToolCall | None:
    """The call of the `message` tool that the last words of the user ask for: send "<text>" to <channel> <chat_id> [thread <thread_id>]."""
    last = request.messages[-1] if request.messages else None
    if not isinstance(last, UserMessage) or not request.may_call or all(tool.name != MESSAGE for tool in request.tools):
        return None
    own_words = "\n".join(part.text for part in last.parts if isinstance(part, Text) and not part.quoted)
    found = _SEND.search(own_words[:_WORDS_LOOKED_AT])
    if found is None:
        return None
    text, channel, chat_id, thread_id = found.groups()
    arguments = {"content": text, "channel": channel.lower(), "chat_id": chat_id} | ({"thread_id": thread_id} if thread_id else {})
    return ToolCall(id=new_id("call"), name=MESSAGE, arguments=json.dumps(arguments, ensure_ascii=False))


def _files(message: UserMessage) -> list[Image | Document]:
    return [part for part in message.parts if part.kind != "text"]


def _about(part: Image | Document) -> str:
    if part.kind == "image":
        return f"- **{describe(part)}**"
    headings, first = outline(part.text)
    blocks = [f"- **{describe(part)}**"]
    if headings:
        listed = [f"  - {heading}" for heading in headings[:_HEADINGS]]
        if len(headings) > _HEADINGS:
            listed.append(f"  - … and {len(headings) - _HEADINGS} more")
        blocks += ["  Headings:", "\n".join(listed)]
    if first:
        blocks += ["  First lines:", "\n".join(f"  > {line}" for line in first)]
    if not headings and not first:
        blocks.append("  It holds no text.")
    if part.missing:
        blocks.append(f"  Not read here: {part.missing}")
    return "\n\n".join(blocks)  # without the empty lines, Markdown would run them together


def outline(markdown: str) -> tuple[list[str], list[str]]:
    """The headings outside of code blocks, and the first lines that are none, each at most `_WIDTH` characters."""
    headings: list[str] = []
    first: list[str] = []
    fenced = False
    for line in markdown.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (found := _HEADING.fullmatch(line)):
            headings.append(_short(found[1]))
        elif line.strip() and len(first) < _FIRST_LINES:
            first.append(_short(line))
    return headings, first


def _short(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _pieces(line: str) -> Iterator[str]:
    """A line in pieces of about a breath, cut after spaces."""
    return (match[0] for match in re.finditer(r".{1,48}(?:\s+|$)|\S+\s*|\s+", line, re.DOTALL))
