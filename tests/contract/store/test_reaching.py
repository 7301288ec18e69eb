"""Where a person is reached, and the delivery that follows where one to them failed; on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from assistant.contracts.addresses import Address, parse_address
from assistant.contracts.inbox import InboundMessage, Pairing, Sender, SessionRef
from assistant.contracts.outbox import Delivery, DeliveryError, OutboundEvent, Settlement, ToPerson, following_id
from assistant.contracts.people import OWNER_ID
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .conftest import Opener
from .sent import LEASE, again, claimed, event, failed, parts, receipt

BLOCKED = failed("blocked")


async def wrote(store: Store, clock: TurnedClock, identity: str, chat: str = "", *, private: bool = True, trusted: bool = True) -> str:
    """A person's id, who wrote from a chat; a private one has their id, unless another is given."""
    clock.turn(timedelta(seconds=1))
    channel, _, sender = identity.partition(":")
    person = await store.people.of(identity, sender)
    message = InboundMessage(
        external_id=str(clock()),
        address=Address(channel=channel, chat_id=chat or sender),
        sender=Sender(id=sender, name=sender),
        private=private,
        trusted=trusted,
        text="hello",
        at=clock(),
    )
    place = SessionRef(owner=person if private else str(message.address), session=str(message.address), role="user")
    await store.inbox.accept(message, place)
    return person


async def reached(store: Store, person: str) -> list[str]:
    return [str(address) for address in await store.people.chats(person)]


async def anna(store: Store, clock: TurnedClock, *identities: str) -> str:
    """A person who wrote from private chats, one after the other."""
    first, *others = identities
    person = await wrote(store, clock, first)
    for identity in others:
        await wrote(store, clock, identity)
        await store.links.join(identity, person)
    return person


def to(person: str, address: str, text: str = "hello", **more: object) -> OutboundEvent:
    sent = event(text, channel=address.partition(":")[0], chat=address.partition(":")[2])
    return replace(sent, person=ToPerson(id=person), **more)  # pyright: ignore[reportArgumentType] - fields of the event


async def found(store: Store, event_id: str) -> Delivery:
    delivery = await store.outbox.get(None, event_id)
    assert delivery is not None
    return delivery


async def chain(store: Store, event_id: str) -> list[Delivery]:
    """A delivery and those that followed it."""
    deliveries = [await found(store, event_id)]
    while following := await store.outbox.get(None, following_id(deliveries[-1].event.id)):
        deliveries.append(following)
    return deliveries


async def fail(store: Store, lane: str, settlement: Settlement = BLOCKED) -> None:
    claim = await claimed(store, lane)
    assert await store.outbox.note(claim, plan=parts("hello"), settle=settlement)


# Where they are reached.


async def test_the_chat_that_they_wrote_from_last_comes_first(store: Store, clock: TurnedClock) -> None:
    person = await anna(store, clock, "telegram:42", "matrix:@anna")
    await wrote(store, clock, "telegram:42")
    assert await reached(store, person) == ["telegram:42", "matrix:@anna"]
    await wrote(store, clock, "matrix:@anna", "!room")
    assert await reached(store, person) == ["matrix:!room", "telegram:42", "matrix:@anna"]


@pytest.mark.parametrize(("private", "trusted"), [(False, True), (True, False)])
async def test_a_group_and_a_hook_are_no_private_chat(store: Store, clock: TurnedClock, private: bool, trusted: bool) -> None:
    person = await store.people.of("telegram:42")
    await wrote(store, clock, "telegram:42", "-100", private=private, trusted=trusted)
    assert await reached(store, person) == ["telegram:42"]


async def test_a_chat_of_a_pairing_counts_before_the_first_message(store: Store, clock: TurnedClock) -> None:
    asked = Pairing(
        channel="matrix",
        sender=Sender(id="@bert", name="Bert"),
        chat_id="!pair",
        code="ABCDEFGH",
        created=clock(),
        expires_at=clock() + timedelta(hours=1),
    )
    await store.pairings.request(asked, most_open=3)
    person = await store.people.of("matrix:@bert")
    assert await reached(store, person) == ["matrix:@bert"]
    await store.links.approve("ABCDEFGH", clock(), None)
    assert (await reached(store, person))[0] == "matrix:!pair"


async def test_preferred_chats_come_first_and_are_kept(store: Store, clock: TurnedClock) -> None:
    person = await anna(store, clock, "telegram:42", "matrix:@anna")
    preferred = [parse_address("ntfy:a:b\\c"), parse_address("telegram:42")]
    changed = await store.people.change(person, prefers=preferred)
    assert list(changed.prefers) == preferred
    assert (await store.people.change(person, name="Anna")).prefers == changed.prefers
    assert await reached(store, person) == ["ntfy:a:b\\c", "telegram:42", "matrix:@anna"]
    assert (await store.people.change(person, prefers=())).prefers == ()
    assert (await store.people.change(OWNER_ID, prefers=preferred)).prefers == tuple(preferred)
    assert await reached(store, OWNER_ID) == ["ntfy:a:b\\c"], "the other is of another person"


async def test_a_chat_that_was_separated_is_no_way_to_them(store: Store, clock: TurnedClock) -> None:
    person = await anna(store, clock, "telegram:42", "matrix:@anna")
    await wrote(store, clock, "matrix:@anna", "!room")
    await store.people.change(person, prefers=[parse_address("matrix:!room"), parse_address("matrix:@anna")])
    await store.links.unlink("matrix:@anna")
    assert await reached(store, person) == ["telegram:42"]


async def test_a_person_who_was_joined_is_reached_under_the_old_id(store: Store, clock: TurnedClock) -> None:
    await anna(store, clock, "telegram:42")
    bert = await anna(store, clock, "discord:7")
    await store.people.change(bert, prefers=[parse_address("ntfy:bert")])
    await store.links.join(bert, "telegram:42")
    assert await reached(store, bert) == await reached(store, "telegram:42") == ["ntfy:bert", "discord:7", "telegram:42"]


async def test_a_person_who_is_forgotten_is_reached_nowhere(store: Store, clock: TurnedClock) -> None:
    person = await anna(store, clock, "telegram:42")
    await store.people.forget(person)
    assert await reached(store, person) == []


# What follows.


async def test_a_refused_delivery_is_followed_on_the_next_channel_and_says_so(store: Store, clock: TurnedClock) -> None:
    person = await anna(store, clock, "discord:7", "telegram:42")
    first = to(person, "telegram:42", "dinner is ready", reply_to="5", replaces="6", expires_at=clock() + timedelta(hours=24))
    await store.outbox.enqueue([first])
    clock.turn(timedelta(hours=1))
    await fail(store, "telegram:42")
    failed_one, next_one = await chain(store, first.id)
    assert failed_one.state == "failed"
    event = next_one.event
    assert (next_one.state, str(event.address), event.reply_to, event.replaces) == ("queued", "discord:7", None, None)
    assert event.text == "dinner is ready\n\n(Could not be delivered on Telegram: There is no such chat.)"
    assert event.person is not None
    assert (event.person.id, event.person.after) == (person, first.id)
    assert event.origin == first.origin
    assert event.expires_at - clock() == timedelta(hours=24)
    claim = await claimed(store, "discord:7")
    assert await store.outbox.note(claim, settle=Settlement(state="sent"))
    assert len(await chain(store, first.id)) == 2


async def test_each_channel_is_tried_once_and_then_it_ends(store: Store, clock: TurnedClock) -> None:
    person = await anna(store, clock, "matrix:@anna", "discord:7", "telegram:42")
    await wrote(store, clock, "discord:7", "70")
    first = to(person, "telegram:42")
    await store.outbox.enqueue([first])
    await fail(store, "telegram:42")
    await fail(store, "discord:70", failed("forbidden"))
    await fail(store, "matrix:@anna", failed("unknown_room"))
    deliveries = await chain(store, first.id)
    assert [str(each.event.address) for each in deliveries] == ["telegram:42", "discord:70", "matrix:@anna"]
    assert {each.state for each in deliveries} == {"failed"}
    assert deliveries[-1].event.text.count("Could not be delivered") == 1
    assert "on Telegram: There is no such chat; on Discord: There is no such chat.)" in deliveries[-1].event.text
    for each in deliveries:
        assert await store.outbox.claim(each.event.address.lane, LEASE) is None
    await store.outbox.retry(None, first.id, clock() + timedelta(hours=1))
    await fail(store, "telegram:42")
    assert len(await chain(store, first.id)) == 3, "a retry by hand that fails again is followed by no second one"


async def test_one_that_expires_is_followed_by_the_keeper(store: Store, clock: TurnedClock) -> None:
    person = await anna(store, clock, "discord:7", "telegram:42")
    first = to(person, "telegram:42", expires_at=clock() + timedelta(hours=24))
    await store.outbox.enqueue([first])
    clock.turn(timedelta(hours=25))
    assert isinstance(await store.outbox.claim("telegram:42", LEASE), type(None))
    assert (await found(store, first.id)).state == "expired"
    await store.outbox.recover()
    await store.outbox.recover()
    (_, next_one) = await chain(store, first.id)
    assert (next_one.state, next_one.event.expires_at - clock()) == ("queued", timedelta(hours=24))
    assert "on Telegram: It expired before it could be sent.)" in next_one.event.text


@pytest.mark.parametrize("how", ["unknown", "cancelled", "started", "to an address", "queued", "sent"])
async def test_what_has_not_certainly_failed_is_followed_by_nothing(store: Store, clock: TurnedClock, how: str) -> None:
    person = await anna(store, clock, "discord:7", "telegram:42")
    first = to(person, "telegram:42")
    await store.outbox.enqueue([replace(first, person=None) if how == "to an address" else first])
    if how == "cancelled":
        await store.outbox.cancel(None, first.id)
    else:
        claim = await claimed(store, "telegram:42")
        assert await store.outbox.note(claim, plan=parts("hello"), start=0 if how == "started" else None)
        trouble = DeliveryError(code="timeout", words="No answer.")
        other = {"unknown": Settlement(state="unknown", trouble=trouble), "queued": again(clock()), "sent": Settlement(state="sent")}
        assert await store.outbox.note(claim, settle=other.get(how, BLOCKED))
    await store.outbox.recover()
    assert len(await chain(store, first.id)) == 1


async def test_a_report_of_the_platform_is_followed_too(store: Store, clock: TurnedClock) -> None:
    person = await anna(store, clock, "discord:7", "whatsapp:49")
    first = to(person, "whatsapp:49", "one|two")
    await store.outbox.enqueue([first])
    claim = await claimed(store, "whatsapp:49")
    assert await store.outbox.note(claim, plan=parts("one", "two"))
    for place in (0, 1):
        assert await store.outbox.note(claim, start=place, receipt=(place, receipt(f"wamid.{place}", clock())))
    assert await store.outbox.note(claim, settle=Settlement(state="sent"))
    for _ in range(2):
        for place in (1, 0):
            await store.outbox.undelivered("whatsapp", f"wamid.{place}", DeliveryError(code="131026", words="Not on WhatsApp."))
    (failed_one, next_one) = await chain(store, first.id)
    assert (failed_one.state, next_one.state) == ("failed", "queued")
    assert "on Whatsapp: Not on WhatsApp (1 of 2 parts arrived).)" in next_one.event.text


async def test_only_enabled_channels_follow(open_again: Opener, clock: TurnedClock) -> None:
    store = await open_again(offers=lambda address: address.channel != "matrix")
    person = await anna(store, clock, "discord:7", "matrix:@anna", "telegram:42")
    assert await reached(store, person) == ["telegram:42", "discord:7"]
    first = to(person, "telegram:42")
    await store.outbox.enqueue([first])
    await fail(store, "telegram:42")
    assert [each.event.address.channel for each in await chain(store, first.id)] == ["telegram", "discord"]


async def test_files_go_along(store: Store, clock: TurnedClock, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("files") / "report.txt"
    file.write_text("42")
    person = await anna(store, clock, "discord:7", "telegram:42")
    first = replace(to(person, "telegram:42", ""), media=(await store.media.keep(file, "report.txt"),))
    await store.outbox.enqueue([first])
    await fail(store, "telegram:42")
    next_one = (await chain(store, first.id))[1]
    assert next_one.event.media == first.media
    assert next_one.event.text.startswith("(Could not be delivered on Telegram:")
    clock.turn(timedelta(days=3))
    await store.outbox.purge(clock() - timedelta(hours=1))
    assert store.media.path(first.media[0]).read_text() == "42"
