"""What answers of every wire are put together from, and by: calls that arrive in fragments, JSON whose shape nobody promised."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.ids import new_id
from assistant.contracts.messages import AssistantMessage, FinishReason, ToolCall, Usage
from assistant.contracts.models import ModelRequest
from assistant.providers.rendering import estimate_prompt_tokens, estimate_tokens

_MOST_TOKENS: Final = 2**31


@dataclass(slots=True)
class CallPieces:
    """A tool call as it arrives."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])

    def finished(self, taken: set[str]) -> ToolCall:
        """The call, with an id that is not `taken`."""
        call_id = self.id if self.id and self.id not in taken else new_id("call")
        taken.add(call_id)
        return ToolCall(id=call_id, name=self.name, arguments="".join(self.arguments).strip() or "{}")


def mapping(value: object) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one: what a provider sends is not trusted to have the right shape."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def count(value: dict[str, Any], name: str) -> int:
    """A number of tokens; 0 where it is missing, or none that can be meant."""
    found: object = value.get(name)
    return int(found) if isinstance(found, int | float) and 0 <= found < _MOST_TOKENS else 0


def listed(value: object) -> list[object]:
    """The value if it is a JSON array, else an empty one."""
    return cast(list[object], value) if isinstance(value, list) else []


def whole_answer(
    request: ModelRequest, *, provider: str, model: str, text: str, calls: Iterable[CallPieces], reason: FinishReason, usage: Usage | None
) -> AssistantMessage:
    """The answer to a request, from all that came of it. Raises ProviderFailed where that is nothing.

    `reason`: as the provider gave it; "stop" and "tool_calls" are made to agree with what is there. `usage` None: not counted, so estimated.
    """
    taken: set[str] = set()
    finished = tuple(call.finished(taken) for call in calls)
    if reason in {"stop", "tool_calls"}:
        reason = "tool_calls" if finished else "stop"
    if not text and not finished and reason == "stop":
        raise ProviderFailed(f"{provider} gave an empty answer.")
    if usage is None:
        said = text + "".join(call.arguments for call in finished)
        usage = Usage(prompt_tokens=estimate_prompt_tokens(request), completion_tokens=estimate_tokens(said))
    return AssistantMessage(id=new_id("msg"), text=text, tool_calls=finished, finish_reason=reason, usage=usage, model=model)


def unheard(words: str) -> None:
    """Where words go that nobody waits for."""
