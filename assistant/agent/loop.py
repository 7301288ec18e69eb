"""The loop: ask the model, run the tools that it asks for, repeat until it answers in words."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from assistant.agent.toolbox import Toolbox
from assistant.contracts.messages import AssistantMessage, Message, ToolMessage, Usage, UserMessage
from assistant.contracts.models import EmitText, ModelProvider, ModelRequest
from assistant.contracts.tools import ToolContext
from assistant.contracts.turns import Emit, ReasoningDelta, TextDelta

BETWEEN_STEPS = "\n\n"
"""Separates the words of two steps, in the stream and in the whole answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopResult:
    """The end of the loop. `last` is the closing message, not yet appended; `text` and `reasoning` join the words and thoughts of all steps."""

    last: AssistantMessage
    text: str
    reasoning: str
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

    async def run(self, request: ModelRequest, ctx: ToolContext) -> LoopResult:
        """Run until the model answers in words, or `max_steps` model calls with tools were made: then call it once more, without
        tools, and the answer's finish_reason is "length". Raises what the model raises, and what `append` raises.

        Messages behind the last user message are steps of this turn from before a crash: the loop continues behind them, and counts them.
        """
        transcript = list(request.messages)
        request = replace(request, conversation=f"{ctx.owner} {ctx.session}")
        made = steps_made(transcript)
        said = [step.text for step in made if step.text]
        thought = [step.reasoning for step in made if step.reasoning]
        usage = sum((step.usage for step in made), Usage())
        for step in range(min(len(made), self.max_steps), self.max_steps + 1):
            last = step == self.max_steps
            if step:
                request = replace(request, messages=self.fit(transcript), may_call=not last)
            answer = await self.model.complete(request, self._speaker(request.stream, after_words=bool(said), after_thoughts=bool(thought)))
            usage += answer.usage
            if answer.text:
                said.append(answer.text)
            if answer.reasoning:
                thought.append(answer.reasoning)
            if last and answer.finish_reason in ("stop", "tool_calls"):
                answer = replace(answer, finish_reason="length", tool_calls=())
            if last or not answer.tool_calls:
                return LoopResult(last=answer, text=BETWEEN_STEPS.join(said), reasoning=BETWEEN_STEPS.join(thought), usage=usage)
            results = await self.toolbox.run(answer.tool_calls, ctx, self.emit, step=step)
            await self.append([answer, *results])
            transcript += [answer, *results]
        raise AssertionError("the last step returns")

    def _speaker(self, stream: bool, *, after_words: bool, after_thoughts: bool) -> EmitText:
        """Emits the model's words and thoughts, and the separator before the first ones of a later step."""
        leads = {False: BETWEEN_STEPS if after_words else "", True: BETWEEN_STEPS if after_thoughts else ""}

        def speak(text: str, /, *, reasoning: bool = False) -> None:
            if stream and text:
                kind = ReasoningDelta if reasoning else TextDelta
                self.emit(kind(text=leads[reasoning] + text))
                leads[reasoning] = ""

        return speak


def steps_made(transcript: Sequence[Message]) -> list[AssistantMessage]:
    """What the model said since the last user message, the earliest first."""
    made: list[AssistantMessage] = []
    for message in reversed(transcript):
        if isinstance(message, UserMessage):
            break
        if isinstance(message, AssistantMessage):
            made.append(message)
    return made[::-1]
