"""Cases about sending: each part once, in order, and an error that says whether it arrived."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, Preview, SendFailed, SendLater, SendRefused, SendUnclear, SendUndecided
from assistant.contracts.outbox import Button
from assistant.testing.channel_texts import LONG_TEXT, TEXTS, needs, words_in
from assistant.testing.platform import PICTURE, WITHIN, ChannelPlatform, Failure, event_to, send, until


def can_fail(platform: ChannelPlatform, how: Failure) -> None:
    if how not in platform.failures:
        pytest.skip(f"{platform.kind.name} does not fail so: {how}")
    platform.fail(how)


class SendCases:
    async def test_each_part_arrives_once_and_in_order(self, platform: ChannelPlatform) -> None:
        await send(platform, LONG_TEXT)
        assert words_in(platform.texts()) == words_in([LONG_TEXT])

    @pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
    async def test_every_word_of_any_text_arrives(self, platform: ChannelPlatform, text: str) -> None:
        await send(platform, text)
        assert set(words_in([text])) <= set(words_in(platform.texts()))

    async def test_receipts_have_the_ids_of_the_messages(self, platform: ChannelPlatform) -> None:
        receipts = await send(platform, LONG_TEXT)
        ids = [receipt.message_id for receipt in receipts]
        if any(ids):
            assert ids == [each.id for each in platform.seen()]
            assert len(set(ids)) == len(ids)

    async def test_a_refusal_is_send_refused(self, platform: ChannelPlatform) -> None:
        platform.fail("refuse")
        with pytest.raises(SendRefused) as refused:
            await send(platform)
        assert refused.value.trouble.code
        assert not words_in([refused.value.trouble.words]), "an error must not quote the message"
        assert platform.texts() == []

    async def test_a_receiver_who_blocked_us_is_send_refused(self, platform: ChannelPlatform) -> None:
        can_fail(platform, "blocked")
        with pytest.raises(SendRefused) as refused:
            await send(platform)
        assert refused.value.trouble.code == "blocked"

    async def test_a_rate_limit_is_send_later_with_the_wait(self, platform: ChannelPlatform) -> None:
        platform.fail("limit")
        with pytest.raises(SendLater) as later:
            await send(platform)
        assert (later.value.retry_after, later.value.counts) == (30, False)
        assert platform.texts() == []

    async def test_a_key_that_is_not_accepted_stops_the_whole_channel(self, platform: ChannelPlatform) -> None:
        can_fail(platform, "unauthorized")
        with pytest.raises(SendLater) as later:
            await send(platform)
        assert (later.value.whole_channel, later.value.counts) == (True, False)
        platform.heal()
        await send(platform)
        assert words_in(platform.texts()) == ["w1"]

    async def test_a_failure_of_the_platform_loses_and_doubles_nothing(self, platform: ChannelPlatform) -> None:
        can_fail(platform, "server_error")
        with pytest.raises((SendLater, SendUnclear)):
            await send(platform)
        await send(platform)
        assert words_in(platform.texts()) == ["w1"]

    async def test_a_lost_answer_is_send_unclear(self, platform: ChannelPlatform) -> None:
        platform.fail("lose")
        with pytest.raises(SendUnclear):
            await send(platform)
        assert words_in(platform.texts()) == ["w1"], "`send` must send a part once"
        if platform.channel.keyed:
            await send(platform)
            assert words_in(platform.texts()) == ["w1"], "`keyed`: the same key must give no second message"

    async def test_an_answer_that_can_not_be_read_is_send_unclear(self, platform: ChannelPlatform) -> None:
        can_fail(platform, "garbage")
        with pytest.raises(SendUnclear):
            await send(platform)
        assert len(words_in(platform.texts())) <= 1

    async def test_a_key_holds_over_a_restart(self, platform: ChannelPlatform) -> None:
        if not platform.channel.keyed:
            pytest.skip("this platform takes no key")
        platform.fail("lose")
        with pytest.raises(SendUnclear):
            await send(platform)
        await platform.channel.close()
        await platform.reopen()
        again = datetime.now(UTC) - timedelta(seconds=5)
        await send(platform, again=again)
        assert words_in(platform.texts()) == ["w1"]

    async def test_a_send_without_an_answer_holds_up_no_other_and_can_be_cancelled(self, platform: ChannelPlatform) -> None:
        platform.fail("hold")
        sends = [asyncio.create_task(send(platform, key=key)) for key in ("first", "second")]
        done, held = await asyncio.wait(sends, timeout=WITHIN, return_when=asyncio.FIRST_COMPLETED)
        assert [task.exception() for task in done] == [None]
        for task in held:
            task.cancel()
        _, stuck = await asyncio.wait(sends, timeout=WITHIN)
        assert not stuck, "`send` must end when it is cancelled"

    async def test_sends_side_by_side_all_arrive(self, platform: ChannelPlatform) -> None:
        async with asyncio.timeout(WITHIN):
            await asyncio.gather(*[send(platform, f"w{number}", key=f"k{number}x") for number in range(20)])
        assert sorted(words_in(platform.texts())) == sorted(f"w{number}" for number in range(20))

    async def test_the_words_arrive_where_their_form_is_refused(self, platform: ChannelPlatform) -> None:
        can_fail(platform, "form")
        [receipt] = await send(platform, "**w1** _w2_")
        assert words_in(platform.texts()) == ["w1", "w2"]
        assert receipt.notice

    async def test_an_answer_refers_to_its_message(self, platform: ChannelPlatform) -> None:
        needs(platform, "replies")
        [first] = await send(platform, "w1", key="a")
        await send(platform, key="b", event=replace(event_to(platform.address, "w2"), reply_to=first.message_id))
        assert platform.seen()[-1].reply_to == first.message_id

    async def test_an_answer_to_a_message_that_is_gone_arrives(self, platform: ChannelPlatform) -> None:
        needs(platform, "replies")
        can_fail(platform, "reply_gone")
        [first] = await send(platform, "w1", key="a", event=replace(event_to(platform.address, "w1"), reply_to="1"))
        assert words_in(platform.texts()) == ["w1"]
        assert first.message_id is None or first.message_id == platform.seen()[-1].id

    async def test_a_thread_is_written_to(self, platform: ChannelPlatform) -> None:
        needs(platform, "threads")
        assert platform.group is not None
        await send(platform, event=event_to(replace(platform.group, thread_id=platform.thread_id), "w1"))
        assert (platform.seen()[-1].chat_id, platform.seen()[-1].thread_id) == (platform.group.chat_id, platform.thread_id)

    async def test_what_was_for_a_thread_that_is_gone_goes_to_its_chat(self, platform: ChannelPlatform) -> None:
        needs(platform, "threads")
        can_fail(platform, "thread_gone")
        assert platform.group is not None
        [receipt] = await send(platform, event=event_to(replace(platform.group, thread_id=platform.thread_id), "w1"))
        assert (platform.seen()[-1].chat_id, platform.seen()[-1].thread_id) == (platform.group.chat_id, None)
        assert receipt.notice

    async def test_an_edit_replaces_a_preview(self, platform: ChannelPlatform) -> None:
        needs(platform, "edits")
        [first] = await send(platform, "w1", key="a")
        [edited] = await send(platform, key="b", event=event_to(platform.address, "w2", replaces=first.message_id))
        assert edited.message_id == first.message_id
        assert words_in(platform.texts()) == ["w2"]
        await send(platform, key="b", event=event_to(platform.address, "w2", replaces=first.message_id))
        assert words_in(platform.texts()) == ["w2"], "an edit may be repeated"

    async def test_a_preview_that_is_gone_becomes_a_new_message(self, platform: ChannelPlatform) -> None:
        needs(platform, "edits")
        [first] = await send(platform, "w1", key="a")
        can_fail(platform, "edit_gone")
        event = event_to(platform.address, "w2", replaces=first.message_id)
        await send(platform, key="b", event=event)
        assert words_in(platform.texts())[-1] == "w2"
        if not platform.channel.keyed:
            platform.fail("edit_gone")
            with pytest.raises(SendUndecided):
                await send(platform, key="b", event=event, again=datetime.now(UTC))

    async def test_a_preview_becomes_the_answer(self, platform: ChannelPlatform) -> None:
        """It is one message from its first words to its last, also where the process ends between them."""
        needs(platform, "edits", "previews")
        first = self._preview(platform, posted=None)
        first.update("**w1")
        await until(platform.texts)
        posted = await first.close()
        assert posted == platform.seen()[0].id
        second = self._preview(platform, posted=posted)
        second.update("w1 w2")
        await until(lambda: words_in(platform.texts()) == ["w1", "w2"])
        assert await second.close() == posted
        [receipt] = await send(platform, event=event_to(platform.address, "**w1** w2 w3", replaces=posted))
        assert receipt.message_id == posted
        assert words_in(platform.texts()) == ["w1", "w2", "w3"]

    async def test_a_long_preview_is_cut_and_a_long_answer_is_not(self, platform: ChannelPlatform) -> None:
        needs(platform, "edits", "previews")
        preview = self._preview(platform, posted=None)
        preview.update(LONG_TEXT)
        await until(platform.texts)
        posted = await preview.close()
        assert len(platform.texts()[0]) <= platform.most_text
        await send(platform, event=event_to(platform.address, LONG_TEXT, replaces=posted))
        assert words_in(platform.texts()) == words_in([LONG_TEXT])

    @staticmethod
    def _preview(platform: ChannelPlatform, posted: str | None) -> Preview:
        assert platform.channel.conversation is not None
        preview = platform.channel.conversation.preview(platform.address, reply_to=None, posted=posted, note=lambda _: None)
        assert preview is not None
        return preview

    async def test_a_process_that_ends_in_the_middle_of_a_send_sends_it_later(self, platform: ChannelPlatform) -> None:
        platform.fail("hold")
        sends = [asyncio.create_task(send(platform, text, key=text)) for text in ("w1", "w2")]
        await asyncio.wait(sends, timeout=WITHIN, return_when=asyncio.FIRST_COMPLETED)
        [held] = [number for number, task in enumerate(sends) if not task.done()]
        sends[held].cancel()
        await asyncio.wait(sends, timeout=WITHIN)
        platform.heal()
        await platform.reopen()
        text = ("w1", "w2")[held]
        await send(platform, text, key=text, again=datetime.now(UTC))
        assert sorted(words_in(platform.texts())) == ["w1", "w2"]

    async def test_files_arrive_with_their_names(self, platform: ChannelPlatform) -> None:
        needs(platform, "files")
        media = tuple(platform.files.put(name, content, kind) for name, kind, content in platform.samples)
        await send(platform, event=event_to(platform.address, "w1", media=media))
        assert [name for each in platform.seen() for name in each.files] == [name for name, _, _ in platform.samples]
        assert words_in(platform.texts()) == ["w1"]

    async def test_a_file_alone_arrives(self, platform: ChannelPlatform) -> None:
        needs(platform, "files")
        name, kind, content = platform.samples[-1]
        await send(platform, event=event_to(platform.address, "", media=(platform.files.put(name, content, kind),)))
        assert [name for each in platform.seen() for name in each.files] == [name]

    async def test_the_words_arrive_where_a_file_is_refused(self, platform: ChannelPlatform) -> None:
        needs(platform, "files")
        can_fail(platform, "files")
        media = (platform.files.put("a.png", PICTURE, "image/png"),)
        receipts = await send(platform, event=event_to(platform.address, "w1", media=media))
        assert words_in(platform.texts()) == ["w1"]
        assert any("a.png" in receipt.notice for receipt in receipts)
        platform.heal()

    async def test_a_file_that_is_not_kept_is_refused(self, platform: ChannelPlatform) -> None:
        needs(platform, "files")
        name, kind, content = platform.samples[0]
        media = platform.files.put(name, content, kind)
        platform.files.path(media).unlink()
        with pytest.raises(SendFailed):
            await send(platform, event=event_to(platform.address, "", media=(media,)))
        assert platform.seen() == []

    async def test_buttons_arrive(self, platform: ChannelPlatform) -> None:
        needs(platform, "buttons")
        rows = ((Button(text="b1"), Button(text="b2", url="https://example.org/x")), (Button(text="b3", command="/done", subject="occ_1"),))
        await send(platform, event=event_to(platform.address, "w1", buttons=rows))
        seen = platform.seen()[-1]
        if seen.buttons != ("b1", "b2", "b3"):  # a platform whose buttons open no pages
            assert seen.buttons == ("b1", "b3")
            assert "https://example.org/x" in seen.text

    async def test_an_unknown_chat_is_refused_or_taken(self, platform: ChannelPlatform) -> None:
        """Whatever a chat's id is, a send ends with a receipt or a SendFailed."""
        for chat in ("0", "x" * 200, "../../x", "https://example.org", "%00", "a b"):
            with contextlib.suppress(SendFailed):
                await send(platform, key=f"k{len(chat)}", event=event_to(Address(channel=platform.kind.name, chat_id=chat), "w1"))

    async def test_it_has_an_identity_and_closes_twice(self, platform: ChannelPlatform) -> None:
        assert await platform.channel.identity()
        await platform.channel.close()
        await platform.channel.close()

    async def test_credentials_that_are_not_accepted_are_told(self, platform: ChannelPlatform) -> None:
        can_fail(platform, "unauthorized")
        with pytest.raises(ChannelFailed):
            await platform.channel.identity()
