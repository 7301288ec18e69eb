"""A conversation of items, as turns take it: messages, with calls of functions and their outputs in their places."""

from assistant.api.chat.conversation import check_said
from assistant.api.responses.wire import FunctionCall, FunctionOutput, InputMessage, InputText, OutputText, Refusal
from assistant.contracts.errors import InvalidRequest, UnsupportedContent
from assistant.contracts.ids import new_id
from assistant.contracts.messages import AssistantMessage, ToolCall, ToolMessage
from assistant.contracts.turns import Asked, Earlier, Upload, Words

_TEXTS = (InputText, OutputText)


class Talk:
    """What was said, item by item. Calls that follow each other, or words of the assistant's, are one message: so models are told them.

    `at`: the path of an item, for errors; each method raises InvalidRequest for an item that can't stand where it does.
    """

    def __init__(self) -> None:
        self.instructions: list[str] = []
        self._said: list[Earlier] = []
        self._texts: list[str] = []
        self._calls: list[ToolCall] = []
        self._answers = False
        """Whether the last word is the assistant's: then it is still open, in the two above. Put together once, however many items it is."""
        self._waiting: dict[str, str] = {}

    @property
    def said(self) -> tuple[Earlier, ...]:
        self._close()
        return tuple(self._said)

    def message(self, message: InputMessage, content: tuple[Words | Upload, ...], at: str) -> None:
        """`content`: a user's, with its files."""
        match message.role:
            case "user":
                self.check_answered(at)
                check_said(content, f"{at}.content")
                self._say(Asked(content=content))
            case "assistant":
                self._answers = True
                self._texts.append(words_of(message, f"{at}.content"))
            case _:
                text = words_of(message, f"{at}.content")
                self.instructions += [text] if text.strip() else []

    def call(self, call: FunctionCall, at: str) -> None:
        if call.call_id in self._waiting:
            raise InvalidRequest("Two calls have the same id.", param=f"{at}.call_id")
        self._answers = True
        self._calls.append(ToolCall(id=call.call_id, name=call.name, arguments=call.arguments))
        self._waiting[call.call_id] = call.name

    def output(self, output: FunctionOutput, at: str) -> None:
        if not self.waits_for(output):
            raise InvalidRequest("This answers no call that was made before and has no output yet.", param=f"{at}.call_id")
        text = words_of(output, f"{at}.output")
        self._say(ToolMessage(id=new_id("msg"), call_id=output.call_id, name=self._waiting.pop(output.call_id), text=text))

    def waits_for(self, output: FunctionOutput) -> bool:
        return output.call_id in self._waiting

    def check_answered(self, at: str) -> None:
        """Raises InvalidRequest where a call has no output yet."""
        if self._waiting:
            raise InvalidRequest(f"The function call '{next(iter(self._waiting))[:64]}' has no function_call_output.", param=at)

    def _say(self, said: Earlier) -> None:
        self._close()
        self._said.append(said)

    def _close(self) -> None:
        if not self._answers:
            return
        text, calls = "\n".join(filter(None, self._texts)), tuple(self._calls)
        self._said.append(AssistantMessage(id=new_id("msg"), text=text, tool_calls=calls, finish_reason="tool_calls" if calls else "stop"))
        self._answers = False
        self._texts.clear()
        self._calls.clear()


def words_of(item: InputMessage | FunctionOutput, param: str) -> str:
    """The text of an item that holds nothing else. Raises UnsupportedContent for one with files."""
    content = item.content if isinstance(item, InputMessage) else item.output
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for index, part in enumerate(content):
        if isinstance(part, _TEXTS):
            texts.append(part.text)
        elif isinstance(part, Refusal):
            texts.append(part.refusal)
        else:
            raise UnsupportedContent("Only a user's message may hold images or files.", param=f"{param}.{index}.type")
    return "\n".join(texts)
