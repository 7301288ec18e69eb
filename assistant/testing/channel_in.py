"""Cases about receiving: what is for the assistant comes in once, in order, stored before it is acknowledged."""

import asyncio
from pathlib import Path

import pytest

from assistant.contracts.channels import SendRefused, TakesCalls
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.outbox import Button
from assistant.testing.channel_texts import LONG_TEXT, needs, words_in
from assistant.testing.platform import WITHIN, ChannelPlatform, RecordingLink, Said, event_to, running, send, until


def receives(platform: ChannelPlatform) -> None:
    if not platform.receives:
        pytest.skip("this channel only sends")


class ReceiveCases:
    async def test_run_connects_and_ends_when_cancelled(self, platform: ChannelPlatform) -> None:
        async with running(platform.channel):
            pass

    async def test_a_message_is_acknowledged_after_it_is_accepted(self, platform: ChannelPlatform) -> None:
        receives(platform)
        async with running(platform.channel) as link:
            link.gate.clear()
            platform.say("w1")
            await link.offered.get()
            await send(platform, LONG_TEXT)  # time in which a channel could acknowledge too early
            assert not platform.acknowledged()
            link.gate.set()
            message = await link.next()
            if type(platform).acknowledged is not ChannelPlatform.acknowledged:
                await until(platform.acknowledged)
        assert (message.text, message.address, message.private) == ("w1", platform.address, True)
        assert message.external_id
        assert message.sender.id
        assert message.trusted or platform.settings.let_in_by_secret
        assert message.at.tzinfo is not None

    async def test_a_message_that_could_not_be_stored_comes_again(self, platform: ChannelPlatform) -> None:
        receives(platform)
        async with running(platform.channel) as link:
            link.unavailable = 1
            platform.say("w1")
            assert (await link.next()).text == "w1"
            assert link.offered.qsize() == 2

    async def test_a_message_that_comes_again_has_the_same_id(self, platform: ChannelPlatform) -> None:
        receives(platform)
        async with running(platform.channel) as link:
            id = platform.write(Said(text="w1"))
            first = await link.next()
            platform.write(Said(text="w1", id=id))
            platform.write(Said(text="w2"))
            others = [await link.next()]
            if others[0].text == "w1":
                others.append(await link.next())
            assert {message.external_id for message in (first, *others) if message.text == "w1"} == {first.external_id}
            assert others[-1].external_id != first.external_id

    async def test_a_message_in_the_middle_of_the_end_comes_again(self, platform: ChannelPlatform) -> None:
        """The server stops while a message is being stored: it is not acknowledged, and is there after the restart."""
        receives(platform)
        if not ({"reconnects", "signed"} & platform.abilities):
            pytest.skip("this platform keeps no message for us")
        async with running(platform.channel) as link:
            platform.say("w0")
            await link.next()
            link.offered.get_nowait()
            link.gate.clear()
            platform.say("w1")
            await link.offered.get()
        assert not platform.acknowledged()
        link.gate.set()
        async with running(platform.channel, link):
            said = [(await link.next()).text]
            if said == ["w0"]:  # again: the same id
                said = [(await link.next()).text]
        assert said == ["w1"]

    async def test_a_flood_arrives_in_order(self, platform: ChannelPlatform) -> None:
        receives(platform)
        async with running(platform.channel) as link:
            for number in range(100):
                platform.write(Said(text=f"w{number}"))
            said = [(await link.next()).text for _ in range(100)]
        assert said == [f"w{number}" for number in range(100)]

    async def test_the_store_is_away_for_a_while_and_the_order_stays(self, platform: ChannelPlatform) -> None:
        receives(platform)
        async with running(platform.channel) as link:
            link.unavailable = 2
            for number in range(5):
                platform.write(Said(text=f"w{number}"))
            said = [(await link.next()).text for _ in range(5)]
        assert said == [f"w{number}" for number in range(5)]

    async def test_what_can_not_be_read_holds_up_nothing(self, platform: ChannelPlatform) -> None:
        receives(platform)
        async with running(platform.channel) as link:
            platform.garble()
            platform.write(Said(text="w1"))
            assert (await link.next()).text == "w1"

    @pytest.mark.parametrize("text", ["שלום w1", "👨‍👩‍👧‍👦 w1", "w1 " + "x" * 3000, "a\nb\n\nw1", "w1 <b>&amp;</b> *x* `y` _z_ \\"])
    async def test_any_text_comes_in_whole(self, platform: ChannelPlatform, text: str) -> None:
        receives(platform)
        async with running(platform.channel) as link:
            platform.write(Said(text=text))
            got = (await link.next()).text
        assert "".join(got.split()) == "".join(text.split())

    @pytest.mark.parametrize(
        ("text", "name", "arguments"), [("/help", "help", ""), ("/snooze 10m occ_1", "snooze", "10m occ_1"), ("/etc/hosts", "", "")]
    )
    async def test_a_command_is_one(self, platform: ChannelPlatform, text: str, name: str, arguments: str) -> None:
        receives(platform)
        if platform.settings.let_in_by_secret:
            pytest.skip("no person writes here")
        async with running(platform.channel) as link:
            platform.write(Said(text=text))
            command = (await link.next()).command
        assert (command.name, command.arguments) == (name, arguments) if command else not name

    async def test_its_own_messages_are_never_read(self, platform: ChannelPlatform) -> None:
        receives(platform)
        async with running(platform.channel) as link:
            platform.write(Said(text="w1", by="assistant"))
            platform.write(Said(text="w2"))
            assert (await link.next()).text == "w2"

    async def test_other_bots_are_not_heard(self, platform: ChannelPlatform) -> None:
        receives(platform)
        needs(platform, "bots")
        async with running(platform.channel) as link:
            platform.write(Said(text="w1", by="bot"))
            platform.write(Said(text="w2"))
            assert (await link.next()).text == "w2"

    async def test_a_group_is_heard_where_it_mentions_the_assistant(self, platform: ChannelPlatform) -> None:
        receives(platform)
        needs(platform, "groups")
        async with running(platform.channel) as link:
            platform.write(Said(text="w1", group=True))
            platform.write(Said(text="w2", group=True, mention=True))
            message = await link.next()
        assert (words_in([message.text]), message.address, message.private) == (["w2"], platform.group, False)

    async def test_an_answer_to_the_assistant_is_heard_in_a_group(self, platform: ChannelPlatform) -> None:
        receives(platform)
        needs(platform, "groups", "replies")
        assert platform.group is not None
        async with running(platform.channel) as link:
            await send(platform, event=event_to(platform.group, "w1"))
            platform.write(Said(text="w2", group=True, answers_us=True))
            assert words_in([(await link.next()).text]) == ["w2"]

    async def test_a_thread_is_a_conversation_of_its_own(self, platform: ChannelPlatform) -> None:
        receives(platform)
        needs(platform, "groups", "threads")
        async with running(platform.channel) as link:
            platform.write(Said(text="w1", group=True, mention=True, thread_id=platform.thread_id))
            message = await link.next()
        assert platform.group is not None
        assert (message.address.chat_id, message.address.thread_id) == (platform.group.chat_id, platform.thread_id)

    async def test_an_edit_is_a_message_of_its_own(self, platform: ChannelPlatform) -> None:
        receives(platform)
        needs(platform, "edits_in")
        async with running(platform.channel) as link:
            id = platform.write(Said(text="w1"))
            first = await link.next()
            platform.write(Said(text="w2", edits=id))
            second = await link.next()
        assert second.text == "w2"
        assert first.external_id != second.external_id

    async def test_what_a_message_answers_is_quoted(self, platform: ChannelPlatform) -> None:
        receives(platform)
        needs(platform, "quotes_in")
        async with running(platform.channel) as link:
            platform.write(Said(text="w1", quotes="w2"))
            message = await link.next()
        assert message.text == "w1"
        assert message.quote is not None
        assert words_in([message.quote.text]) == ["w2"]

    async def test_a_file_is_fetched(self, platform: ChannelPlatform, tmp_path: Path) -> None:
        receives(platform)
        needs(platform, "files_in")
        async with running(platform.channel) as link:
            platform.write(Said(text="w1", files=(("ü b.pdf", b"%PDF-1.4 x"),)))
            message = await link.next()
            [file] = message.files
            assert file.name.endswith(".pdf")
            conversation = platform.channel.conversation
            assert conversation is not None
            await conversation.fetch(file, tmp_path / "in", 1000)
            assert (tmp_path / "in").read_bytes() == b"%PDF-1.4 x"
            with pytest.raises(SendRefused) as refused:
                await conversation.fetch(file, tmp_path / "out", 5)
            assert refused.value.trouble.code == "too_large"
        assert message.text == ("w1" if platform.files_have_words else "")

    async def test_a_file_without_words_comes_in(self, platform: ChannelPlatform) -> None:
        receives(platform)
        needs(platform, "files_in")
        async with running(platform.channel) as link:
            platform.write(Said(text="", files=(("a.txt", b"x"),)))
            assert len((await link.next()).files) == 1

    async def test_a_pressed_button_says_its_words(self, platform: ChannelPlatform) -> None:
        receives(platform)
        needs(platform, "buttons")
        rows = ((Button(text="b1"), Button(text="b2", command="/done", subject="occ_1")),)
        async with running(platform.channel) as link:
            await send(platform, event=event_to(platform.address, "w1", buttons=rows))
            platform.press("b1")
            first = await link.next()
            platform.press("b2")
            second = await link.next()
        assert (first.text, first.chosen, first.command) == ("b1", True, None)
        assert second.command is not None
        assert (second.command.name, second.command.arguments, second.chosen) == ("done", "occ_1", True)
        assert first.address == second.address == platform.address

    async def test_a_connection_that_breaks_is_made_again_and_nothing_is_lost(self, platform: ChannelPlatform) -> None:
        receives(platform)
        needs(platform, "reconnects")
        link = RecordingLink()
        async with asyncio.timeout(WITHIN):
            run = asyncio.create_task(_supervised(platform, link))
            try:
                await link.up.wait()
                platform.say("w1")
                assert (await link.next()).text == "w1"
                platform.drop()
                platform.say("w2")
                said = await link.next()
                while said.text == "w1":  # again: the same id
                    said = await link.next()
                assert said.text == "w2"
            finally:
                run.cancel()
                await asyncio.wait([run])

    async def test_a_stranger_is_passed_on_as_such(self, platform: ChannelPlatform) -> None:
        """Who may write is not for the channel to decide."""
        receives(platform)
        needs(platform, "strangers")
        async with running(platform.channel) as link:
            platform.write(Said(text="w1"))
            known = await link.next()
            platform.write(Said(text="w2", by="stranger"))
            stranger = await link.next()
        assert (stranger.text, stranger.private, stranger.trusted) == ("w2", True, True)
        assert stranger.sender.id != known.sender.id
        assert stranger.address != known.address

    @pytest.mark.parametrize("ahead", [-3600.0, 3600.0, -90 * 86_400.0])
    async def test_a_clock_that_is_wrong_loses_no_message(self, platform: ChannelPlatform, ahead: float) -> None:
        receives(platform)
        needs(platform, "clock")
        async with running(platform.channel) as link:
            platform.write(Said(text="w1", ahead=ahead))
            platform.write(Said(text="w2"))
            assert [(await link.next()).text, (await link.next()).text] == ["w1", "w2"]

    async def test_a_group_that_gets_another_id_is_followed(self, platform: ChannelPlatform) -> None:
        receives(platform)
        needs(platform, "groups", "moves")
        assert platform.group is not None
        async with running(platform.channel) as link:
            now = platform.move()
            await until(lambda: link.chats_moved)
            assert set(link.chats_moved) == {(platform.group.chat_id, now.chat_id)}
            await send(platform, event=event_to(platform.group, "w1"))
        assert [(each.chat_id, each.text) for each in platform.seen()] == [(now.chat_id, "w1")]

    async def test_typing_and_a_reaction_are_shown(self, platform: ChannelPlatform) -> None:
        receives(platform)
        if not ({"typing", "reactions"} & platform.abilities):
            pytest.skip("this platform shows neither")
        conversation = platform.channel.conversation
        assert conversation is not None
        async with running(platform.channel) as link:
            id = platform.write(Said(text="w1"))
            message = await link.next()
            await conversation.typing(message.address)
            await conversation.acknowledge(message)
        if "typing" in platform.abilities:
            assert platform.typed() == [platform.address.chat_id]
        if "reactions" in platform.abilities:
            assert platform.reacted() == [id]

    async def test_a_call_is_taken_by_a_server_that_does_not_run_the_channel(self, platform: ChannelPlatform) -> None:
        """Of several that are one assistant, one runs it, and the platform calls any."""
        needs(platform, "signed")
        link = RecordingLink()
        assert isinstance(platform.channel, TakesCalls)
        platform.channel.attach(link)
        platform.write(Said(text="w1"))
        assert (await link.next()).text == "w1"
        platform.channel.attach(None)

    async def test_a_forged_call_is_refused(self, platform: ChannelPlatform) -> None:
        needs(platform, "signed")
        async with running(platform.channel) as link:
            assert await platform.forge(Said(text="w1")) in (400, 401, 403)
            platform.write(Said(text="w2"))
            assert (await link.next()).text == "w2"

    async def test_a_call_of_another_hour_is_no_new_message(self, platform: ChannelPlatform) -> None:
        """Recorded and sent again: refused where the platform signs the time, else recognised by its id."""
        needs(platform, "signed")
        async with running(platform.channel) as link:
            status = await platform.forge(Said(text="w1", id="1001"), stale=True)
            platform.write(Said(text="w2"))
            first = await link.next()
            if status >= 400:
                assert first.text == "w2"
            else:
                await platform.forge(Said(text="w1", id="1001"), stale=True)
                ids = {first.external_id} if first.text == "w1" else set[str]()
                while not link.kept.empty():
                    message = link.kept.get_nowait()
                    ids |= {message.external_id} if message.text == "w1" else set()
                assert len(ids) <= 1

    async def test_nothing_that_a_chat_shows_can_fail_a_turn(self, platform: ChannelPlatform) -> None:
        """Typing and reactions raise SendFailed at most."""
        receives(platform)
        conversation = platform.channel.conversation
        if conversation is None:
            pytest.skip("it has no conversations")
        async with running(platform.channel) as link:
            platform.write(Said(text="w1"))
            message = await link.next()
            await conversation.typing(message.address)
            await conversation.acknowledge(message)
        assert conversation.typing_seconds > 0


async def _supervised(platform: ChannelPlatform, link: RecordingLink) -> None:
    """As the supervisor runs a channel: again when it ends."""
    while True:
        try:
            await platform.channel.run(link)
        except (asyncio.CancelledError, StoreUnavailable):
            raise
        except Exception:  # noqa: BLE001 - a broken connection
            await asyncio.sleep(0.05)
