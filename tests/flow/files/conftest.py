"""The file tools as a model has them, on a real store and a real workspace, in both ways of opening a path."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from assistant.agent.toolbox import Toolbox
from assistant.contracts.messages import ToolCall, ToolMessage
from assistant.contracts.people import OWNER_ID, Person, PersonRole, UnknownPeople
from assistant.contracts.tools import ToolContext
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from assistant.store.database import StoreSettings
from assistant.store.store import Store, open_store
from tools.files.change import DeleteFile, EditFile, MoveFile, WriteFile
from tools.files.look import FindFiles, ListFiles
from tools.files.read import ReadFile
from tools.files.search import SearchFiles
from tools.files.space import SpaceFiles
from tools.workspace import folder_of, shared_of

ANNA, GUEST = "telegram:42", "telegram:99"
CONTEXT = ToolContext(owner=OWNER_ID, session="api:s", turn_id="turn_1", call_id="call_1", pictures=4)


class Home(UnknownPeople):
    """The owner in Berlin, Anna, a guest."""

    def __init__(self) -> None:
        self.joined: dict[str, tuple[str, ...]] = {}

    async def person(self, owner: str) -> Person | None:
        roles: Mapping[str, PersonRole] = {OWNER_ID: "owner", ANNA: "user", GUEST: "guest"}
        if owner not in roles:
            return None
        return Person(
            id=owner,
            name=owner,
            role=roles[owner],
            zone=ZoneInfo("Europe/Berlin"),
            zone_chosen=True,
            identities=self.joined.get(owner, (owner,)),
        )

    async def zone(self, owner: str) -> ZoneInfo:
        return ZoneInfo("Europe/Berlin" if owner == OWNER_ID else "UTC")


@dataclass(kw_only=True)
class Hands:
    """The tools of one agent, and the folders that they reach."""

    toolbox: Toolbox
    workspace: Path
    files: SpaceFiles
    store: Store
    done: list[ToolMessage] = field(default_factory=list[ToolMessage])

    @property
    def own(self) -> Path:
        return folder_of(self.workspace, OWNER_ID)

    @property
    def annas(self) -> Path:
        return folder_of(self.workspace, ANNA)

    @property
    def shared(self) -> Path:
        return shared_of(self.workspace)

    async def use(self, tool: str, owner: str = OWNER_ID, **arguments: object) -> ToolMessage:
        call = ToolCall(id="call_1", name=tool, arguments=json.dumps(arguments))
        (message,) = await self.toolbox.run([call], replace(CONTEXT, owner=owner), lambda _: None)
        self.done.append(message)
        return message

    async def said(self, tool: str, owner: str = OWNER_ID, **arguments: object) -> str:
        """The result of a call that succeeds."""
        message = await self.use(tool, owner, **arguments)
        assert message.ok, message.text
        return message.text

    async def refused(self, tool: str, owner: str = OWNER_ID, **arguments: object) -> str:
        message = await self.use(tool, owner, **arguments)
        assert not message.ok, message.text
        assert "fault of its own" not in message.text, message.text
        assert message.effects == ()
        return message.text


@asynccontextmanager
async def open_hands(folder: Path, **settings: Any) -> AsyncGenerator[Hands]:
    """`settings`: of the files."""
    workspace = folder / "workspace"
    workspace.mkdir(mode=0o700)
    store, reader = await open_store(StoreSettings(), folder / "home"), ChildReader(DocumentSettings())
    files = SpaceFiles(workspace, Home(), **settings)
    changing = [kind(files) for kind in (WriteFile, EditFile, MoveFile, DeleteFile)]
    tools = [ListFiles(files), FindFiles(files), SearchFiles(files, ripgrep=""), ReadFile(files, reader, store.attachments), *changing]
    try:
        yield Hands(toolbox=Toolbox(tools, store.attachments), workspace=workspace, files=files, store=store)
    finally:
        await reader.close()
        await store.close()


@pytest.fixture(params=["openat2", "step by step"])
def way(request: pytest.FixtureRequest) -> bool:
    """Whether the kernel's openat2 is used."""
    return request.param == "openat2"


@pytest.fixture
async def hands(tmp_path: Path, way: bool) -> AsyncGenerator[Hands]:
    async with open_hands(tmp_path, openat2=way) as hands:
        yield hands
