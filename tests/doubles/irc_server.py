"""A stand-in for an IRC server, with the parts of IRCv3 that ngircd lacks. https://modern.ircdocs.horse, https://ircv3.net/irc/"""

import asyncio
import base64
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Self

from assistant.testing.platform import Failure, Seen
from channels.irc.lines import IrcLine, parsed

_CAPS: Final = "sasl=PLAIN,EXTERNAL account-tag batch draft/multiline=max-bytes=40000 echo-message message-tags server-time"
_ANSWERS: Final[Mapping[str, str]] = {
    "refuse": "486 {nick} {target} :You must identify to a registered nick to private message {target}",
    "limit": "439 {nick} {target} :Message target change too fast. Please wait 30 seconds.",
    "blocked": "716 {nick} {target} :is in +g mode (server-side ignore).",
}
"""https://modern.ircdocs.horse/#numerics, https://defs.ircdocs.horse/defs/numerics"""


class IrcFaults:
    """What the assistant's lines meet, and what of them was accepted: the lines before a PING are one message."""

    def __init__(self) -> None:
        self.accepted: list[Seen] = []
        self.faults: deque[Failure] = deque()
        self.always: Failure | None = None
        self._swallows = False

    def fail(self, how: Failure) -> None:
        if how in ("unauthorized", "blocked"):
            self.always = how
        else:
            self.faults.append(how)

    def heal(self) -> None:
        self.always = None
        self.faults.clear()

    def said(self, nick: str, target: str, text: str, id: str | None = None) -> str | None:
        """The server's answer to a line in place of taking it; empty: none. None: it is taken."""
        how = self.always or (self.faults[0] if self.faults else None)
        if how == "hold":
            self._swallows = True
            return ""
        if how is not None and how in _ANSWERS:
            return _ANSWERS[how].format(nick=nick, target=target)
        self._lines.append(text)
        if len(self._lines) == 1:
            self._first = Seen(id=id or f"n{len(self.accepted)}", text=text, chat_id=target)
        return None

    _lines: list[str]
    _first: Seen

    def pinged(self) -> str:
        """ "answer", "swallow" or "cut": what happens to the PING."""
        if self._lines:
            self.accepted.append(Seen(id=self._first.id, text="\n".join(self._lines), chat_id=self._first.chat_id))
        self._lines = []
        how = self.faults[0] if self.faults else None
        if self._swallows:
            self._swallows = False
            self.faults.popleft()
            return "swallow"
        if how is not None:
            self.faults.popleft()
        return "cut" if how == "lose" else "answer"


class IrcServer(IrcFaults):
    """`say` writes as a person. `accounts`: nick → account, told by account-tag, or by WHOIS where the server has no such tag."""

    def __init__(self, *, caps: str = _CAPS) -> None:
        super().__init__()
        self._lines = []
        self.caps = caps
        self.accounts: dict[str, str] = {}
        self.taken: set[str] = set()
        self.password: tuple[str, str] | None = None
        self.got: list[IrcLine] = []
        self.port = 0
        self.silent = False
        self.deaf: set[str] = set()
        """Commands that get no answer."""
        self.connections = 0
        self._clients: dict[asyncio.StreamWriter, str] = {}
        self._asked: dict[asyncio.StreamWriter, set[str]] = {}
        self._ready: set[asyncio.StreamWriter] = set()
        self._sasl = ""
        self.joined = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        await self._server.wait_closed()

    def fail(self, how: Failure) -> None:
        super().fail(how)
        if how == "unauthorized":
            self.drop()

    @property
    def clients(self) -> list[str]:
        """The nicks of those that are connected; empty: it has none yet."""
        return list(self._clients.values())

    def drop(self) -> None:
        for writer in list(self._clients):
            writer.transport.abort()

    def raw(self, line: bytes | str) -> None:
        """A line to every client."""
        for writer in self._clients:
            writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def say(self, nick: str, target: str, text: str, *, command: str = "PRIVMSG", **tags: str) -> None:
        """`tags`: msgid, time, bot …"""
        for writer, here in self._clients.items():
            known = self.accounts.get(nick) if "account-tag" in self._asked.get(writer, ()) else None
            all_tags = tags | ({"account": known} if known else {})
            written = ";".join(f"{name}={value}" for name, value in all_tags.items())
            front = f"@{written} " if written and "message-tags" in self._asked.get(writer, ()) else ""
            to = target or here
            source = f":{nick}!~{nick}@host.test"
            if "\n" in text:
                writer.write(f"{front}{source} BATCH +b1 draft/multiline {to}\r\n".encode())
                for line in text.split("\n"):
                    writer.write(f"@batch=b1{';' + written if written else ''} {source} {command} {to} :{line}\r\n".encode())
                writer.write(b":irc.test BATCH -b1\r\n")
                continue
            for start in range(0, max(len(text), 1), 400):
                writer.write(f"{front}{source} {command} {to} :{text[start : start + 400]}\r\n".encode())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._clients[writer] = ""
        try:
            while data := await reader.readline():
                line = parsed(data)
                if line is None or self.silent:
                    continue
                self.got.append(line)
                if line.command in self.deaf:
                    continue
                if not self._answer(writer, line):
                    break
        except ConnectionError:
            pass
        finally:
            self._clients.pop(writer, None)
            self._asked.pop(writer, None)
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, line: IrcLine) -> bool:
        """False: the connection ends."""

        def put(text: str) -> None:
            writer.write(f":irc.test {text}\r\n".encode())

        nick = self._clients[writer] or "*"
        match line.command, line.at(0):
            case "CAP", "LS":
                put(f"CAP * LS :{self.caps}")
            case "CAP", "REQ":
                self._asked[writer] = set(line.at(1).split())
                put(f"CAP {nick} ACK :{line.at(1)}")
            case "CAP", _:
                self._ready.add(writer)
                self._welcome(writer, put)
            case "AUTHENTICATE", "PLAIN" | "EXTERNAL":
                put("AUTHENTICATE +")
            case "AUTHENTICATE", piece if len(piece) == 400:
                self._sasl += piece
            case "AUTHENTICATE", piece:
                answer, self._sasl = self._sasl + piece.removesuffix("+" * (piece == "+")), ""
                given = base64.b64decode(answer).decode().split("\0")[1:]
                right = self.password is not None and given == list(self.password)
                put(f"903 {nick} :SASL authentication successful" if right else f"904 {nick} :SASL authentication failed")
            case "NICK", wanted if wanted in self.taken:
                put(f"433 {nick} {wanted} :Nickname is already in use")
            case "NICK", wanted:
                if nick != "*":
                    writer.write(f":{nick}!~n@host.test NICK {wanted}\r\n".encode())
                self._clients[writer] = wanted
                if nick == "*":
                    self._welcome(writer, put)
            case "JOIN", room if room == "#closed":
                put(f"473 {nick} {room} :Cannot join channel (+i)")
            case "JOIN", room:
                self.joined.set()
                writer.write(f":{nick}!~n@host.test JOIN {room}\r\n".encode())
            case "WHOIS", who:
                if who in self.accounts:
                    put(f"330 {nick} {who} {self.accounts[who]} :is logged in as")
                put(f"318 {nick} {who} :End of /WHOIS list")
            case "PRIVMSG", target:
                self._said(writer, put, nick, target, line.at(1))
            case "PING", token:
                how = self.pinged() if token != "quiet" else "answer"
                if how == "answer":
                    put(f"PONG irc.test {token}")
                return how != "cut"
            case "QUIT", _:
                return False
            case _:
                pass
        return True

    def _said(self, writer: asyncio.StreamWriter, put: Any, nick: str, target: str, text: str) -> None:
        assert len(f":{nick}!~n@host.test PRIVMSG {target} :{text}\r\n".encode()) <= 512, "the server would cut it"
        if target == "absent":
            put(f"401 {nick} {target} :No such nick")
            return
        id = f"n{len(self.accepted)}" if "echo-message" in self._asked.get(writer, ()) else None
        answer = self.said(nick, target, text, id)
        if answer:
            put(answer)
        elif answer is None and id is not None:
            writer.write(f"@msgid={id} :{nick}!~n@host.test PRIVMSG {target} :{text}\r\n".encode())

    def _welcome(self, writer: asyncio.StreamWriter, put: Any) -> None:
        nick = self._clients[writer]
        if not nick or (self.caps and writer not in self._ready):
            return
        if self.always == "unauthorized":
            put(f"464 {nick} :Password incorrect")
            return
        put(f"001 {nick} :Welcome")
        put(f"376 {nick} :End of /MOTD command")
