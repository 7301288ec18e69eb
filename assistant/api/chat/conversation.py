"""The messages of a request: one that the server's own history goes before, or a whole conversation."""

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.api.body.spool import Spool
from assistant.api.chat.content import take_in, words_only
from assistant.api.chat.wire import ChatMessage
from assistant.api.settings import ApiLimits
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.ids import new_id
from assistant.contracts.messages import AssistantMessage, ToolCall, ToolMessage
from assistant.contracts.turns import Asked, Earlier, Upload, Words

_INSTRUCTS = ("system", "developer")
_ONE_MESSAGE = (
    "Send exactly one user message per request: the server keeps the conversation itself. "
    "To go on with one, send the same 'session_id' again. To send a history instead, ask an agent by its name: model 'agent:main'."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Messages as a turn takes them; files lie in the spool."""

    instructions: tuple[str, ...]
    said: tuple[Earlier, ...]
    """All that is no instruction, in order."""

    def check_asked(self) -> None:
        """Raises InvalidRequest where the last word is not the user's."""
        if not self.said or not isinstance(self.said[-1], Asked):
            raise InvalidRequest("The last message must be the user's.", param="messages")


async def one_message(messages: Sequence[ChatMessage], spool: Spool, limits: ApiLimits) -> Conversation:
    """Instructions, then one message of the user's. Raises InvalidRequest for anything else."""
    *before, last = messages
    for index, message in enumerate(before):
        if message.role not in _INSTRUCTS:
            raise InvalidRequest(_ONE_MESSAGE, param=f"messages.{index}.role")
    if last.role in _INSTRUCTS:
        raise InvalidRequest(f"The last message must be the user's. {_ONE_MESSAGE}", param="messages")
    if last.role != "user":
        raise InvalidRequest(_ONE_MESSAGE, param=f"messages.{len(messages) - 1}.role")
    return await conversation(messages, spool, limits)


async def conversation(messages: Sequence[ChatMessage], spool: Spool, limits: ApiLimits) -> Conversation:
    """Messages of any roles in any order, as long as each call of a tool is answered right after it. Instructions hold for all, wherever
    they stand. Raises InvalidRequest and its kin, each with the path of what is wrong."""
    instructions: list[str] = []
    said: list[Earlier] = []
    waiting: dict[str, str] = {}
    for index, message in enumerate(messages):
        at = f"messages.{index}"
        if waiting and message.role != "tool":
            raise InvalidRequest(f"The call '{next(iter(waiting))[:64]}' of the message before has no answer by a tool message.", param=at)
        if message.role in _INSTRUCTS:
            instructions += [text for text in (words_only(message.content, f"{at}.content"),) if text.strip()]
        elif message.role == "user":
            said.append(Asked(content=await _content(message, f"{at}.content", spool, limits)))
        elif message.role == "assistant":
            said.append(_answer(message, at))
            waiting = {call.id: call.function.name for call in message.tool_calls or ()}
        else:
            said.append(_result(message, at, waiting))
    if waiting:
        raise InvalidRequest(f"The call '{next(iter(waiting))[:64]}' has no answer by a tool message.", param="messages")
    return Conversation(instructions=tuple(instructions), said=tuple(said))


async def _content(message: ChatMessage, at: str, spool: Spool, limits: ApiLimits) -> tuple[Words | Upload, ...]:
    content = await take_in(message.content, at, spool, limits)
    check_said(content, at)
    return content


def check_said(content: Sequence[Words | Upload], param: str) -> None:
    """Raises InvalidRequest for a message of a user's that says nothing."""
    if not any(isinstance(part, Upload) or part.text.strip() for part in content):
        raise InvalidRequest("The message is empty: it needs text or a file.", param=param)


def _answer(message: ChatMessage, at: str) -> AssistantMessage:
    calls = [ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments) for call in message.tool_calls or ()]
    if len({call.id for call in calls}) < len(calls):
        raise InvalidRequest("Two calls of this message have the same id.", param=f"{at}.tool_calls")
    return AssistantMessage(
        id=new_id("msg"),
        text=words_only(message.content, f"{at}.content"),
        tool_calls=tuple(calls),
        finish_reason="tool_calls" if calls else "stop",
    )


def _result(message: ChatMessage, at: str, waiting: dict[str, str]) -> ToolMessage:
    if message.role == "function":
        raise InvalidRequest("Functions are not supported: send tool calls and messages of the role 'tool'.", param=f"{at}.role")
    if message.tool_call_id not in waiting:
        raise InvalidRequest("This answers no call of the message before.", param=f"{at}.tool_call_id")
    name = waiting.pop(message.tool_call_id)
    return ToolMessage(id=new_id("msg"), call_id=message.tool_call_id, name=name, text=words_only(message.content, f"{at}.content"))
