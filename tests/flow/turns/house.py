"""What tests of turns share: a real store, a real reader, a scripted model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.access.authenticator import Allowance
from assistant.agent.toolbox import Toolbox
from assistant.contracts.access import Limits
from assistant.contracts.approvals import ApprovalDesk
from assistant.contracts.gate import Gate
from assistant.contracts.messages import Message, Text, UserMessage
from assistant.contracts.models import ModelProvider, Sampling
from assistant.contracts.sessions import BeforeCut
from assistant.contracts.tools import Tool
from assistant.contracts.turns import MAIN, TurnRequest, Upload, UserText
from assistant.contracts.util import new_id
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from assistant.store.store import Store
from assistant.turns.asking import Agent
from assistant.turns.compaction import Compaction
from assistant.turns.elsewhere import Elsewhere
from assistant.turns.intake import CachingReader, MessageIntake
from assistant.turns.prompt import Context, Instructions
from assistant.turns.service import Turns
from tools.attachments import ListAttachments, ReadAttachment

NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class House:
    """A store and a workspace, with as many `Turns` on them as a test wants: each is like a process of its own."""

    store: Store
    folder: Path

    def turns(
        self,
        model: ModelProvider,
        *,
        timeout: float = 20,
        max_steps: int = 5,
        tools: Sequence[Tool[Any]] = (),
        others: Mapping[str, ModelProvider] | None = None,
        budget: Limits = NO_LIMITS,
        summariser: ModelProvider | None = None,
        before: BeforeCut | None = None,
        deadline: float = 30,
        gate: Gate | None = None,
        desk: ApprovalDesk | None = None,
    ) -> Turns:
        """`others`: more agents, by id, each with a model of its own."""
        files = self.store.attachments
        toolbox = Toolbox([ListAttachments(files), ReadAttachment(files), *tools], files, gate=gate, desk=desk)

        def agent(name: str, model: ModelProvider) -> Agent:
            return Agent(
                model=model,
                toolbox=toolbox,
                context=Context(model.info.context_tokens, Instructions(f"You are {name}.", self.folder), toolbox.specs),
                max_steps=max_steps,
                sampling=Sampling(),
            )

        models = {MAIN: model, **(others or {})}
        return Turns(
            agents={name: agent("a test" if name == MAIN else name, its) for name, its in models.items()},
            sessions=self.store.sessions,
            attachments=files,
            intake=MessageIntake(CachingReader(ChildReader(DocumentSettings()), files), files, document_chars=1_000),
            timeout=timeout,
            waiting=2,
            people=self.store.people,
            compaction=Compaction(self.store.summaries, model=summariser, before=before, deadline=deadline),
            allowance=Allowance(keys=self.store.keys, limiter=self.store.limits, defaults=budget),
            elsewhere=Elsewhere(self.store.open_turns, self.store.notifier, self.store.runner),
        )

    async def kept(self, session: str = "api:s") -> list[Message]:
        return [stored.message for stored in await self.store.sessions.messages("local", session)]


def ask(
    text: str, session: str = "api:s", *, uploads: tuple[Upload, ...] = (), stream: bool = False, instructions: tuple[str, ...] = ()
) -> TurnRequest:
    return TurnRequest(
        id=new_id("turn"),
        owner="local",
        session=session,
        content=(UserText(text=text), *uploads),
        stream=stream,
        instructions=instructions,
    )


def texts(messages: tuple[Message, ...] | list[Message]) -> list[str]:
    return [
        "".join(part.text for part in message.parts if isinstance(part, Text)) if isinstance(message, UserMessage) else message.text
        for message in messages
    ]
