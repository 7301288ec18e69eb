"""What answers of every wire are put together from: calls that arrive in fragments, and JSON whose shape nobody promised."""

from dataclasses import dataclass, field
from typing import Any, cast

from assistant.contracts.ids import new_id
from assistant.contracts.messages import ToolCall


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
    """A number of tokens; 0 where it is missing or no number."""
    found: object = value.get(name)
    return int(found) if isinstance(found, int | float) else 0


def listed(value: object) -> list[object]:
    """The value if it is a JSON array, else an empty one."""
    return cast(list[object], value) if isinstance(value, list) else []
