"""A model with a small context and a strict count of its own, which sums up badly: it loses every number and address."""

import asyncio
import re

from assistant.contracts.errors import ContextLengthExceeded, NanobotError
from assistant.contracts.messages import AssistantMessage, Message, Text, ToolCall, Usage, UserMessage
from assistant.contracts.models import EmitText, ModelInfo, ModelRequest
from assistant.contracts.util import new_id

_CHARACTERS = 3.7
"""A token has, by this model's count."""


def words_of(message: Message) -> str:
    if isinstance(message, UserMessage):
        return "".join([part.text if isinstance(part, Text) else part.name for part in message.parts])
    return message.text


class SmallContext:
    """Refuses prompts beyond `context_tokens` by its own count. `prompts`: the messages of the turns' requests; `sums`: the requests for summaries.
    While `gate` is cleared, a summary is being written."""

    def __init__(self, context_tokens: int, *, told: int | None = None, summaries: str | NanobotError | None = None) -> None:
        """`told`: the context that it claims. `summaries`: what it answers where a summary is asked for, in place of one."""
        self.info = ModelInfo(id="small", provider="small", context_tokens=told or context_tokens)
        self.limit = context_tokens
        self.prompts: list[tuple[Message, ...]] = []
        self.sums: list[ModelRequest] = []
        self.refused = 0
        self.longest = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked_for_summary = asyncio.Event()
        self._summaries = summaries

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        characters = sum(map(len, request.instructions)) + sum(
            len(f"{tool.name}{tool.description}{tool.parameters}") for tool in request.tools
        )
        for message in request.messages:
            calls = message.tool_calls if isinstance(message, AssistantMessage) else ()
            characters += 16 + len(words_of(message)) + sum(len(call.arguments) + len(call.name) for call in calls)
        tokens = int(characters / _CHARACTERS)
        summing_up = request.payer is not None and request.payer.cause.kind == "compaction"
        if tokens + (request.sampling.max_tokens or 0) > self.limit:
            self.refused += 1
            error = ContextLengthExceeded(f"This model's maximum context length is {self.limit} tokens.")
            error.limit, error.counted = self.limit, tokens
            raise error
        if summing_up:
            self.sums.append(request)
            self.asked_for_summary.set()
            await self.gate.wait()
            text, calls = self._summed_up(words_of(request.messages[0])), ()
        else:
            self.longest = max(self.longest, tokens)
            self.prompts.append(request.messages)
            text, calls = self._answer(request)
        emit(text)
        usage = Usage(prompt_tokens=tokens, completion_tokens=len(text) // 4)
        reason = "tool_calls" if calls else "stop"
        return AssistantMessage(id=new_id("msg"), text=text, tool_calls=calls, usage=usage, model="small", finish_reason=reason)

    def _answer(self, request: ModelRequest) -> tuple[str, tuple[ToolCall, ...]]:
        last = request.messages[-1]
        call = re.fullmatch(r"CALL (\w+)", words_of(last)) if isinstance(last, UserMessage) else None
        calls = (ToolCall(id=new_id("call"), name=call[1], arguments="{}"),) if call else ()
        return f"That was number {len(self.prompts)} of what you told me." if not calls else "", calls

    def _summed_up(self, text: str) -> str:
        if isinstance(self._summaries, NanobotError):
            raise self._summaries
        if self._summaries is not None:
            return self._summaries
        said = re.findall(r"^User: (.{1,60})", text, re.MULTILINE)[-5:]
        lines = "\n".join(f"- {re.sub(r'[^ a-z]', '', line)}" for line in said)
        return f"## Who and what\n{lines}\n\n## Decisions\n- nothing\n\n## Open promises\n- none\n\n## Exact identifiers\n"

    async def probe(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing to close."""
