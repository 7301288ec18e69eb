"""A conversation of items, as turns take it: messages, with calls of functions and their outputs in their places."""

from dataclasses import replace

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
        self.said: list[Earlier] = []
        self.instructions: list[str] = []
        self._waiting: dict[str, str] = {}

    def message(self, message: InputMessage, content: tuple[Words | Upload, ...], at: str) -> None:
        """`content`: a user's, with its files."""
        match message.role:
            case "user":
                self.check_answered(at)
                check_said(content, f"{at}.content")
                self.said.append(Asked(content=content))
            case "assistant":
                self._answer(words_of(message, f"{at}.content"))
            case _:
                text = words_of(message, f"{at}.content")
                self.instructions += [text] if text.strip() else []

    def call(self, call: FunctionCall, at: str) -> None:
        if call.call_id in self._waiting:
            raise InvalidRequest("Two calls have the same id.", param=f"{at}.call_id")
        made = ToolCall(id=call.call_id, name=call.name, arguments=call.arguments)
        last = self._open()
        self._put(replace(last, tool_calls=(*last.tool_calls, made), finish_reason="tool_calls"))
        self._waiting[call.call_id] = call.name

    def output(self, output: FunctionOutput, at: str) -> None:
        if not self.waits_for(output):
            raise InvalidRequest("This answers no call that was made before and has no output yet.", param=f"{at}.call_id")
        text = words_of(output, f"{at}.output")
        self.said.append(ToolMessage(id=new_id("msg"), call_id=output.call_id, name=self._waiting.pop(output.call_id), text=text))

    def waits_for(self, output: FunctionOutput) -> bool:
        return output.call_id in self._waiting

    def check_answered(self, at: str) -> None:
        """Raises InvalidRequest where a call has no output yet."""
        if self._waiting:
            raise InvalidRequest(f"The function call '{next(iter(self._waiting))[:64]}' has no function_call_output.", param=at)

    def _answer(self, text: str) -> None:
        last = self._open()
        self._put(replace(last, text="\n".join(filter(None, [last.text, text]))))

    def _open(self) -> AssistantMessage:
        """The assistant's message that goes on; a new one where the last word is not the assistant's."""
        last = self.said[-1] if self.said else None
        return last if isinstance(last, AssistantMessage) else AssistantMessage(id=new_id("msg"))

    def _put(self, message: AssistantMessage) -> None:
        if self.said and isinstance(self.said[-1], AssistantMessage):
            self.said[-1] = message
        else:
            self.said.append(message)


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
