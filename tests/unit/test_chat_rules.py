"""What the kit decides for every chat: what is read, what is fetched, what is gone, and what a button says."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendFailed, SendRefused
from assistant.contracts.inbox import Command, InboundFile, Sender
from channels.kit.answers import date_in
from channels.kit.commands import pressed
from channels.kit.conversation import ChatConversation, PlainWire
from channels.kit.hearing import Hearing
from channels.kit.http import Answered, PlatformError, Unanswered
from channels.kit.refusals import send_failure, still_there

ROOM = Address(channel="test", chat_id="room", thread_id="topic")


@pytest.mark.parametrize(
    ("groups", "channels", "read"),
    [
        ("all", (), True),
        ("mention", (), True),
        ("off", (), False),
        ("mention", ("room",), True),
        ("mention", ("topic",), True),
        ("mention", ("other",), False),
        ("off", ("room",), False),
    ],
)
def test_a_group_is_read_where_the_settings_say_so_and_a_private_chat_always(groups: str, channels: tuple[str, ...], read: bool) -> None:
    hearing = Hearing(groups, channels=channels)  # pyright: ignore[reportArgumentType] - one of its words
    assert hearing.reads(ROOM, private=False) is read
    assert hearing.reads(Address(channel="test", chat_id="anna"), private=True)


@pytest.mark.parametrize("value", [None, "", "soon", "Sun, 99 Foo 2026", "Sun, 06 Nov 999999999 08:49:37 GMT"])
def test_what_is_no_date_is_none(value: str | None) -> None:
    assert date_in(value) is None


@pytest.mark.parametrize("value", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 09:49:37 +0100"])
def test_a_date_is_in_utc_where_it_names_no_zone(value: str) -> None:
    assert date_in(value) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


async def _answers(error: PlatformError | None) -> None:
    if error is not None:
        raise error


async def test_a_message_is_gone_only_where_the_platform_says_that() -> None:
    def gone(error: Answered) -> bool:
        return error.status == 404

    assert await still_there(_answers(None), gone)
    assert not await still_there(_answers(Answered(404, "no")), gone)
    for error in (Answered(403, "no"), Unanswered("no")):
        with pytest.raises(type(error)):
            await still_there(_answers(error), gone)


class _Wire(PlainWire):
    def __init__(self) -> None:
        self.fetched: list[str] = []

    def failure(self, error: PlatformError) -> SendFailed:
        return send_failure(error, "Test")

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        self.fetched.append(file.ref)


async def test_a_file_that_is_known_to_be_too_large_is_not_asked_for(tmp_path: Path) -> None:
    wire = _Wire()
    conversation = ChatConversation(wire=wire)
    for size in (None, 10, 11):
        file = InboundFile(name="a", kind="document", media_type="text/plain", size=size, ref=str(size))
        if size == 11:
            with pytest.raises(SendRefused):
                await conversation.fetch(file, tmp_path / "in", 10)
        else:
            await conversation.fetch(file, tmp_path / "in", 10)
    assert wire.fetched == ["None", "10"]


@pytest.mark.parametrize(
    ("value", "label", "words", "command"),
    [
        ("say:Yes", None, "Yes", None),
        ("do:/done 7", None, "/done 7", Command(name="done", arguments="7")),
        ("at:0.1", "A long label", "A long label", None),
        ("say:half \ud83d", None, "half \ufffd", None),
    ],
)
def test_a_press_is_the_message_of_the_one_who_pressed(value: str, label: str | None, words: str, command: Command | None) -> None:
    press = pressed(value, label)
    assert press is not None
    message = press.message(external_id="1", address=ROOM, sender=Sender(id="7", name="Anna"), private=False, message_id="2")
    assert (message.text, message.command, message.chosen, message.sender.id) == (words, command, True, "7")


@pytest.mark.parametrize(("value", "label"), [("", None), ("say:", None), ("at:0.1", None), ("other", "words")])
def test_a_press_of_anothers_button_is_none(value: str, label: str | None) -> None:
    assert pressed(value, label) is None
