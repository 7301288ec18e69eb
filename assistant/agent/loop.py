"""The loop: ask the model, run the tools that it asks for, repeat until it answers in words."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from assistant.agent.toolbox import Toolbox
from assistant.contracts.messages import AssistantMessage, Message, ToolMessage, Usage
from assistant.contracts.models import ModelProvider, ModelRequest
from assistant.contracts.tools import ToolContext
from assistant.contracts.turns import Emit, TextDelta

BETWEEN_STEPS = "\n\n"
"""Stands between the words of two steps, in the stream as in the whole answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How the loop ended. `last` is the closing message, not yet appended; `text` is what was said over all steps."""

    last: AssistantMessage
    text: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """What a run needs besides its request, which fits the model's context.

    `append` makes a finished step durable before the next one starts; `fit` keeps the transcript within the context as it grows.
    """

    model: ModelProvider
    toolbox: Toolbox
    max_steps: int
    fit: Callable[[Sequence[Message]], tuple[Message, ...]]
    append: Callable[[list[AssistantMessage | ToolMessage]], Awaitable[None]]
    emit: Emit

    async def run(self, request: ModelRequest, ctx: ToolContext) -> Answer:
        """Run until the model answers in words, or `max_steps` model calls with tools were made: then it is asked once more, without
        tools, and the answer's finish_reason is "length". Raises what the model raises, and what `append` raises."""
        transcript = list(request.messages)
        said: list[str] = []
        usage = Usage()
        for step in range(self.max_steps + 1):
            last = step == self.max_steps
            if step:
                request = replace(request, messages=self.fit(transcript), may_call=not last)
            answer = await self.model.complete(request, self._speaker(request.stream, after_words=bool(said)))
            usage += answer.usage
            if answer.text:
                said.append(answer.text)
            if last and answer.finish_reason in ("stop", "tool_calls"):
                answer = replace(answer, finish_reason="length", tool_calls=())
            if last or not answer.tool_calls:
                return Answer(last=answer, text=BETWEEN_STEPS.join(said), usage=usage)
            results = await self.toolbox.run(answer.tool_calls, ctx, self.emit)
            await self.append([answer, *results])
            transcript += [answer, *results]
        raise AssertionError("the last step returns")

    def _speaker(self, stream: bool, *, after_words: bool) -> Callable[[str], None]:
        """Passes the model's words on; before the first ones of a later step it passes on what stands between steps."""
        if not stream:
            return lambda text: None
        lead = BETWEEN_STEPS if after_words else ""

        def speak(text: str) -> None:
            nonlocal lead
            if text:
                self.emit(TextDelta(text=lead + text))
                lead = ""

        return speak
