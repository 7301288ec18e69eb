"""A chat that got a new id: what is stored of it follows, on SQLite and PostgreSQL."""

from dataclasses import replace

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundMessage, Pairing, Sender
from assistant.contracts.outbox import Settlement
from assistant.contracts.sessions import NewTurn
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .came_in import message, place, texts
from .said import answer, user
from .sent import claimed, event, parts, receipt, send_all

OLD, NEW = "-5", "-100777"
OLD_OWNER, NEW_OWNER = f"telegram:{OLD}", f"telegram:{NEW}"


def in_group(text: str, thread: str | None = None, chat: str = OLD) -> InboundMessage:
    return replace(message(text), address=Address(channel="telegram", chat_id=chat, thread_id=thread), private=False)


async def conversation(store: Store, owner: str, session: str, *said: str) -> None:
    for number, text in enumerate(said):
        turn = f"turn_{owner}{session}{number}"
        await store.sessions.begin_turn(NewTurn(id=turn, owner=owner, session=session, message=user(text)), None)
        await store.sessions.end_turn(turn, "finished", [answer("well")])


async def history(store: Store, owner: str, session: str) -> list[object]:
    return [stored.message.role for stored in await store.sessions.messages(owner, session)]


async def test_sessions_messages_and_deliveries_follow_and_others_stay(store: Store) -> None:
    await conversation(store, OLD_OWNER, OLD_OWNER, "one", "two")
    await conversation(store, OLD_OWNER, f"{OLD_OWNER}:7", "in a topic")
    await conversation(store, "telegram:-55", "telegram:-55", "another group")
    await conversation(store, OLD_OWNER, "telegram:-55", "a session that only looks like it")
    await store.inbox.accept(in_group("waits"), place(OLD_OWNER, owner=OLD_OWNER))
    await store.inbox.accept(in_group("in a topic", "7"), place(f"{OLD_OWNER}:7", owner=OLD_OWNER))
    await store.outbox.enqueue([event("queued", chat=OLD, owner=OLD_OWNER), event("other", chat="-55")])
    for _ in range(2):  # harmless to repeat
        await store.inbox.moved("telegram", OLD, NEW)
    assert await history(store, NEW_OWNER, NEW_OWNER) == ["user", "assistant"] * 2
    assert await history(store, NEW_OWNER, f"{NEW_OWNER}:7") == ["user", "assistant"]
    assert await history(store, OLD_OWNER, OLD_OWNER) == []
    assert await history(store, "telegram:-55", "telegram:-55") == ["user", "assistant"]
    assert await history(store, NEW_OWNER, "telegram:-55") == ["user", "assistant"]
    taken = await store.inbox.take(NEW_OWNER, NEW_OWNER)
    topic = await store.inbox.take(NEW_OWNER, f"{NEW_OWNER}:7")
    assert taken is not None
    assert topic is not None
    assert (texts(taken), taken.messages[0].address.chat_id) == (["waits"], NEW)
    assert str(topic.messages[0].address) == f"{NEW_OWNER}:7"
    assert await store.inbox.take(OLD_OWNER, OLD_OWNER) is None
    assert await store.inbox.wrote(Address(channel="telegram", chat_id=NEW))
    claim = await claimed(store, NEW_OWNER)
    assert (str(claim.event.address), claim.event.origin.owner) == (NEW_OWNER, NEW_OWNER)
    assert await send_all(store, "telegram:-55") == ["other"]


async def test_what_is_there_under_the_new_id_stays(store: Store) -> None:
    await conversation(store, OLD_OWNER, OLD_OWNER, "before")
    await conversation(store, NEW_OWNER, NEW_OWNER, "after", "and after")
    await store.inbox.accept(in_group("old"), place(OLD_OWNER, owner=OLD_OWNER))
    await store.inbox.accept(in_group("new", chat=NEW), place(NEW_OWNER, owner=NEW_OWNER))
    await store.inbox.moved("telegram", OLD, NEW)
    assert await history(store, NEW_OWNER, NEW_OWNER) == ["user", "assistant"] * 2
    assert await history(store, OLD_OWNER, OLD_OWNER) == ["user", "assistant"]
    taken = await store.inbox.take(NEW_OWNER, NEW_OWNER)
    assert taken is not None
    assert texts(taken) == ["old", "new"]


@pytest.mark.parametrize("sender", [OLD, "7"])
async def test_pairings_follow(store: Store, clock: TurnedClock, sender: str) -> None:
    """Anonymous administrators write as their group."""
    asked = Pairing(
        channel="telegram",
        sender=Sender(id=sender, name="The group"),
        chat_id=OLD,
        code="ABCDEFGH",
        created=clock.now,
        expires_at=clock.now,
    )
    await store.database.write(
        lambda connection: connection.execute(
            "INSERT INTO pairings (channel, sender_id, sender_name, chat_id, created) VALUES ('telegram', :sender, 'The group', :chat, 1)",
            {"sender": asked.sender.id, "chat": asked.chat_id},
        )
    )
    await store.inbox.moved("telegram", OLD, NEW)
    (pairing,) = await store.pairings.list(clock.now)
    assert (pairing.sender.id, pairing.chat_id) == (NEW if sender == OLD else sender, NEW)
    assert await store.pairings.paired("telegram", pairing.sender.id)


async def test_a_receipt_keeps_what_the_platform_did_not_take(store: Store, clock: TurnedClock) -> None:
    sent = event("hello")
    await store.outbox.enqueue([sent])
    claim = await claimed(store)
    first = replace(receipt("m1", clock.now), notice="a.ogg sent as a plain file (it said: \0 no)")
    await store.outbox.note(claim, plan=parts("one", "two"), start=0)
    await store.outbox.note(claim, receipt=(0, first), start=1)
    await store.outbox.note(claim, receipt=(1, receipt("m2", clock.now)), settle=Settlement(state="sent"))
    kept = await store.outbox.get(None, sent.id)
    assert kept is not None
    assert [part.receipt and part.receipt.notice for part in kept.parts] == [first.notice, ""]
    assert kept.notice == first.notice
