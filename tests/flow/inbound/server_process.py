"""A server, to be killed: `server_process.py <where it stands still> <folder>`. It prints a line when it is there.

Its model calls the tool `send` first, then answers; both are made again, the same, by a server that goes on.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import EmitText, ModelRequest
from assistant.contracts.outbox import Origin, OutboundEvent
from assistant.contracts.tools import ToolContext, ToolResult
from assistant.contracts.util import derived_id
from assistant.store.database import StoreSettings
from assistant.store.store import Store, open_store
from assistant.testing.scripted import ScriptedModel, calling
from tests.flow.inbound.chat import said
from tests.flow.inbound.rig import Rig

SENDS = calling(("send", '{"to": "9"}'), text="I send it.")
ANSWER = "It is sent."


class Recipient(BaseModel):
    to: str


class Send:
    """Enqueues a message, once for each place in a turn, as the `message` tool does."""

    name: ClassVar[str] = "send"
    description: ClassVar[str] = "Send."
    params: ClassVar[type[BaseModel]] = Recipient
    reads_only: ClassVar[bool] = False
    timeout: ClassVar[float] = 60

    def __init__(self, store: Store, *, stand_still: bool = False) -> None:
        self._store = store
        self._stand_still = stand_still

    async def run(self, params: Recipient, ctx: ToolContext) -> ToolResult:
        event = OutboundEvent(
            id=derived_id("evt", ctx.turn_id, ctx.call_place),
            address=Address(channel="chat", chat_id=params.to),
            text="the tool's message",
            expires_at=datetime.now(UTC) + timedelta(days=1),
            origin=Origin(kind="tool", owner=ctx.owner),
        )
        await self._store.outbox.enqueue([event])
        if self._stand_still:
            await stand("tool")
        return ToolResult(text="queued")


class Standing(ScriptedModel):
    """Stands still at one of its calls."""

    def __init__(self, at: int) -> None:
        super().__init__(SENDS, ANSWER)
        self._at = at

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        if len(self.requests) == self._at:
            await stand("model")
        return await super().complete(request, emit)


async def stand(where: str) -> None:
    print(where, flush=True)
    await asyncio.Event().wait()


def question() -> InboundMessage:
    return said("send it", id="question")


async def run(where: str, folder: Path) -> None:
    store = await open_store(StoreSettings(), folder / "state")
    model = Standing({"first": 0, "second": 1}.get(where, 9))
    tool = Send(store, stand_still=where == "tool")
    rig = Rig(store=store, folder=folder)
    async with rig.server(model, tools=[tool], at_work=0 if where == "accepted" else 64) as server:
        await server.hear(question())
        if where == "accepted":
            await stand(where)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2])))
