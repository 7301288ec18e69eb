"""Workflows on a real store and a real outbox, with a model that says what a test wants."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from assistant.access.authenticator import Allowance
from assistant.access.recipients import Policy, Recipients
from assistant.agent.toolbox import Toolbox
from assistant.app.agent import open_http
from assistant.contracts.access import Limits
from assistant.contracts.messages import Json
from assistant.contracts.models import ModelProvider, Sampling
from assistant.contracts.outbox import Delivery
from assistant.contracts.tools import Tool, ToolContext, ToolResult, ToolServices
from assistant.contracts.turns import MAIN, Upload
from assistant.contracts.util import new_id
from assistant.contracts.workflows import Job, Update
from assistant.delivery.service import describe
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from assistant.store.jobs import JobStore
from assistant.turns.asking import Agent
from assistant.turns.compaction import Compaction
from assistant.turns.intake import MessageIntake
from assistant.turns.prompt import Context, Instructions
from assistant.turns.service import Turns
from assistant.workflows.checks import LinkTargets
from assistant.workflows.inputs import InputIntake
from assistant.workflows.library import WorkflowLibrary
from assistant.workflows.nodes import NodeExecutor
from assistant.workflows.service import WorkflowService
from assistant.workflows.settings import WorkflowSettings
from tests.flow.outgoing import Outbox
from tests.flow.turns.house import NO_LIMITS
from tools.attachments import ListAttachments, ReadAttachment
from tools.message import MessageTool

OWNER = "local"
GREET = """
inputs: {city: text, times: {type: integer, default: 2}, chat: {required: false}}
nodes:
  hello: {kind: template, text: "Hello {{ inputs.city }}"}
  think: {kind: prompt, prompt: "Say it {{ inputs.times }} times: {{ hello.output }}"}
outputs: {said: "{{ think.output }}", list: ["{{ inputs.times }}", {of: "{{ hello.output }}!"}]}
"""


class Nothing(BaseModel):
    """No parameters."""


class Gate:
    """A tool that reports its start, and waits until it may end."""

    name: ClassVar[str] = "gate"
    description: ClassVar[str] = "Wait."
    params: ClassVar[type[BaseModel]] = Nothing
    reads_only: ClassVar[bool] = True
    timeout: ClassVar[float] = 20.0

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.entered = asyncio.Condition()
        self.open = asyncio.Event()

    async def run(self, params: Any, ctx: ToolContext) -> ToolResult:
        async with self.entered:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.entered.notify_all()
        try:
            await self.open.wait()
        finally:
            self.inside -= 1
        return ToolResult(text=ctx.session)

    async def holds(self, count: int) -> None:
        async with self.entered:
            await self.entered.wait_for(lambda: self.inside == count)


def side_by_side(count: int) -> str:
    nodes = "\n".join(f"  n{number}: {{kind: tool, tool: gate}}" for number in range(count))
    return f"nodes:\n{nodes}\noutputs: {{first: '{{{{ n0.output }}}}'}}\n"


@dataclass(kw_only=True)
class Works:
    """A store with as many services on it as a test wants: each is like a process of its own."""

    outbox: Outbox
    folder: Path
    policy: Policy = "known"
    opened: list[tuple[Turns, WorkflowService]] = field(default_factory=list[tuple[Turns, WorkflowService]])

    def write(self, **files: str) -> None:
        """The workflows, by id (with _ for -)."""
        (self.folder / "workflows").mkdir(exist_ok=True)
        for name, text in files.items():
            (self.folder / "workflows" / f"{name.replace('_', '-')}.yaml").write_text(text)

    def service(
        self,
        model: ModelProvider,
        *,
        tools: Sequence[Tool[Any]] = (),
        settings: WorkflowSettings | None = None,
        jobs: JobStore | None = None,
        defaults: Limits = NO_LIMITS,
    ) -> WorkflowService:
        store = self.outbox.store
        toolbox = Toolbox(
            [ListAttachments(store.attachments), ReadAttachment(store.attachments), MessageTool(self._services()), *tools],
            store.attachments,
        )
        reader = ChildReader(DocumentSettings())
        agent = Agent(
            model=model,
            toolbox=toolbox,
            context=Context(model.info.context_tokens, Instructions("You are a test.", self.folder), toolbox.specs),
            max_steps=5,
            sampling=Sampling(),
        )
        turns = Turns(
            agents={MAIN: agent, "writer": agent},
            sessions=store.sessions,
            attachments=store.attachments,
            intake=MessageIntake(reader, store.attachments, document_chars=1_000),
            timeout=20,
            people=store.people,
            compaction=Compaction(store.summaries),
            allowance=Allowance(keys=store.keys, limiter=store.limits, defaults=defaults),
        )
        targets = LinkTargets(tools=toolbox.names, agents=turns.agents.keys())
        executor = NodeExecutor(
            turns=turns,
            toolbox=toolbox,
            sessions=store.sessions,
            attachments=store.attachments,
            deliveries=self.outbox.service,
            spool=self.folder / "spool",
        )
        service = WorkflowService(
            library=WorkflowLibrary(self.folder / "workflows", targets),
            inputs=InputIntake(reader, store.attachments),
            store=jobs or store.jobs,
            executor=executor,
            settings=settings or WorkflowSettings(),
        )
        self.opened.append((turns, service))
        return service

    def upload(self, name: str, text: str) -> Upload:
        """A file as a door has spooled it."""
        path = self.folder / new_id("given")
        path.write_text(text)
        return Upload(name=name, path=path, size=len(text.encode()), digest=sha256(text.encode()).hexdigest())

    async def end(self) -> None:
        """As a process that is asked to stop, with no grace."""
        for turns, service in self.opened:
            service.stop_beginning()
            await turns.close(grace=0)
            await service.close(grace=0)
        self.opened.clear()

    async def sent(self) -> list[Delivery]:
        return list(await self.outbox.store.outbox.list(None))

    def _services(self) -> ToolServices:
        store = self.outbox.store
        return ToolServices(
            attachments=store.attachments,
            deliveries=self.outbox.service,
            channels=self.outbox.channels,
            recipients=Recipients(
                self.policy,
                channels=self.outbox.channels,
                instructions="",
                inbox=store.inbox,
                pairings=store.pairings,
                sessions=store.sessions,
                people=store.people,
            ),
            agent=MAIN,
            schedules=self.outbox.later.book,
            times=self.outbox.later.words,
            media=store.media,
            workspace=self.folder,
            describe=describe,
            expire_after=timedelta(hours=24),
            receipt_wait=0.01,
            http=open_http,
        )


async def run(
    service: WorkflowService, workflow: str, params: Mapping[str, Json] | None = None, *, owner: str = OWNER, **files: Upload
) -> Job:
    """A job, at its end."""
    job = await service.start(owner, workflow, params or {}, files)
    return (await heard(service, job.id, owner=owner))[-1].job


async def heard(service: WorkflowService, job_id: str, *, owner: str = OWNER) -> list[Update]:
    """All updates of a job, to its end."""
    return [update async for batch in service.updates(owner, job_id) for update in batch]
