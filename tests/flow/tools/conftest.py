"""The message tool on a real outbox, called as the toolbox calls it."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from assistant.access.recipients import Policy, Recipients
from assistant.access.session_gate import SessionGate
from assistant.access.settings import Permission
from assistant.agent.toolbox import Toolbox
from assistant.app.agent import open_http
from assistant.contracts.addresses import Address
from assistant.contracts.messages import Document, Part, Text, ToolCall, ToolMessage, UserMessage
from assistant.contracts.outbox import Delivery
from assistant.contracts.sessions import NewTurn
from assistant.contracts.tools import ToolContext, ToolServices
from assistant.contracts.turns import MAIN
from assistant.contracts.util import new_id
from assistant.delivery.service import describe
from tests.flow.outgoing import Outbox, open_outbox
from tools.message import MessageTool
from tools.schedule import ScheduleTool

API = ToolContext(owner="local", session="api:s", turn_id="turn_1", call_id="call_1", call_place="1")


@dataclass(kw_only=True)
class Desk:
    """What a model has before it: the tool, and a session in which things were said."""

    outbox: Outbox
    workspace: Path
    policy: Policy = "any"
    instructions: str = ""
    receipt_wait: float = 0.05
    permissions: tuple[Permission, ...] = ()

    async def call(self, ctx: ToolContext = API, **arguments: object) -> ToolMessage:
        """The `message` tool's words to the model. `ctx.call_place`: the step in which it is called."""
        return await self.use("message", ctx, **arguments)

    async def plan(self, ctx: ToolContext = API, **arguments: object) -> ToolMessage:
        """The `schedule` tool's."""
        return await self.use("schedule", ctx, **arguments)

    async def use(self, tool: str, ctx: ToolContext, **arguments: object) -> ToolMessage:
        recipients = Recipients(
            self.policy,
            channels=self.outbox.channels,
            instructions=self.instructions,
            inbox=self.outbox.store.inbox,
            pairings=self.outbox.store.pairings,
            sessions=self.outbox.store.sessions,
            people=self.outbox.store.people,
        )
        services = ToolServices(
            attachments=self.outbox.store.attachments,
            deliveries=self.outbox.service,
            channels=self.outbox.channels,
            recipients=recipients,
            agent=MAIN,
            schedules=self.outbox.later.book,
            times=self.outbox.later.words,
            media=self.outbox.store.media,
            workspace=self.workspace,
            describe=describe,
            expire_after=timedelta(hours=24),
            receipt_wait=self.receipt_wait,
            http=open_http,
        )
        gate = SessionGate(
            self.permissions,
            recipients=recipients,
            channels=self.outbox.channels,
            sessions=self.outbox.store.sessions,
            people=self.outbox.store.people,
        )
        toolbox = Toolbox([MessageTool(services), ScheduleTool(services)], self.outbox.store.attachments, gate=gate)
        call = ToolCall(id=ctx.call_id, name=tool, arguments=orjson.dumps(arguments).decode())
        (message,) = await toolbox.run([call], ctx, lambda _: None, step=int(ctx.call_place))
        return message

    async def kept(self) -> list[Delivery]:
        return list(await self.outbox.store.outbox.list(None))

    async def until_kept(self) -> None:
        """Wait until a message was accepted."""
        async with asyncio.timeout(30):
            while not await self.kept():  # noqa: ASYNC110 - each look is a read of the store
                await asyncio.sleep(0.002)

    async def said(self, *parts: str | Text | Document, session: str = "api:s") -> None:
        """A turn in which the user said this."""
        content: tuple[Part, ...] = tuple(Text(text=part) if isinstance(part, str) else part for part in parts)
        turn = NewTurn(id=new_id("turn"), owner="local", session=session, message=UserMessage(id=new_id("msg"), parts=content))
        await self.outbox.store.sessions.begin_turn(turn, None)


def in_chat(chat_id: str, thread_id: str | None = None) -> ToolContext:
    """The context of a turn that answers a chat on Telegram."""
    return replace(API, address=Address(channel="telegram", chat_id=chat_id, thread_id=thread_id))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk]:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    async with open_outbox(tmp_path, "telegram") as outbox:
        yield Desk(outbox=outbox, workspace=workspace)
