"""The loop: ask the model, run the tools that it asks for, repeat until it answers in words."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import takewhile

from assistant.agent.toolbox import Toolbox
from assistant.contracts.messages import AssistantMessage, Image, Images, Message, Text, ToolCall, ToolMessage, Usage, UserMessage
from assistant.contracts.models import EmitText, ModelProvider, ModelRequest, NamedTool
from assistant.contracts.records import record
from assistant.contracts.tools import ToolContext
from assistant.contracts.turns import Emit, ReasoningDelta, TextDelta
from assistant.contracts.util import new_id

BETWEEN_STEPS = "\n\n"
"""Separates the words of two steps, in the stream and in the whole answer."""


@record
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


@record
class Doubt:
    """An answer says that something was done, and it was not."""

    note: str
    """For the model, with the request to do it or to correct itself."""
    mark: str
    """The sentence that follows the answer where the model does neither."""


@record
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
    pictures: Callable[[Sequence[Image]], Awaitable[Images]]
    """The bytes of pictures that results bring."""
    doubt: Callable[[str], Doubt | None] | None = None
    """Compares an answer with what the turn did; None: answers are not checked."""

    async def run(self, request: ModelRequest, ctx: ToolContext, *, made: Sequence[AssistantMessage] = ()) -> LoopResult:
        """Run until the model answers in words or calls a tool of the client, or `max_steps` model calls with tools were made: then call it once
        more, without tools, and the answer's finish_reason is "length". Raises what the model raises, and what `append` raises.

        A step that calls tools of both ends when ours have run. A `tool_choice` that only the client's tools can satisfy holds for every step, any
        other for the first. `made`: steps of this turn from before a crash: the loop continues behind them, and counts them.

        A doubtful answer costs one step more; it stays in the session, and in the text only where it was streamed. The second one gets the mark.
        """
        forced = request.tool_choice is not None and self._forced(request)
        said = words_of(made, withdrawn=request.stream)
        doubted = any(not step.tool_calls for step in made)
        checked, note = len(said) if doubted else 0, list[Message]()
        thought = [step.reasoning for step in made if step.reasoning]
        used = [step.usage for step in made]
        for step in range(min(len(made), self.max_steps), self.max_steps + 1):
            last = step == self.max_steps
            if step:
                may_call = request.may_call and (forced or not last)
                messages, choice = (*await self.fit(), *note), request.tool_choice if forced else None
                request = replace(request, messages=messages, may_call=may_call, tool_choice=choice)
                note.clear()
            if last and forced:
                request = replace(request, tools=self.toolbox.client_specs)
            answer = await self.model.complete(request, self._speaker(request.stream, after_words=bool(said), after_thoughts=bool(thought)))
            used.append(answer.usage)
            if answer.text:
                said.append(answer.text)
            if answer.reasoning:
                thought.append(answer.reasoning)
            asks = self.toolbox.of_client(answer.tool_calls) if answer.tool_calls and request.may_call else ()
            if last and asks:
                answer = replace(answer, tool_calls=asks)
            elif last and answer.finish_reason in ("stop", "tool_calls"):
                answer = replace(answer, finish_reason="length", tool_calls=())
            ends = not asks and (last or not answer.tool_calls)
            doubt = self.doubt(BETWEEN_STEPS.join(said[checked:])) if ends and self.doubt else None
            if doubt and (doubted or last or answer.finish_reason != "stop"):
                answer = self._marked(answer, doubt.mark, said, stream=request.stream)
            elif doubt:
                await self.append([answer])
                note.append(UserMessage(id=new_id("msg"), parts=(Text(text=doubt.note),)))
                if answer.text and not request.stream:
                    said.pop()
                doubted, checked = True, len(said)
                continue
            words, thoughts = BETWEEN_STEPS.join(said), BETWEEN_STEPS.join(thought)
            if ends:
                return LoopResult(last=answer, text=words, reasoning=thoughts, usage=Usage.total(used))
            before = self.toolbox.specs
            results = await self.toolbox.run([call for call in answer.tool_calls if call not in asks], ctx, self.emit, step=step)
            if self.toolbox.specs is not before:
                request = replace(request, tools=self.toolbox.specs)
            if asks:
                answer = replace(answer, finish_reason="tool_calls")
                return LoopResult(last=answer, results=tuple(results), asks=asks, text=words, reasoning=thoughts, usage=Usage.total(used))
            await self.append([answer, *results])
            if brought := [image for result in results for image in result.images]:
                request = replace(request, images={**request.images, **await self.pictures(brought)})
        raise AssertionError("the last step returns")

    def _marked(self, answer: AssistantMessage, mark: str, said: list[str], *, stream: bool) -> AssistantMessage:
        """The answer with the mark behind it, which is spoken and added to what was `said`."""
        self._speaker(stream, after_words=bool(said), after_thoughts=False)(mark)
        said.append(mark)
        return replace(answer, text=f"{answer.text}{BETWEEN_STEPS}{mark}")

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


def words_of(steps: Sequence[AssistantMessage], *, withdrawn: bool) -> list[str]:
    """What the steps before the last one of a turn say; `withdrawn`: also a doubtful answer, a step that calls nothing."""
    return [step.text for step in steps if step.text and (withdrawn or step.tool_calls)]


def results_made(transcript: Sequence[Message]) -> list[ToolMessage]:
    """The results of tools since the last user message."""
    since = takewhile(lambda message: not isinstance(message, UserMessage), reversed(transcript))
    return [message for message in since if isinstance(message, ToolMessage)][::-1]


def steps_made(transcript: Sequence[Message]) -> list[AssistantMessage]:
    """What the model said since the last user message, the earliest first."""
    made: list[AssistantMessage] = []
    for message in reversed(transcript):
        if isinstance(message, UserMessage):
            break
        if isinstance(message, AssistantMessage):
            made.append(message)
    return made[::-1]
