"""The contract suite of channels against a real ngircd, behind a proxy that loses answers."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendLater
from assistant.testing.channel_suite import ChannelPlatform, ChannelSuite, Said, event_to, running, send
from tests.doubles.irc_platform import IrcPlatform
from tests.doubles.ngircd import MISSING, PROGRAM, IrcProxy, Person, ngircd

pytestmark = pytest.mark.skipif(not PROGRAM, reason=MISSING)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Generator[int]:
    with ngircd(tmp_path_factory.mktemp("ngircd")) as port:
        yield port


class NgircdPlatform(IrcPlatform):
    abilities = IrcPlatform.abilities - {"strangers", "clock"}

    def __init__(self, proxy: IrcProxy, folder: Path, anna: Person) -> None:
        self._anna = anna
        super().__init__(proxy, folder)

    def write(self, said: Said) -> str:
        if said.id is not None or said.by == "assistant":
            return said.id or ""  # ngircd sends nothing again, and no one their own words
        text = f"nanobot: {said.text}" if said.mention else said.text
        target = "#room" if said.group else "nanobot"
        command = "NOTICE" if said.by == "bot" else "PRIVMSG"
        for start in range(0, max(len(text), 1), 400):
            self._anna.put(f"{command} {target} :{text[start : start + 400]}")
        return f"place{id(said)}"


@pytest.fixture
async def anna(port: int) -> AsyncGenerator[Person]:
    person = await Person.enter(port, "anna", "#room")
    yield person
    await person.leave()


@pytest.fixture
async def platform(port: int, anna: Person, tmp_path: Path) -> AsyncGenerator[NgircdPlatform]:
    async with IrcProxy(port) as proxy:
        platform = NgircdPlatform(proxy, tmp_path, anna)
        yield platform
        await platform.channel.close()
        anna.put("WHOIS nanobot")  # until the nick is free
        while (await anna.until("401", "318")).command != "401":
            anna.put("WHOIS nanobot")


class TestIrcOnNgircd(ChannelSuite):
    @pytest.fixture
    async def platform(self, platform: NgircdPlatform) -> NgircdPlatform:
        return platform

    @pytest.mark.parametrize("text", ["שלום w1", "👨‍👩‍👧‍👦 w1", "w1 " + "x" * 3000, "w1 <b>&amp;</b> *x* `y` _z_ \\"])
    async def test_any_text_comes_in_whole(self, platform: ChannelPlatform, text: str) -> None:
        """Without the text of several lines, which a server without draft/multiline can't carry as one message."""
        await super().test_any_text_comes_in_whole(platform, text)


async def test_a_person_reads_what_was_sent(platform: NgircdPlatform, anna: Person):
    await send(platform, "**hello** anna\nsecond line")
    assert [(await anna.until("PRIVMSG")).at(1) for _ in range(2)] == ["hello anna", "second line"]


async def test_no_line_is_cut_by_the_server(platform: NgircdPlatform, anna: Person):
    words = "Jörg 👍🏽 schrieb " * 400
    await send(platform, words)
    got: list[str] = []
    while len(" ".join(got).split()) < len(words.split()):
        got.append((await anna.until("PRIVMSG")).at(1))
    assert " ".join(got).split() == words.split()


async def test_a_person_who_is_not_there_gets_it_later(platform: NgircdPlatform):
    with pytest.raises(SendLater) as later:
        await send(platform, event=event_to(Address(channel="irc", chat_id="ben"), "w1"))
    assert (later.value.trouble.code, later.value.counts) == ("offline", False)


async def test_a_channel_that_is_not_joined_yet_is_joined_to_write(platform: NgircdPlatform, anna: Person):
    anna.put("JOIN #other")
    await anna.until("366")
    async with running(platform.channel):
        await send(platform, event=event_to(Address(channel="irc", chat_id="#other"), "w1"))
    assert (await anna.until("PRIVMSG")).params == ("#other", "w1")


async def test_a_broken_connection_is_made_again_under_the_same_nick(platform: NgircdPlatform, anna: Person):
    async with asyncio.timeout(60):
        await send(platform, "w1", key="a")
        assert (await anna.until("PRIVMSG")).at(1) == "w1"
        platform.drop()
        anna.put("WHOIS nanobot")
        while (await anna.until("401", "318")).command != "401":
            anna.put("WHOIS nanobot")
        await send(platform, "w2", key="b")
        assert (await anna.until("PRIVMSG")).params == ("anna", "w2")
