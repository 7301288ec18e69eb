"""The loop: ask the model, run the tools that it asks for, repeat until it answers in words."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from assistant.agent.toolbox import Toolbox
from assistant.contracts.messages import AssistantMessage, Message, ToolCall, ToolMessage, Usage, UserMessage
from assistant.contracts.models import EmitText, ModelProvider, ModelRequest, NamedTool
from assistant.contracts.tools import ToolContext
from assistant.contracts.turns import Emit, ReasoningDelta, TextDelta

BETWEEN_STEPS = "\n\n"
"""Separates the words of two steps, in the stream and in the whole answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopResult:
    """The end of the loop. `last` is the closing message, not yet appended; `text` and `reasoning` join the words and thoughts of all steps."""

    last: AssistantMessage
    results: tuple[ToolMessage, ...] = ()
    """Of the closing message's calls of our own tools, to be appended behind it."""
    asks: tuple[ToolCall, ...] = ()
    """Its calls of the client's tools, which wait for results."""
    text: str
    reasoning: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """What a run needs besides its request, which fits the model's context.

    `append` makes a finished step durable before the next one starts; `fit` gives the transcript with it, within the context as it grows.
    """

    model: ModelProvider
    toolbox: Toolbox
    max_steps: int
    fit: Callable[[], Awaitable[tuple[Message, ...]]]
    append: Callable[[list[AssistantMessage | ToolMessage]], Awaitable[None]]
    emit: Emit

    async def run(self, request: ModelRequest, ctx: ToolContext, *, made: Sequence[AssistantMessage] = ()) -> LoopResult:
        """Run until the model answers in words or calls a tool of the client, or `max_steps` model calls with tools were made: then call it once
        more, without tools, and the answer's finish_reason is "length". Raises what the model raises, and what `append` raises.

        A step that calls tools of both ends when ours have run. A `tool_choice` that only the client's tools can satisfy holds for every step, any
        other for the first. `made`: steps of this turn from before a crash: the loop continues behind them, and counts them.
        """
        forced = request.tool_choice is not None and self._forced(request)
        said = [step.text for step in made if step.text]
        thought = [step.reasoning for step in made if step.reasoning]
        usage = sum((step.usage for step in made), Usage())
        for step in range(min(len(made), self.max_steps), self.max_steps + 1):
            last = step == self.max_steps
            if step:
                choice = request.tool_choice if forced else None
                request = replace(
                    request, messages=await self.fit(), may_call=request.may_call and (forced or not last), tool_choice=choice
                )
            if last and forced:
                request = replace(request, tools=self.toolbox.client_specs)
            answer = await self.model.complete(request, self._speaker(request.stream, after_words=bool(said), after_thoughts=bool(thought)))
            usage += answer.usage
            if answer.text:
                said.append(answer.text)
            if answer.reasoning:
                thought.append(answer.reasoning)
            asks = self.toolbox.of_client(answer.tool_calls) if answer.tool_calls and request.may_call else ()
            if last and asks:
                answer = replace(answer, tool_calls=asks)
            elif last and answer.finish_reason in ("stop", "tool_calls"):
                answer = replace(answer, finish_reason="length", tool_calls=())
            words, thoughts = BETWEEN_STEPS.join(said), BETWEEN_STEPS.join(thought)
            if not asks and (last or not answer.tool_calls):
                return LoopResult(last=answer, text=words, reasoning=thoughts, usage=usage)
            ours = [call for call in answer.tool_calls if call not in asks]
            results = await self.toolbox.run(ours, ctx, self.emit, step=step)
            if asks:
                answer = replace(answer, finish_reason="tool_calls")
                return LoopResult(last=answer, results=tuple(results), asks=asks, text=words, reasoning=thoughts, usage=usage)
            await self.append([answer, *results])
        raise AssertionError("the last step returns")

    def _forced(self, request: ModelRequest) -> bool:
        """Whether the model must call a tool of the client before it may answer."""
        names = {spec.name for spec in self.toolbox.client_specs}
        choice = request.tool_choice
        return choice.name in names if isinstance(choice, NamedTool) else choice == "required" and bool(names)

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
