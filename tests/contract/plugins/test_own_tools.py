"""Our tools keep the contract of a tool, on a real store."""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from assistant.access.recipients import Recipients
from assistant.app.agent import open_http
from assistant.contracts.documents import ReadDocument
from assistant.contracts.errors import ToolFailed
from assistant.contracts.messages import Document, UserMessage
from assistant.contracts.sessions import NewTurn
from assistant.contracts.tools import NoSettings, ToolContext, ToolServices
from assistant.contracts.turns import MAIN, Upload
from assistant.contracts.urls import PageRefused
from assistant.contracts.web import NO_HEADERS, FoundPage, WebAnswer, WebPage
from assistant.delivery.service import describe
from assistant.testing.tool_suite import ToolCase, ToolSuite
from tests.doubles.skill_folders import put_skill, shelf_of
from tests.flow.outgoing import Outbox, open_outbox
from tools.catalog import own_kinds
from tools.workspace import folder_of

CONTEXT = ToolContext(owner="local", session="api:s", turn_id="turn_1", call_id="call_1", call_place="1")


@dataclass(frozen=True, kw_only=True)
class Services:
    """What tools use, and a document that the session holds."""

    outbox: Outbox
    tools: ToolServices
    document_id: str

    def case(
        self, name: str, good: dict[str, Any], *wrong: dict[str, Any], effects: Callable[[], Awaitable[int]] | None = None
    ) -> ToolCase:
        kind = next(kind for kind in own_kinds() if kind.name == name)
        return ToolCase(kind=kind, tool=kind.open(NoSettings(), self.tools), context=CONTEXT, good=good, wrong=wrong, effects=effects)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncGenerator[Services]:
    async with open_outbox(tmp_path) as outbox:
        store, data = outbox.store, b"A report."
        (tmp_path / "report").write_bytes(data)
        upload = Upload(name="report.txt", path=tmp_path / "report", size=len(data), digest=hashlib.sha256(data).hexdigest())
        kept = await store.attachments.keep("local", "api:s", upload, ReadDocument(format="text", text="A report."))
        part = Document(attachment_id=kept, name="report.txt", format="text", size=len(data))
        message = UserMessage(id="msg_1", parts=(part,))
        await store.sessions.begin_turn(NewTurn(id="turn_0", owner="local", session="api:s", message=message), None)
        recipients = Recipients(
            "any",
            channels=outbox.channels,
            instructions="",
            inbox=store.inbox,
            pairings=store.pairings,
            sessions=store.sessions,
            people=store.people,
        )
        tools = ToolServices(
            workspace=tmp_path,
            attachments=store.attachments,
            deliveries=outbox.service,
            channels=outbox.channels,
            recipients=recipients,
            agent=MAIN,
            schedules=outbox.later.book,
            times=outbox.later.words,
            media=store.media,
            describe=describe,
            expire_after=timedelta(hours=24),
            receipt_wait=0.05,
            http=open_http,
            skills=shelf_of(tmp_path, tmp_path / "lock", put_skill(tmp_path, files={"notes.md": "Notes."})),
            pages=KeptPages(),
            web=KeptPages(),
        )
        yield Services(outbox=outbox, tools=tools, document_id=kept)


class KeptPages:
    """A web of one page, whatever is asked."""

    async def page(self, url: str, *, owner: str, headers: Mapping[str, str] = NO_HEADERS) -> WebPage:
        if "gone" in url:
            raise PageRefused("it answers 404")
        return WebPage(url=url, title="A page", date="", text="Its words.")

    async def search(self, query: str, count: int) -> WebAnswer:
        if query == "nothing":
            raise ToolFailed("No web search answered.")
        return WebAnswer(by="Kept", pages=(FoundPage(title="A page", url="https://example.org/", text=""),))


class TestFetchPage(ToolSuite):
    @pytest.fixture
    def case(self, services: Services) -> ToolCase:
        good = {"url": "https://example.org/"}
        gone, secret = {"url": "https://example.org/gone"}, {"url": "https://example.org/{{secret:a}}"}
        return services.case("fetch_page", good, {}, gone, secret, {**good, "offset": 99}, {**good, "headers": {"Cookie": "a=b"}})


class TestSearchWeb(ToolSuite):
    @pytest.fixture
    def case(self, services: Services) -> ToolCase:
        return services.case("search_web", {"query": "a page"}, {}, {"query": ""}, {"query": "nothing"}, {"query": "a", "count": 0})


class TestListAttachments(ToolSuite):
    @pytest.fixture
    def case(self, services: Services) -> ToolCase:
        return services.case("list_attachments", {})


class TestReadAttachment(ToolSuite):
    @pytest.fixture
    def case(self, services: Services) -> ToolCase:
        good = {"id": services.document_id}
        return services.case("read_attachment", good, {}, {"id": "att_none"}, {**good, "offset": 99}, {**good, "section": "page 9"})


class FileCase(ToolSuite):
    """Beside a folder with a file."""

    tool: ClassVar[str]
    good: ClassVar[dict[str, Any]]
    wrong: ClassVar[tuple[dict[str, Any], ...]]

    @pytest.fixture
    def case(self, services: Services) -> ToolCase:
        (folder_of(services.tools.workspace, "local") / "a.txt").write_text("one")
        return services.case(self.tool, self.good, *self.wrong)


class TestListFiles(FileCase):
    tool, good, wrong = "list_files", {}, ({"folder": ".."}, {"folder": "a.txt"}, {"depth": 0})


class TestFindFiles(FileCase):
    tool, good, wrong = "find_files", {"pattern": "*.txt"}, ({}, {"pattern": ""}, {"pattern": "*" * 40}, {"pattern": "a", "folder": "none"})


class TestSearchFiles(FileCase):
    tool, good, wrong = "search_files", {"pattern": "on"}, ({}, {"pattern": "("}, {"pattern": "x", "folder": "none"})


class TestReadFile(FileCase):
    tool, good, wrong = "read_file", {"path": "a.txt"}, ({}, {"path": "b.txt"}, {"path": "a.txt", "line": 3}, {"path": "a.txt", "limit": 0})


class TestWriteFile(FileCase):
    tool, good = "write_file", {"path": "a.txt", "content": "x", "mode": "overwrite"}
    wrong = ({"path": "b.txt"}, {"path": "a.txt", "content": "x"}, {"path": "a.txt/b", "content": "x"}, {"path": ".", "content": "x"})


class TestEditFile(FileCase):
    tool, good = "edit_file", {"path": "a.txt", "old": "o", "new": "oo"}
    wrong = ({"path": "a.txt", "old": "", "new": "x"}, {"path": "a.txt", "old": "x", "new": "y"}, {"path": "b", "old": "o", "new": "p"})


class TestMessage(ToolSuite):
    @pytest.fixture
    def case(self, services: Services) -> ToolCase:
        chat = {"channel": "telegram", "chat_id": "42"}

        async def effects() -> int:
            return len(await services.outbox.store.outbox.list(None))

        good = {**chat, "content": "hello"}
        return services.case(
            "message", good, {}, {"content": "x"}, chat, {**good, "media": ["gone.txt"]}, {**good, "at": "tomorrow"}, effects=effects
        )


class TestSchedule(ToolSuite):
    @pytest.fixture
    def case(self, services: Services) -> ToolCase:
        async def effects() -> int:
            return len(await services.outbox.store.schedules.list(None))

        good = {"action": "add", "at": "in 10 minutes", "text": "stretch", "to": "telegram:42"}
        wrong = (
            {"action": "add"},
            {**good, "at": "soon"},
            {**good, "text": " "},
            {**good, "to": "42"},
            {"action": "cancel", "id": "sch_none"},
        )
        return services.case("schedule", good, {}, *wrong, effects=effects)


class TestUseSkill(ToolSuite):
    @pytest.fixture
    def case(self, services: Services) -> ToolCase:
        good = {"name": "pigeon-care"}
        return services.case("use_skill", good, {"name": "loft"}, {**good, "file": "../notes.md"}, {**good, "offset": 9_999})
