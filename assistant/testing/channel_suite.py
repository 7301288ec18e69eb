"""The contract of a channel, as tests: subclass `ChannelSuite` as `TestMine` and override its fixture.

Needs pytest and pytest-asyncio, which are no dependencies of the package. What the platform can't do (`ChannelPlatform.abilities`, `.failures`) is
skipped. The cases about addresses and plans are here; `SendCases` and `ReceiveCases` hold the others.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import ClassVar

import pytest

from assistant.contracts.channels import ChannelSettings, SendRefused
from assistant.contracts.errors import InvalidAddress
from assistant.contracts.outbox import Button, Media, OutboundPart
from assistant.testing.channel_in import ReceiveCases
from assistant.testing.channel_out import SendCases
from assistant.testing.channel_texts import FAMILY, LONG_TEXT, TEXTS, needs, words_in
from assistant.testing.platform import ChannelPlatform, Failure, FolderFiles, RecordingLink, Said, Seen, event_to, running, send

__all__ = ["ChannelPlatform", "ChannelSuite", "Failure", "FolderFiles", "RecordingLink", "Said", "Seen", "event_to", "running", "send"]


def plan(platform: ChannelPlatform, text: str, **more: object) -> Sequence[OutboundPart]:
    return platform.channel.plan(event_to(platform.address, text, **more))  # pyright: ignore[reportArgumentType] - of event_to


class PlanCases:
    async def test_an_address_has_one_spelling(self, platform: ChannelPlatform) -> None:
        checked = platform.kind.check_address(platform.settings, platform.address)
        assert platform.kind.check_address(platform.settings, checked) == checked

    async def test_an_address_that_can_not_exist_is_refused(self, platform: ChannelPlatform) -> None:
        assert platform.bad_addresses
        for bad in platform.bad_addresses:
            with pytest.raises(InvalidAddress):
                platform.kind.check_address(platform.settings, bad)

    async def test_the_configuration_names_addresses_that_exist(self, platform: ChannelPlatform) -> None:
        for chat in platform.kind.named(platform.settings):
            platform.kind.check_address(platform.settings, type(platform.address)(channel=platform.kind.name, chat_id=chat))

    async def test_it_has_a_name_and_settings_of_its_own(self, platform: ChannelPlatform) -> None:
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", platform.kind.name)
        assert isinstance(platform.settings, ChannelSettings)
        assert platform.channel.name == platform.kind.name
        assert all(need.key and need.asks for need in platform.kind.needs)

    async def test_a_plan_is_pure_and_loses_no_word(self, platform: ChannelPlatform) -> None:
        event = event_to(platform.address, LONG_TEXT)
        parts = platform.channel.plan(event)
        assert list(parts) == list(platform.channel.plan(event))
        assert words_in([part.text for part in parts]) == words_in([part.plain for part in parts]) == words_in([LONG_TEXT])
        assert platform.texts() == []

    @pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
    async def test_every_word_of_any_text_is_planned(self, platform: ChannelPlatform, text: str) -> None:
        parts = plan(platform, text)
        wanted = set(words_in([text]))
        assert wanted <= set(words_in([part.text for part in parts])), "text"
        assert wanted <= set(words_in([part.plain for part in parts])), "plain"

    async def test_a_link_keeps_its_address(self, platform: ChannelPlatform) -> None:
        [part] = plan(platform, "see [w1](https://example.org/x13?a=1) and <https://example.org/x14>")
        assert all(address in part.text for address in ("https://example.org/x13?a=1", "https://example.org/x14"))
        assert all(address in part.plain for address in ("https://example.org/x13?a=1", "https://example.org/x14"))

    @pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
    async def test_no_part_is_longer_than_the_platform_takes(self, platform: ChannelPlatform, text: str) -> None:
        for part in plan(platform, text):
            assert len(part.plain) <= platform.most_text

    async def test_emoji_are_never_cut(self, platform: ChannelPlatform) -> None:
        for part in plan(platform, FAMILY * 1500):
            assert FAMILY[1] not in (part.plain.strip()[:1], part.plain.strip()[-1:]), "a joiner at the edge: a family was cut"
            assert not unicodedata.combining(part.plain.strip()[0])

    @pytest.mark.parametrize("text", ["", " ", "\n\n", "\u200b", "\x00\x01"])
    async def test_nothing_to_see_is_refused(self, platform: ChannelPlatform, text: str) -> None:
        with pytest.raises(SendRefused):
            plan(platform, text)

    async def test_what_is_too_large_is_left_out_and_said(self, platform: ChannelPlatform) -> None:
        large = Media(name="film.mkv", media_type="video/x-matroska", size=max(platform.most_file, 1) + (1 << 40), digest="0" * 64)
        parts = plan(platform, "w1", media=(large,))
        assert words_in([part.text for part in parts]) == ["w1"]
        assert not any(part.media for part in parts)
        assert "film.mkv" in parts[-1].notice
        with pytest.raises(SendRefused):
            plan(platform, "", media=(large,))

    async def test_many_files_are_all_planned(self, platform: ChannelPlatform) -> None:
        needs(platform, "files")
        _, kind, _ = platform.samples[-1]
        many = tuple(Media(name=f"f{number}.x", media_type=kind, size=100, digest=f"{number:064}") for number in range(23))
        parts = plan(platform, "w1", media=many)
        assert [each.name for part in parts for each in part.media] == [each.name for each in many]
        assert words_in([part.text for part in parts]) == ["w1"]

    async def test_the_files_of_one_part_are_no_more_than_memory_holds(self, platform: ChannelPlatform) -> None:
        """They are held in memory while they are sent."""
        needs(platform, "files")
        _, kind, _ = platform.samples[-1]
        half = max(platform.most_file, 2) // 2
        many = tuple(Media(name=f"f{number}.x", media_type=kind, size=half, digest=f"{number:064}") for number in range(9))
        assert all(sum(each.size for each in part.media) <= 100 << 20 for part in plan(platform, "w1", media=many))

    async def test_buttons_are_buttons_or_words(self, platform: ChannelPlatform) -> None:
        rows = (
            (Button(text="b1"), Button(text="b2", url="https://example.org/b3")),
            (Button(text="b4", command="/snooze 10m", subject="occ_1"), Button(text="b5", url="javascript:alert(1)")),
            tuple(Button(text=f"b{number}") for number in range(6, 40)),
        )
        parts = plan(platform, "w1", buttons=rows)
        shown = {button.text for part in parts for row in part.buttons for button in row}
        written = " ".join(part.plain for part in parts)
        for number in (1, 2, *range(4, 40)):
            named = f"b{number}"
            command = named == "b4" and "/snooze 10m" in written
            assert named in shown or re.search(rf"\b{named}\b", written) or command, f"{named} is neither a button nor written"
        assert "b2" in shown or "https://example.org/b3" in written
        assert not any(button.url == "javascript:alert(1)" for part in parts for row in part.buttons for button in row)


class ChannelSuite(PlanCases, SendCases, ReceiveCases):
    pytestmark: ClassVar = [pytest.mark.asyncio]

    @pytest.fixture
    def platform(self) -> ChannelPlatform:
        """Override this."""
        raise NotImplementedError
