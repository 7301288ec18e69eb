"""What a platform reports of what it had accepted, and the notes of its adapter, on both databases."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from assistant.contracts.addresses import parse_address
from assistant.contracts.channels import ChannelContext, ChannelFailed
from assistant.contracts.inbox import InboundMessage, Sender, SessionRef
from assistant.contracts.notes import MOST_NOTE_BYTES, MOST_NOTE_KEY, ChannelNotes, NotesInMemory
from assistant.contracts.outbox import Delivery, DeliveryError, Origin, Settlement, ToPerson
from assistant.store.channels import StoredChannelNotes
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .conftest import Opener
from .sent import claimed, event, parts, receipt

GONE = DeliveryError(code="131026", words="They are not on WhatsApp.")


async def sent(store: Store, clock: TurnedClock, *ids: str | None, done: bool = True) -> str:
    """The id of a delivery with a part for each receipt."""
    asked = event(channel="whatsapp", chat="491234")
    await store.outbox.enqueue([asked])
    claim = await claimed(store, "whatsapp:491234")
    assert await store.outbox.note(claim, plan=parts(*[f"part {place}" for place in range(len(ids))]))
    for place, message_id in enumerate(ids):
        if message_id is not None:
            assert await store.outbox.note(claim, start=place)
            assert await store.outbox.note(claim, receipt=(place, receipt(message_id, clock())))
    if done:
        assert await store.outbox.note(claim, settle=Settlement(state="sent"))
    return asked.id


async def found(store: Store, event_id: str) -> Delivery:
    delivery = await store.outbox.get(None, event_id)
    assert delivery is not None
    return delivery


async def test_what_was_sent_fails_when_the_platform_reports_it_undelivered(store: Store, clock: TurnedClock) -> None:
    event_id = await sent(store, clock, "wamid.1")
    clock.turn(timedelta(minutes=3))
    assert await store.outbox.undelivered("whatsapp", "wamid.1", GONE) == event_id
    delivery = await found(store, event_id)
    assert (delivery.state, delivery.trouble, delivery.ended) == ("failed", GONE, clock())
    assert delivery.parts[0].receipt is None
    assert await store.outbox.undelivered("whatsapp", "wamid.1", GONE) is None, "a repeat changes nothing"
    assert await found(store, event_id) == delivery


@pytest.mark.parametrize(("channel", "message_id"), [("sms", "wamid.1"), ("whatsapp", "wamid.2"), ("whatsapp", "")])
async def test_a_report_of_an_unknown_message_changes_nothing(store: Store, clock: TurnedClock, channel: str, message_id: str) -> None:
    event_id = await sent(store, clock, "wamid.1")
    assert await store.outbox.undelivered(channel, message_id, GONE) is None
    assert not await store.outbox.delivered(channel, message_id)
    assert (await found(store, event_id)).state == "sent"


async def test_a_retry_by_hand_sends_the_part_that_did_not_arrive_and_no_other(store: Store, clock: TurnedClock) -> None:
    event_id = await sent(store, clock, "wamid.1", "wamid.2")
    await store.outbox.undelivered("whatsapp", "wamid.2", GONE)
    await store.outbox.retry(None, event_id, clock() + timedelta(hours=1))
    claim = await claimed(store, "whatsapp:491234")
    assert [part.receipt is not None for part in claim.parts] == [True, False]
    assert not claim.maybe_duplicate


async def test_a_message_that_is_still_being_sent_loses_its_claim(store: Store, clock: TurnedClock) -> None:
    event_id = await sent(store, clock, "wamid.1", None, done=False)
    assert await store.outbox.undelivered("whatsapp", "wamid.1", GONE) == event_id
    assert (await found(store, event_id)).state == "failed"
    assert await store.outbox.renew({event_id: 1}, timedelta(seconds=15)) == {event_id}
    assert await store.outbox.claim("whatsapp:491234", timedelta(seconds=15)) is None


async def test_what_reached_its_receiver_and_was_read_is_noted_once(store: Store, clock: TurnedClock) -> None:
    event_id = await sent(store, clock, "wamid.1")
    clock.turn(timedelta(seconds=3))
    reached = clock()
    assert await store.outbox.delivered("whatsapp", "wamid.1")
    clock.turn(timedelta(seconds=30))
    read = clock()
    assert await store.outbox.delivered("whatsapp", "wamid.1", read=True)
    clock.turn(timedelta(seconds=30))
    assert await store.outbox.delivered("whatsapp", "wamid.1", read=True)
    part = (await found(store, event_id)).parts[0]
    assert (part.reached_at, part.read_at) == (reached, read)


@pytest.fixture(params=["stored", "in memory"])
def notes(request: pytest.FixtureRequest, store: Store) -> ChannelNotes:
    return store.notes("matrix") if request.param == "stored" else NotesInMemory()


async def test_a_note_is_kept_replaced_and_dropped(notes: ChannelNotes) -> None:
    assert await notes.get("token") is None
    for value in ("s1", "s2\0\\", ""):
        await notes.keep("token", value)
        assert await notes.get("token") == value
    await notes.drop("token")
    await notes.drop("token")
    assert await notes.get("token") is None


@pytest.mark.parametrize(
    ("key", "value"), [("", "v"), ("k" * (MOST_NOTE_KEY + 1), "v"), ("k", "v" * (MOST_NOTE_BYTES + 1)), ("k", "ü" * MOST_NOTE_BYTES)]
)
async def test_a_note_that_is_too_large_is_refused(notes: ChannelNotes, key: str, value: str) -> None:
    with pytest.raises(ValueError, match="a note has a key of 1 to 256 characters"):
        await notes.keep(key, value)
    await notes.keep("ü" * MOST_NOTE_KEY, "v" * MOST_NOTE_BYTES)


async def test_notes_survive_and_are_a_channels_own(store: Store, open_again: Opener) -> None:
    await store.notes("matrix").keep("token", "s1")
    await store.close()
    store = await open_again()
    assert await store.notes("matrix").get("token") == "s1"
    assert await store.notes("xmpp").get("token") is None


async def test_the_oldest_notes_go_when_there_are_too_many(store: Store, clock: TurnedClock) -> None:
    notes = StoredChannelNotes(store.database, "matrix", clock=clock, most=200)
    await store.notes("xmpp").keep("note 0", "other")
    for number in range(301):
        clock.turn(timedelta(seconds=1))
        await notes.keep(f"note {number}", "v")
        if number % 10 == 0:
            await notes.keep("used", str(number))
    kept = [number for number in range(301) if await notes.get(f"note {number}")]
    assert kept == list(range(kept[0], 301))
    assert 150 < len(kept) <= 200
    assert await notes.get("used") == "300"
    assert await store.notes("xmpp").get("note 0") == "other"


async def test_a_channels_folder_is_made_when_it_is_asked_for(store: Store, tmp_path: Path) -> None:
    context = ChannelContext(files=store.media, version="1", folder=tmp_path / "channels" / "matrix")
    assert not (tmp_path / "channels").exists()
    assert context.make_folder() == context.make_folder() == tmp_path / "channels" / "matrix"
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "channels", tmp_path / "channels" / "matrix")] == [0o700, 0o700]
    with pytest.raises(ChannelFailed, match="no folder"):
        ChannelContext(files=store.media, version="1").make_folder()
    (tmp_path / "taken").touch()
    with pytest.raises(ChannelFailed, match="can't be made"):
        ChannelContext(files=store.media, version="1", folder=tmp_path / "taken" / "matrix").make_folder()


@pytest.mark.parametrize(
    ("hidden", "asked_in", "told"), [(False, "telegram:5", True), (True, "telegram:5", True), (False, "whatsapp:49", False)]
)
async def test_the_chat_in_which_it_was_asked_for_is_told(
    store: Store, clock: TurnedClock, hidden: bool, asked_in: str, told: bool
) -> None:
    address = parse_address(asked_in)
    message = InboundMessage(
        external_id="1", address=address, sender=Sender(id="5", name="Bert"), private=True, text="tell anna", at=clock()
    )
    await store.inbox.accept(message, SessionRef(owner="telegram:5", session=asked_in, role="user"))
    taken = await store.inbox.take("telegram:5", asked_in)
    assert taken is not None
    sent_one = replace(
        event(channel="whatsapp", chat="49", owner="telegram:5"),
        origin=Origin(kind="tool", owner="telegram:5", session=asked_in, turn_id=taken.turn_id),
        person=ToPerson(id="whatsapp:49", name="Anna", hidden=hidden),
    )
    await store.outbox.enqueue([sent_one])
    claim = await claimed(store, "whatsapp:49")
    assert await store.outbox.note(claim, plan=parts("hello"), receipt=None)
    assert await store.outbox.note(claim, receipt=(0, receipt("wamid.9", clock())), settle=Settlement(state="sent"))
    for _ in range(2):
        await store.outbox.undelivered("whatsapp", "wamid.9", GONE)
    notices = [each.event for each in await store.outbox.list(None) if each.event.origin.kind == "notice"]
    assert [str(each.address) for each in notices] == ([asked_in] if told else [])
    if told:
        why = "" if hidden else ": They are not on WhatsApp"
        whom = "Anna" if hidden else "Anna (whatsapp:49)"
        assert notices[0].text == f"My message to {whom} did not arrive, though it had been accepted{why}."
