"""The journal of effects, and whose words a conversation holds: written with the messages, on SQLite and PostgreSQL."""

from datetime import timedelta

from assistant.contracts.audit import Deed
from assistant.contracts.causes import Cause, Payer
from assistant.contracts.effects import Effect, PendingApproval
from assistant.contracts.messages import AssistantMessage, Document, Part, Text, ToolMessage, UserMessage
from assistant.contracts.provenance import Provenance
from assistant.contracts.sessions import NewTurn
from assistant.store.store import Store
from tests.clocks import TurnedClock

ANNA = Payer(owner="telegram:42", caller="telegram:42", session="telegram:42", agent="main")
PAGE = Document(attachment_id="att_1", name="page.html", format="html", size=1, text="…")


def result(name: str, *effects: Effect, provenance: Provenance = "system", pending: PendingApproval | None = None) -> ToolMessage:
    return ToolMessage(id=f"msg_{name}", call_id="c", name=name, text="…", effects=effects, provenance=provenance, pending=pending)


def said(*parts: Part) -> UserMessage:
    return UserMessage(id="msg_1", parts=parts)


async def begin(store: Store, turn: str, *parts: Part, read: frozenset[Provenance] = frozenset()) -> None:
    new = NewTurn(id=turn, owner=ANNA.owner, session=ANNA.session, message=said(*parts), read=read)
    await store.sessions.begin_turn(new, None)


async def read_of(store: Store) -> frozenset[Provenance]:
    session = await store.sessions.get(ANNA.owner, ANNA.session)
    assert session is not None
    return session.read


async def test_a_deed_is_written_with_its_step_and_says_by_whose_word(store: Store, clock: TurnedClock) -> None:
    await begin(store, "turn_1", Text(text="send it"), PAGE)
    sent = Effect(kind="sent", text="sent to telegram:7 \0", ref="evt_1")
    waits = PendingApproval(id="apr_1", code="ABC", tool="run", text="run: ls", why="…", expires_at=clock.now)
    await store.sessions.append_step("turn_1", [AssistantMessage(id="a"), result("message", sent)], ANNA)
    await store.sessions.end_turn("turn_1", "finished", [AssistantMessage(id="b"), result("run", pending=waits)], payer=ANNA)
    asked, done = await store.audit.list(ANNA.owner)
    expected = Deed(
        id=done.id,
        at=clock.now,
        owner=ANNA.owner,
        session=ANNA.session,
        turn_id="turn_1",
        agent="main",
        cause=Cause(kind="message"),
        caller=ANNA.caller,
        tool="message",
        kind="sent",
        text=sent.text,
        ref="evt_1",
        read=("file",),
        approval="",
    )
    assert done == expected
    assert (asked.kind, asked.text, asked.ref, asked.approval) == ("asked", "run: ls", "apr_1", "apr_1")


async def test_an_approved_call_names_its_approval(store: Store) -> None:
    await begin(store, "turn_1", Text(text="go on", provenance="system"))
    payer = Payer(owner=ANNA.owner, caller="telegram:42", cause=Cause(kind="approval", id="apr_1"))
    await store.sessions.append_step("turn_1", [result("run", Effect(kind="ran", text="ls", ref="run_1"))], payer)
    (deed,) = await store.audit.list(ANNA.owner)
    assert (deed.cause.kind, deed.approval, deed.caller) == ("approval", "apr_1", "telegram:42")


async def test_it_is_filtered_and_paged_and_outlives_its_session(store: Store, clock: TurnedClock) -> None:
    await begin(store, "turn_1", Text(text="hi"))
    for number in range(3):
        await store.sessions.append_step("turn_1", [result("message", Effect(kind="sent", text=str(number), ref=f"evt_{number}"))], ANNA)
        clock.now += timedelta(hours=1)
    await store.sessions.end_turn("turn_1", "finished", [AssistantMessage(id="b")], payer=ANNA)
    await store.sessions.delete(ANNA.owner, ANNA.session)
    everything = await store.audit.list(None)
    assert [each.text for each in everything] == ["2", "1", "0"]
    assert [each.text for each in await store.audit.list(ANNA.owner, before=everything[0].id, limit=1)] == ["1"]
    assert [each.text for each in await store.audit.list(None, since=everything[1].at, session=ANNA.session)] == ["2", "1"]
    assert await store.audit.list("telegram:43") == []
    assert await store.audit.list(None, session="api:other") == []
    await store.people.of(ANNA.owner)
    assert len((await store.people.export(ANNA.owner))["audit"]) == 3
    await store.people.forget(ANNA.owner)
    assert await store.audit.list(None) == []


async def test_what_was_read_stays_with_the_conversation_until_it_is_started_over(store: Store) -> None:
    await begin(store, "turn_1", Text(text="hi"), Text(text="recalled", quoted=True, recalled=True))
    assert await read_of(store) == set()
    await store.sessions.append_step("turn_1", [AssistantMessage(id="a"), result("message"), result("recall")])
    assert await read_of(store) == set()
    await store.sessions.append_step("turn_1", [result("fetch_page", provenance="web"), result("x", provenance="mcp")])
    await store.sessions.end_turn("turn_1", "finished", [AssistantMessage(id="b")])
    await begin(store, "turn_2", Text(text="a mail", quoted=True, provenance="mail"), read=frozenset({"tool"}))
    assert await read_of(store) == {"web", "mcp", "mail", "tool"}
    await store.sessions.start_over(ANNA.owner, ANNA.session)
    assert await read_of(store) == set()
    await begin(store, "turn_3", Text(text="again"))
    assert await read_of(store) == set()


async def test_a_session_that_begins_with_a_history_has_read_what_that_holds(store: Store) -> None:
    new = NewTurn(id="t", owner="a", session="api:s", message=said(Text(text="hi")), history=(said(Text(text="x", quoted=True)),))
    await store.sessions.begin_turn(new, None)
    session = await store.sessions.get("a", "api:s")
    assert session is not None
    assert session.read == {"stranger"}
