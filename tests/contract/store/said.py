"""Short forms for what tests say."""

from itertools import count

from assistant.contracts.messages import AssistantMessage, CutOff, FinishReason, Part, Text, ToolCall, ToolMessage, Usage, UserMessage
from assistant.contracts.sessions import NewTurn

_numbers = count(1)


def user(*parts: str | Part) -> UserMessage:
    return UserMessage(id=f"msg_u{next(_numbers)}", parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def answer(
    text: str,
    *,
    calls: tuple[ToolCall, ...] = (),
    tokens: tuple[int, int, int] = (0, 0, 0),
    cut_off: CutOff | None = None,
    finish: FinishReason = "stop",
) -> AssistantMessage:
    prompt, completion, cached = tokens
    usage = Usage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached)
    return AssistantMessage(
        id=f"msg_a{next(_numbers)}", text=text, tool_calls=calls, usage=usage, model="m", cut_off=cut_off, finish_reason=finish
    )


def result(call_id: str, text: str, *, ok: bool = True) -> ToolMessage:
    return ToolMessage(id=f"msg_t{next(_numbers)}", call_id=call_id, name="look", text=text, ok=ok)


def turn(turn_id: str, *parts: str | Part, session: str = "api:one", owner: str = "anna") -> NewTurn:
    return NewTurn(id=turn_id, owner=owner, session=session, message=user(*parts))
