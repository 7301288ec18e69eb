"""A scripted model, for tests of everything around a model."""

import asyncio
from collections.abc import Sequence

from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import AssistantMessage, ToolCall, Usage
from assistant.contracts.models import EmitText, ModelInfo, ModelRequest
from assistant.contracts.util import new_id

Reply = AssistantMessage | NanobotError | Sequence[str] | str
"""An answer: text, text in pieces, a message (with tool calls, for example), or an error to raise."""


class ScriptedModel:
    """Gives its replies in turn, the last one repeatedly. `requests` holds the requests.

    While `gate` is cleared, a call waits after its first piece of text: a test can look at the middle of an answer.
    """

    def __init__(self, *replies: Reply, context_tokens: int = 100_000, vision: bool = True) -> None:
        self.info = ModelInfo(id="scripted", provider="scripted", context_tokens=context_tokens, vision=vision)
        self.requests: list[ModelRequest] = []
        self._more = asyncio.Condition()
        self.gate = asyncio.Event()
        self.gate.set()
        self._replies = replies or ("Hello.",)

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        reply = self._replies[min(len(self.requests), len(self._replies) - 1)]
        async with self._more:
            self.requests.append(request)
            self._more.notify_all()
        if isinstance(reply, NanobotError):
            await self.gate.wait()
            raise reply
        if isinstance(reply, AssistantMessage):
            await self.gate.wait()
            if reply.reasoning:
                emit(reply.reasoning, reasoning=True)
            emit(reply.text)
            return reply
        pieces = [reply] if isinstance(reply, str) else list(reply)
        for piece in pieces:
            emit(piece)
            await self.gate.wait()
        usage = Usage(prompt_tokens=10, completion_tokens=len(pieces))
        return AssistantMessage(id=new_id("msg"), text="".join(pieces), usage=usage, model=self.info.id)

    async def asked_times(self, times: int) -> None:
        """Wait for this number of requests."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.requests) >= times)

    async def probe(self) -> None:
        """Always available."""

    async def close(self) -> None:
        """Nothing to close."""


def calling(*calls: tuple[str, str], text: str = "") -> AssistantMessage:
    """A reply that calls tools: (name, arguments as JSON text) each."""
    return AssistantMessage(
        id=new_id("msg"),
        text=text,
        tool_calls=tuple(ToolCall(id=new_id("call"), name=name, arguments=arguments) for name, arguments in calls),
        finish_reason="tool_calls",
        usage=Usage(prompt_tokens=10, completion_tokens=5),
        model="scripted",
    )
