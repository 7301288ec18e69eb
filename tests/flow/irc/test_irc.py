"""What the contract suite does not cover: logins, nicks, silence, accounts and masks, several lines, hostile lines."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, SendLater, SendRefused
from assistant.testing.channel_suite import RecordingLink, event_to, running, send
from assistant.testing.platform import until as holds
from channels.irc.lines import LINES, line_parts, room_for
from channels.irc.settings import IrcSettings
from tests.doubles.irc_platform import IrcPlatform
from tests.doubles.irc_server import IrcServer

Rig = Callable[..., IrcPlatform]
SASL = {"login": "sasl", "password": "right password"}


@pytest.fixture
async def server() -> AsyncGenerator[IrcServer]:
    async with IrcServer() as server:
        yield server


@pytest.fixture
async def rig(server: IrcServer, tmp_path: Path) -> AsyncGenerator[Rig]:
    made: list[IrcPlatform] = []

    def make(**more: Any) -> IrcPlatform:
        made.append(IrcPlatform(server, tmp_path, **more))
        return made[-1]

    yield make
    for each in made:
        await each.channel.close()


async def until(link: RecordingLink, server: IrcServer) -> list[str]:
    """What was heard before a last message."""
    server.accounts["last"] = "last"
    server.say("last", "", "the end")
    heard = [(await link.next()).text]
    while heard[-1] != "the end":
        heard.append((await link.next()).text)
    return heard[:-1]


def told(server: IrcServer) -> list[str]:
    """The nicks that were sent a notice, as far as the server has read."""
    return [line.at(0) for line in server.got if line.command == "NOTICE"]


async def test_a_login_by_sasl(server: IrcServer, rig: Rig):
    server.password = ("nanobot", "right password")
    assert await rig(**SASL).channel.identity() == "nanobot on 127.0.0.1"
    assert [line.command for line in server.got if line.command in ("AUTHENTICATE", "JOIN")] == ["AUTHENTICATE", "AUTHENTICATE"]


@pytest.mark.parametrize("password", ["right password", "x" * 291, "x" * 292, "x" * 600])
async def test_a_password_of_any_length(server: IrcServer, rig: Rig, password: str):
    """A response is sent in pieces of 400 bytes, and its end is told where the last piece is whole."""
    server.password = ("nanobot", password)
    sent: list[str] = []
    platform = rig(login="sasl", password=password)
    try:
        await asyncio.wait_for(platform.channel.identity(), 30)
    finally:
        sent = [line.at(0) for line in server.got if line.command == "AUTHENTICATE"][1:]
    assert len(sent[-1]) < 400


async def test_a_refused_password_is_fatal_and_not_told(server: IrcServer, rig: Rig):
    server.password = ("nanobot", "another")
    platform = rig(**SASL)
    with pytest.raises(ChannelFailed) as failed:
        await platform.channel.identity()
    assert failed.value.fatal
    assert "right password" not in str(failed.value)
    with pytest.raises(SendLater) as later:
        await send(platform)
    assert (later.value.trouble.code, later.value.whole_channel) == ("unauthorized", True)


async def test_a_server_without_sasl_gets_no_password(tmp_path: Path):
    async with IrcServer(caps="server-time") as server:
        platform = IrcPlatform(server, tmp_path, **SASL)
        with pytest.raises(ChannelFailed, match="nickserv"):
            await platform.channel.identity()
        assert "right password" not in str(server.got)
        await platform.channel.close()


async def test_a_login_by_nickserv(server: IrcServer, rig: Rig):
    platform = rig(login="nickserv", password="right password", account="nano")
    await platform.channel.identity()
    await send(platform)
    assert ("NickServ", "IDENTIFY nano right password") in [line.params for line in server.got]


async def test_a_nick_in_use_is_another_until_it_is_free(server: IrcServer, rig: Rig):
    server.taken = {"nanobot", "nanobot_"}
    platform = rig()
    async with running(platform.channel) as link:
        server.say("anna", "nanobot__", "hello")
        assert (await link.next()).private
        server.say("anna", "#room", "nanobot__: and here?")
        assert (await link.next()).text == "and here?"
    assert await platform.channel.identity() == "nanobot__ on 127.0.0.1"


async def test_a_nick_is_taken_as_soon_as_it_is_free_though_the_server_is_never_quiet(server: IrcServer, tmp_path: Path):
    server.taken = {"nanobot"}
    platform = IrcPlatform(server, tmp_path)
    platform.channel = platform.open(quiet=0.3)
    async with running(platform.channel) as link:
        assert server.clients == ["nanobot_"]
        server.say("anna", "", "hello")
        await link.next()
        server.taken = set()

        def taken() -> bool:
            server.say("anna", "#room", "words")
            return server.clients == ["nanobot"]

        await holds(taken)
        with pytest.raises(SendLater):  # and that it was in use refused no message to who has it
            await send(platform, event=event_to(Address(channel="irc", chat_id="absent"), "w1"))
    await platform.channel.close()


async def test_a_server_that_does_not_answer_is_hung_up_on(server: IrcServer, tmp_path: Path):
    platform = IrcPlatform(server, tmp_path)
    platform.channel = platform.open(patience=0.5)
    server.silent = True
    with pytest.raises(ChannelFailed, match="can't be reached"):
        await platform.channel.identity()
    await holds(lambda: server.connections == 1 and not server.clients)


async def test_a_channel_that_was_not_entered_in_time_is_entered_later(server: IrcServer, tmp_path: Path):
    platform = IrcPlatform(server, tmp_path)
    platform.channel = platform.open(patience=1)
    server.deaf = {"JOIN"}
    assert platform.group is not None
    with pytest.raises(SendLater):
        await send(platform, event=event_to(platform.group, "w1"))
    server.deaf = set()
    await send(platform, event=event_to(platform.group, "w2"))
    assert platform.texts() == ["w2"]
    await platform.channel.close()


async def test_a_connection_that_breaks_before_an_account_is_asked_about_is_no_bug(server: IrcServer, rig: Rig):
    platform = rig(lineSeconds=0.3)
    await send(platform, "\n\n".join(["w"] * 3))  # further lines have to wait
    asked = asyncio.create_task(send(platform, key="b", event=event_to(Address(channel="irc", chat_id="account:anna"), "w1")))
    await asyncio.sleep(0)
    server.drop()
    with pytest.raises(SendLater):
        await asked


async def test_a_silent_server_is_left_and_entered_again(server: IrcServer, tmp_path: Path):
    platform = IrcPlatform(server, tmp_path)
    platform.channel = platform.open(quiet=0.3)
    async with asyncio.timeout(60):
        await platform.channel.identity()
        server.silent = True
        with pytest.raises(ChannelFailed, match="silent"):
            await platform.channel.run(RecordingLink())
        server.silent = False
        await send(platform, "w1")
    assert server.connections == 2
    await platform.channel.close()


SENDERS: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({"trustNicks": False}, "Anna", "account:anna"),
    ({"trustNicks": False}, None, None),
    ({"trustNicks": True}, None, "anna!~anna@host.test"),
    ({"trustNicks": True, "allowFrom": ["ANNA!*@host.test"]}, None, "ANNA!*@host.test"),
    ({"trustNicks": True, "owners": ["anna!*@other.test"]}, None, "anna!~anna@host.test"),
    ({"trustNicks": True, "owners": ["anna!*@host.test"]}, "Anna", "account:anna"),
]


@pytest.mark.parametrize("caps", ["account-tag message-tags", "message-tags", ""], ids=["account-tag", "WHOIS", "no IRCv3"])
@pytest.mark.parametrize(("settings", "account", "id"), SENDERS)
async def test_who_a_sender_is(tmp_path: Path, caps: str, settings: dict[str, Any], account: str | None, id: str | None):
    async with IrcServer(caps=caps) as server:
        if account:
            server.accounts["anna"] = account
        platform = IrcPlatform(server, tmp_path, **settings)
        async with running(platform.channel) as link:
            for text in ("hello", "again"):
                server.say("anna", "", text)
            if id is None:
                assert await until(link, server) == []
            else:
                assert (await link.next()).sender.id == id
        await holds(lambda: told(server) == (["anna"] if id is None else []))
        await platform.channel.close()


@pytest.mark.parametrize("mask", ["anna!*@*", "anna", "anna@example.org", ""])
def test_what_others_can_take_is_no_sender(mask: str):
    with pytest.raises(ValidationError):
        IrcSettings.model_validate({"allowFrom": [mask]})


def test_a_server_elsewhere_is_reached_by_tls_only():
    with pytest.raises(ValidationError, match="this machine"):
        IrcSettings.model_validate({"host": "irc.example.org", "tls": False})


@pytest.mark.parametrize(
    ("text", "command", "heard"),
    [
        ("\x01VERSION\x01", "PRIVMSG", []),
        ("\x01ACTION waves\x01", "PRIVMSG", ["* anna waves"]),
        ("\x0304,01red\x0f and \x02bold\x02", "PRIVMSG", ["red and bold"]),
        ("hello", "NOTICE", []),
        ("\x01DCC SEND file 1 2 3\x01", "PRIVMSG", []),
        ("", "PRIVMSG", []),
    ],
)
async def test_what_a_program_says_is_not_answered(server: IrcServer, rig: Rig, text: str, command: str, heard: list[str]):
    platform = rig()
    async with running(platform.channel) as link:
        server.say("anna", "", text, command=command)
        assert await until(link, server) == heard
    assert not [line for line in server.got if line.command in ("NOTICE", "PRIVMSG")]


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("nanobot: hello", ["hello"]),
        ("NanoBot, hello", ["hello"]),
        ("is nanobot here?", ["is nanobot here?"]),
        ("nanobots are everywhere", []),
        ("my-nanobot: hello", []),
        ("hello", []),
        ("!help", ["!help"]),
    ],
)
async def test_a_channel_is_heard_by_nick(server: IrcServer, rig: Rig, text: str, heard: list[str]):
    platform = rig()
    async with running(platform.channel) as link:
        server.say("anna", "#room", text)
        assert await until(link, server) == heard


async def test_two_long_messages_stay_two(server: IrcServer, rig: Rig):
    platform = rig()
    async with running(platform.channel) as link:
        server.say("anna", "", "a" * 390)
        server.say("ben", "", "b")
        assert [len((await link.next()).text), (await link.next()).text] == [390, "b"]


async def test_who_has_no_account_is_told_once_over_all_connections(server: IrcServer, rig: Rig):
    platform = rig(trustNicks=False)
    for _ in range(2):
        async with running(platform.channel) as link:
            server.say("ben", "", "hello")
            assert await until(link, server) == []
            await holds(lambda: told(server))  # else it is lost with the connection
        server.drop()
        await holds(lambda: not server.clients)
    assert told(server) == ["ben"]


async def test_receipts_are_the_server_s_ids_where_it_echoes(server: IrcServer, rig: Rig):
    [receipt] = await send(rig(), "w1")
    assert receipt.message_id == "n0"


async def test_without_echoes_the_answer_to_a_ping_is_the_receipt(tmp_path: Path):
    async with IrcServer(caps="") as server:
        platform = IrcPlatform(server, tmp_path)
        [receipt] = await send(platform, "w1")
        assert receipt.message_id is None
        assert platform.texts() == ["w1"]
        await platform.channel.close()


async def test_a_person_who_is_not_there_is_told_later(rig: Rig):
    with pytest.raises(SendLater) as later:
        await send(rig(), event=event_to(Address(channel="irc", chat_id="absent"), "w1"))
    assert (later.value.trouble.code, later.value.retry_after, later.value.counts) == ("offline", 60.0, False)


async def test_an_account_is_written_to_where_it_is_logged_in(server: IrcServer, rig: Rig):
    platform, account = rig(), Address(channel="irc", chat_id="account:anna")
    with pytest.raises(SendLater) as later:
        await send(platform, event=event_to(account, "w1"))
    assert later.value.trouble.code == "offline"
    server.accounts["anna"] = "Anna"
    await send(platform, event=event_to(account, "w2"))
    assert [(each.chat_id, each.text) for each in platform.seen()] == [("anna", "w2")]


async def test_a_channel_that_lets_no_one_in_is_refused(rig: Rig):
    with pytest.raises(SendRefused):
        await send(rig(), event=event_to(Address(channel="irc", chat_id="#closed"), "w1"))


async def test_a_text_can_give_no_commands(server: IrcServer, rig: Rig):
    await send(rig(), "w1\r\nQUIT :bye\rJOIN #evil\x00PART #room")
    assert not [line for line in server.got if line.command in ("QUIT", "PART") or line.at(0) == "#evil"]


@pytest.mark.parametrize("target", ["anna", "#" + "r" * 60])
@pytest.mark.parametrize("text", ["ö" * 2000, "👨‍👩‍👧‍👦 " * 300, "wort " * 900, "x" * 2000, "a\n\n\nb", "e\u0301" * 900])
def test_every_line_has_room(target: str, text: str):
    parts = line_parts(text, room_for(target))
    lines = [line for part in parts for line in part.text.split("\n")]
    assert all(0 < len(line.encode()) <= room_for(target) for line in lines)
    assert all(part.text.count("\n") < LINES for part in parts)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert not any(line[0] in "\u0301\u200d" for line in lines)


HOSTILE: list[bytes] = [
    b"@" + b"a=b;" * 3000 + b" :x!y@z PRIVMSG nanobot :w",
    b"@time=9999999999999999-99;msgid=" + b"m" * 5000 + b" :x!y@z PRIVMSG nanobot :\x01ACTION",
    b":x!y@z PRIVMSG",
    b":nanobot!~n@host.test KICK",
    b":irc.test PONG",
    b":irc.test 318 nanobot",
    b":irc.test 433",
    b":x!y@z BATCH +",
    b":x!y@z BATCH +b draft/multiline nanobot",
    b":x!y@z BATCH -b",
    b":irc.test NICK",
    b":x!y@z PRIVMSG nanobot :\xff\xfe\xfd",
    b"\x00\x01\x02",
    b":" + b"n" * 17_000 + b" PRIVMSG nanobot :w",
    b":irc.test BATCH + draft/multiline nanobot",
    b"@msgid=\x00\x00;account=\x00;time=2026-01-01T00:00:00 :a\x00b!y@z PRIVMSG nanobot :w\x00",
    b"@time=\xff;account= :x!y@z PRIVMSG nanobot :w",
    b":nanobot!~n@host.test NICK",
    b":irc.test 433 nanobot anna :in use",
    "：x!y@z PRIVMSG nanobot :w".encode(),
    ":irc.test ４３３ nanobot :w".encode(),
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_line_holds_up_nothing(server: IrcServer, rig: Rig, line: bytes):
    platform = rig()
    async with running(platform.channel) as link:
        server.raw(line)
        await until(link, server)
        await send(platform)
