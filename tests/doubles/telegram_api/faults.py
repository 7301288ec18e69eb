"""The ways in which the stand-in fails, on demand."""

from dataclasses import dataclass
from typing import Any, Literal

FaultKind = Literal["answer", "hang_before", "hang_after", "reset_before", "reset_after", "garbage"]


class Refusal(Exception):
    """An answer that is not ok: {"ok": false, "error_code": …, "description": …}."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def body(self) -> dict[str, Any]:
        extra = {"parameters": self.parameters} if self.parameters else {}
        return {"ok": False, "error_code": self.code, "description": self.description, **extra}


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to the next matching requests.

    "before": the request is not carried out; "after": it is, and the ledger has it, but no answer is sent. A hang ends when the client
    disconnects or the server stops.
    """

    kind: FaultKind = "answer"
    code: int = 500
    description: str = "Internal Server Error"
    retry_after: int | None = None
    migrate_to: int | None = None
    method: str = "send"
    """A method, or how its name begins; "" fits all."""
    chat_id: int | str | None = None
    """Requests for this chat only; None: any."""
    times: int | None = 1
    """How often; None: until all faults are removed (`TelegramServer.clear_faults`)."""
    met: int = 0
    """How often it matched a request."""

    @classmethod
    def flood(cls, retry_after: int, **where: Any) -> "Fault":
        """429 with a wait in seconds."""
        return cls(code=429, description=f"Too Many Requests: retry after {retry_after}", retry_after=retry_after, **where)

    @classmethod
    def blocked(cls, chat_id: int) -> "Fault":
        """The user has blocked the bot."""
        return cls(code=403, description="Forbidden: bot was blocked by the user", chat_id=chat_id, times=None)

    def fits(self, method: str, chat_id: str | None) -> bool:
        if self.times is not None and self.met >= self.times:
            return False
        return method.lower().startswith(self.method.lower()) and (self.chat_id is None or str(self.chat_id) == chat_id)

    def refusal(self) -> Refusal:
        parameters: dict[str, int] = {}
        if self.retry_after is not None:
            parameters["retry_after"] = self.retry_after
        if self.migrate_to is not None:
            parameters["migrate_to_chat_id"] = self.migrate_to
        return Refusal(self.code, self.description, **parameters)
