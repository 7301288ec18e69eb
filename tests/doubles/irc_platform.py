"""IRC as the contract suite of channels sees it: the stand-in, and the channel that talks to it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import Said, Seen
from channels.irc.adapter import IrcChannel
from channels.irc.kind import KIND
from channels.irc.settings import IrcSettings
from tests.doubles.irc_server import IrcServer
from tests.doubles.served import ServedPlatform


class IrcPlatform(ServedPlatform[Any, IrcChannel]):
    kind = KIND
    address = Address(channel="irc", chat_id="anna")
    bad_addresses = (
        Address(channel="irc", chat_id="two words"),
        Address(channel="irc", chat_id="0anna"),
        Address(channel="irc", chat_id="#a,b"),
        Address(channel="irc", chat_id="anna", thread_id="1"),
    )
    receives = True
    abilities = frozenset({"groups", "bots", "strangers", "clock"})
    failures = frozenset({"refuse", "limit", "lose", "hold", "unauthorized", "blocked"})
    group = Address(channel="irc", chat_id="#room")
    most_text = 4 * 400

    def __init__(self, server: Any, folder: Path, **more: Any) -> None:
        section = {"enabled": True, "host": "127.0.0.1", "port": server.port, "tls": False, "channels": ["#room"], "lineSeconds": 0}
        super().__init__(server, folder, IrcSettings.model_validate({**section, "trustNicks": True, **more}))

    def open(self, **more: Any) -> IrcChannel:
        return IrcChannel(self.settings, self.context, pause=0.01, gather=20, **more)

    def seen(self) -> Sequence[Seen]:
        return self.server.accepted

    def write(self, said: Said) -> str:
        assert isinstance(self.server, IrcServer)
        id = said.id or f"p{len(self.server.got)}-{id_count()}"
        text = f"nanobot: {said.text}" if said.mention else said.text
        by = {"assistant": "nanobot", "stranger": "ben"}.get(said.by, "anna")
        bot = {"bot": ""} if said.by == "bot" else {}
        at = datetime.now(UTC) + timedelta(seconds=said.ahead)
        self.server.say(by, "#room" if said.group else "", text, msgid=id, time=f"{at:%Y-%m-%dT%H:%M:%S}.000Z", **bot)
        return id

    def garble(self) -> None:
        for line in (
            b"",
            b"\xff\xfe\x00",
            b":",
            b"@",
            b"@a=b",
            b":x PRIVMSG",
            b"PRIVMSG nanobot",
            b":x!y@z PRIVMSG nanobot",
            b"x" * 20_000,
        ):
            self.server.raw(line)


_count = iter(range(1 << 30))


def id_count() -> int:
    return next(_count)
