"""A server that kills itself at a boundary: `server_process.py <boundary> <tool> <folder>`. Alice asks, and says yes.

The traps wrap the real calls in this process only; the product has no code for them.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

from assistant.contracts.inbox import InboundMessage
from assistant.contracts.messages import AssistantMessage, UserMessage
from assistant.contracts.models import EmitText, ModelRequest
from assistant.store.approvals import ApprovalStore
from assistant.store.continuations import ContinuationStore
from assistant.store.database import StoreSettings
from assistant.store.sessions import Sessions
from assistant.store.store import open_store
from assistant.testing.scripted import ScriptedModel, calling
from tests.flow.approvals.bells import AskingGate, Press, Ring
from tests.flow.inbound.chat import said
from tests.flow.inbound.rig import Rig, Server, words

WAITS, DONE = "I have asked you.", "The bell rang."
TOOLS: Final[dict[str, type[Press]]] = {"press": Press, "ring": Ring}
BOUNDARIES: Final[dict[str, tuple[type, str]]] = {
    "ask": (ApprovalStore, "add"),
    "press": (ApprovalStore, "answer"),
    "take": (ContinuationStore, "take"),
    "begin": (Sessions, "begin_turn"),
    "start": (ApprovalStore, "start"),
    "run": (Press, "run"),
    "step": (Sessions, "append_step"),
    "end": (Sessions, "end_turn"),
}
OF_THE_SECOND_TURN: Final = frozenset({"begin", "step", "end"})
"""They are crossed by the turn that asks, too."""


class Ringer(ScriptedModel):
    """Calls the tool when it is asked to ring, says what waits, and that it was done."""

    def __init__(self, tool: str) -> None:
        super().__init__()
        self._tool = tool

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        last = request.messages[-1]
        (text,) = words([last])
        asks = isinstance(last, UserMessage) and text == "ring the bell"
        self._replies = (calling((self._tool, '{"what": "bell"}')) if asks else WAITS if text.startswith("Not run yet") else DONE,)
        return await super().complete(request, emit)


def lay(boundary: str) -> None:
    name, _, side = boundary.partition(".")
    owner, method = BOUNDARIES[name]
    original: Callable[..., Awaitable[Any]] = getattr(owner, method)
    left = 1 if name in OF_THE_SECOND_TURN else 0

    @wraps(original)
    async def wrapped(*args: Any, **given: Any) -> Any:
        nonlocal left
        here, left = left == 0, max(0, left - 1)
        if here and side == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = await original(*args, **given)
        if here and (side == "after" and (name != "take" or result is not None)):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, method, wrapped)


def question() -> InboundMessage:
    return said("ring the bell", id="question")


async def says_yes(server: Server) -> None:
    """The question, then the press: by ids that the platform repeats."""
    await server.hear(question())
    await server.until(lambda events: any(event.text == WAITS for event in events))
    (approval,) = await server.book.list(None)
    await server.hear(said(f"/approve {approval.code}", id="press"))


async def run(boundary: str, tool: str, folder: Path) -> None:
    lay(boundary)
    store = await open_store(StoreSettings(), folder / "state")
    rig = Rig(store=store, folder=folder)
    async with rig.server(Ringer(tool), tools=[TOOLS[tool](folder / "log")], gate=AskingGate()) as server:
        await says_yes(server)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
