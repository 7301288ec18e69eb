"""Items of a response's input, collected into messages: each call with its output behind it, wherever the client put that."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from assistant.api.chat.read import check_said
from assistant.api.responses import wire
from assistant.api.responses.thoughts import Envelope, opened
from assistant.contracts.errors import InvalidRequest, UnsupportedContent
from assistant.contracts.messages import AssistantMessage, ToolCall, ToolMessage, Verbatim
from assistant.contracts.turns import Earlier, HistoryMessage, Upload, UserText
from assistant.contracts.util import new_id

Taken = tuple[UserText | Upload | Verbatim, ...]
"""The parts of an item, its files read."""


@dataclass(slots=True)
class _Step:
    """An assistant's message while items are added, and the outputs of its calls."""

    texts: list[str] = field(default_factory=list[str])
    thoughts: list[str] = field(default_factory=list[str])
    envelopes: list[Envelope] = field(default_factory=list[Envelope])
    calls: dict[str, ToolCall] = field(default_factory=dict[str, ToolCall])
    outputs: dict[str, Taken] = field(default_factory=dict[str, Taken])

    def messages(self) -> list[Earlier]:
        """The step, the result of each of its calls, and what of these is no text as a message of the user's: a result holds text alone."""
        if not self.texts and not self.calls:
            return []
        calls = [self._with_extras(call) for call in self.calls.values()]
        said: list[Earlier] = [
            AssistantMessage(
                id=new_id("msg"),
                text="\n".join(filter(None, self.texts)),
                tool_calls=tuple(calls),
                finish_reason="tool_calls" if calls else "stop",
                reasoning="\n\n".join(filter(None, self.thoughts)),
                provider=next((each.provider for each in self.envelopes if each.provider), ""),
                extras={name: value for each in self.envelopes for name, value in each.extras.items()},
            )
        ]
        return said + results_of([(call.id, call.name, self.outputs[call.id]) for call in calls])

    def _with_extras(self, call: ToolCall) -> ToolCall:
        extras = next((each.calls[call.id] for each in self.envelopes if call.id in each.calls), None)
        return call if extras is None else ToolCall(id=call.id, name=call.name, arguments=call.arguments, extras=extras)


def results_of(outputs: Sequence[tuple[str, str, Taken]]) -> list[Earlier]:
    """The results of calls (id, name and output each), and what of them is no text as a message of the user's behind them."""
    said: list[Earlier] = []
    shown: list[UserText | Upload | Verbatim] = []
    for call_id, name, output in outputs:
        text = "\n".join([part.text for part in output if isinstance(part, UserText)])
        files = [part for part in output if not isinstance(part, UserText)]
        if files:
            shown += [UserText(text=f"Output of the call {call_id}{name and f' of {name}'}:"), *files]
            text = text or "The output is in the message that follows."
        said.append(ToolMessage(id=new_id("msg"), call_id=call_id, name=name, text=text, from_client=True))
    return [*said, HistoryMessage(content=tuple(shown))] if shown else said


class ItemCollector:
    """Collects items into messages. Consecutive calls and texts of the assistant are one message, as models expect them.

    `at`: the path of an item, for errors. Each method raises InvalidRequest for an item that is out of place. `continues`: outputs that come first
    may answer calls that a session has.
    """

    def __init__(self, *, continues: bool = False) -> None:
        self._continues = continues
        self._first: list[tuple[str, str, Taken]] = []
        """Outputs that came first, of calls that a session has."""
        self.instructions: list[str] = []
        self._said: list[HistoryMessage | _Step] = []
        self._of_call: dict[str, _Step] = {}
        self._waiting: dict[str, str] = {}
        """Calls without an output, and their paths."""

    @property
    def said(self) -> tuple[Earlier, ...]:
        said = [each for entry in self._said for each in (entry.messages() if isinstance(entry, _Step) else [entry])]
        return (*results_of(self._first), *said)

    def message(self, message: wire.InputMessage, content: Taken, at: str) -> None:
        """`content`: a user's, with its files."""
        match message.role:
            case "user":
                check_said(content, f"{at}.content")
                self._said.append(HistoryMessage(content=content))
            case "assistant":
                self._step().texts.append(words_of(message, f"{at}.content"))
            case _:
                text = words_of(message, f"{at}.content")
                self.instructions += [text] if text.strip() else []

    def thought(self, item: wire.ReasoningItem) -> None:
        step = self._step()
        step.thoughts.append(item.text)
        step.envelopes.append(opened(item.encrypted_content))

    def call(self, call: ToolCall, at: str) -> None:
        """A call that waits for its output may come again, unchanged: from the previous response, and from the client."""
        if call.id in self._waiting:
            if self._of_call[call.id].calls[call.id] == call:
                return
            raise InvalidRequest("Two calls have the same id.", param=f"{at}.call_id")
        step = self._step(but=call.id)
        step.calls[call.id] = call
        self._of_call[call.id] = step
        self._waiting[call.id] = at

    def output(self, call_id: str, output: Taken, at: str) -> None:
        step = self._of_call.get(call_id)
        if step is None and self._continues and not self._said:
            self._first.append((call_id, "", output))
            return
        if step is None:
            raise InvalidRequest("This answers no call that was made before.", param=f"{at}.call_id")
        if self._waiting.pop(call_id, None) is None and _alike(step.outputs[call_id]) != _alike(output):
            raise InvalidRequest("This call has another output already.", param=f"{at}.call_id")
        step.outputs[call_id] = output

    def knows(self, call_id: str) -> bool:
        return call_id in self._of_call

    def check_answered(self) -> None:
        """Raises InvalidRequest where a call has no output."""
        for call_id, at in self._waiting.items():
            where = at if at.startswith("input") else "input"
            raise InvalidRequest(f"The function call '{call_id[:64]}' has no function_call_output.", param=where)

    def _step(self, *, but: str | None = None) -> _Step:
        """The step that is being added to: the last one, until an output came or a user spoke. `but`: without this call."""
        last = self._said[-1] if self._said else None
        if not isinstance(last, _Step) or last.outputs or but in last.calls:
            self._said.append(last := _Step())
        return last


def _alike(output: Taken) -> list[str]:
    return [part.digest if isinstance(part, Upload) else part.text if isinstance(part, UserText) else repr(part) for part in output]


def words_of(item: wire.InputMessage, param: str) -> str:
    """The text of an item that holds nothing else. Raises UnsupportedContent for one with files."""
    if isinstance(item.content, str):
        return item.content
    texts: list[str] = []
    for index, part in enumerate(item.content):
        if isinstance(part, wire.InputImage | wire.InputFile):
            raise UnsupportedContent("Only a user's message and an output may hold images or files.", param=f"{param}.{index}.type")
        texts.append(part.refusal if isinstance(part, wire.RefusalPart) else part.text)
    return "\n".join(texts)
