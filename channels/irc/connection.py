"""One connection to an IRC server: registration, login, lines in and out at the pace that servers bear. https://modern.ircdocs.horse"""

import asyncio
import base64
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from assistant.contracts.channels import ChannelFailed
from assistant.contracts.redaction import Redactor
from assistant.contracts.util import new_id
from channels.irc.lines import IrcLine, lower, parsed, written
from channels.irc.settings import IrcSettings

_WANTED: Final = ("account-tag", "batch", "draft/multiline", "echo-message", "message-tags", "sasl", "server-time")
_BURST: Final = 4
_MOST_LINE: Final = 16_384
"""Bytes of a line with its tags."""
_MOST_NICKS: Final = 5
_NO_LOGIN: Final = frozenset({"902", "904", "905", "906", "908"})
_TAKEN: Final = frozenset({"433", "436", "437"})
_BANNED: Final = frozenset({"464", "465"})


@dataclass(slots=True)
class Waiter:
    """Lines that were written, until the server has answered the PING behind them."""

    target: str
    token: str
    done: "asyncio.Future[None]"
    refusal: IrcLine | None = None
    message_id: str | None = None


@dataclass(slots=True)
class Whois:
    done: "asyncio.Future[str]"
    account: str = ""


@dataclass(slots=True)
class IrcConnection:
    """Made by `connect`. `take` gets what is not about the connection itself."""

    settings: IrcSettings
    take: Callable[[IrcLine], object]
    quiet_seconds: float = 90.0
    """Without a line after which the server is asked; as long again without an answer, and the connection is dead. As often a nick that was in use
    is asked for again."""
    patience: float = 20.0
    """Seconds in which the server has to answer."""
    nick: str = ""
    caps: set[str] = field(default_factory=set[str])
    joined: set[str] = field(default_factory=set[str])
    ended: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Why, once it has ended."""
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None
    _task: "asyncio.Task[None] | None" = None
    _waiting: deque[Waiter] = field(default_factory=deque[Waiter])
    _joins: dict[str, "asyncio.Future[IrcLine | None]"] = field(default_factory=dict[str, "asyncio.Future[IrcLine | None]"])
    _whois: dict[str, Whois] = field(default_factory=dict[str, Whois])
    _pace: asyncio.Lock = field(default_factory=asyncio.Lock)
    _sent: deque[float] = field(default_factory=lambda: deque[float](maxlen=_BURST))
    _asked_for_nick: float = 0.0

    async def connect(self) -> None:
        """Raises ChannelFailed; fatal where the login is refused."""
        settings = self.settings
        try:
            async with asyncio.timeout(self.patience):
                context = await asyncio.to_thread(_context, settings)
                self._reader, self._writer = await asyncio.open_connection(settings.host, settings.port, ssl=context, limit=_MOST_LINE)
                await self._register()
        except BaseException as error:
            self._hang_up()
            if isinstance(error, ssl.SSLError):
                raise ChannelFailed(f"{settings.host} has no certificate that can be trusted ({error.reason}).") from None
            if isinstance(error, (OSError, TimeoutError, ValueError)):
                raise ChannelFailed(f"{settings.host}:{settings.port} can't be reached ({type(error).__name__}).") from None
            raise
        self._asked_for_nick = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._read(), name="irc")

    async def close(self) -> None:
        if self._writer is not None and not self.ended.done():
            self._put("QUIT", "bye")
        self._hang_up()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._end("closed")

    async def said(self, target: str, lines: list[str]) -> Waiter:
        """Write lines and a PING behind them, and wait for the server's answer to that, which comes after it has taken the lines. Raises
        ConnectionError where nothing was written, ChannelFailed where a part may have been."""
        waiter = Waiter(lower(target), new_id("p"), asyncio.get_running_loop().create_future())
        try:
            async with self._pace:
                for place, line in enumerate(lines):
                    await self._turn()
                    if self.ended.done():
                        raise ChannelFailed(self.ended.result()) if place else ConnectionError
                    if not place:
                        self._waiting.append(waiter)
                    self._put("PRIVMSG", target, line)
                await self._turn()
                self._put("PING", waiter.token)
            await waiter.done
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
        return waiter

    async def join(self, room: str, key: str = "") -> IrcLine | None:
        """Be in a channel; returns the server's refusal, if it refuses. Raises ChannelFailed, TimeoutError."""
        if (name := lower(room)) in self.joined:
            return None
        if name not in self._joins:
            self._joins[name] = asyncio.get_running_loop().create_future()
            self._put("JOIN", room, *([key] if key else []))
        try:
            async with asyncio.timeout(self.patience):
                return await asyncio.shield(self._joins[name])
        except TimeoutError:
            self._joins.pop(name, None)
            raise

    async def account_of(self, nick: str) -> str:
        """The account that a nick is logged in to, by WHOIS; empty: none, or it is unknown."""
        asked = self._whois.get(name := lower(nick))
        if asked is None:
            asked = self._whois[name] = Whois(asyncio.get_running_loop().create_future())
            async with self._pace:
                await self._turn()
                self._put("WHOIS", nick)
        try:
            async with asyncio.timeout(self.patience):
                return await asyncio.shield(asked.done)
        except TimeoutError:
            self._whois.pop(name, None)
            return ""

    async def notice(self, target: str, text: str) -> None:
        async with self._pace:
            await self._turn()
            self._put("NOTICE", target, text)

    async def _turn(self) -> None:
        """Wait until a line may be written."""
        now = asyncio.get_running_loop().time
        if len(self._sent) == _BURST:
            await asyncio.sleep(max(0.0, self._sent[0] + _BURST * self.settings.line_seconds - now()))
        self._sent.append(now())

    def _put(self, command: str, *params: str) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(written(command, *params))

    async def _register(self) -> None:
        """https://modern.ircdocs.horse/#connection-registration"""
        settings = self.settings
        if settings.server_password is not None:
            self._put("PASS", settings.server_password.get_secret_value())
        self._put("CAP", "LS", "302")
        self._put("NICK", settings.nick)
        self._put("USER", settings.nick[:10], "0", "*", settings.real_name)
        offered: set[str] = set()
        wanted = settings.nick
        while True:
            line = await self._next()
            match line.command:
                case "PING":
                    self._put("PONG", line.at(0))
                case "CAP" if line.at(1) == "LS":
                    offered |= {each.partition("=")[0] for each in line.at(-1).split()}
                    if line.at(2) != "*":
                        self._put("CAP", *(("REQ", " ".join(sorted(offered & set(_WANTED)))) if offered & set(_WANTED) else ("END",)))
                case "CAP" if line.at(1) == "ACK":
                    self.caps |= set(line.at(-1).split())
                    self._put(
                        *(("AUTHENTICATE", "PLAIN" if settings.login == "sasl" else "EXTERNAL") if self._by_sasl() else ("CAP", "END"))
                    )
                case "AUTHENTICATE":
                    self._authenticate()
                case "CAP" | "903":
                    self._put("CAP", "END")
                case command if command in _NO_LOGIN:
                    raise ChannelFailed(f"{settings.host} does not accept channels.irc.password: {self._said(line)}", fatal=True)
                case command if command in _BANNED:
                    raise ChannelFailed(f"{settings.host} does not let the assistant in: {self._said(line)}", fatal=True)
                case command if command in _TAKEN:
                    wanted += "_"
                    if len(wanted) > len(settings.nick) + _MOST_NICKS:
                        raise ChannelFailed(f"The nick {settings.nick} and those like it are in use.")
                    self._put("NICK", wanted)
                case "432":
                    raise ChannelFailed(
                        f"{settings.host} does not take the nick {wanted}: {self._said(line)}", fatal=wanted == settings.nick
                    )
                case "ERROR":
                    raise ChannelFailed(f"{settings.host} ended the connection: {self._said(line)}")
                case "001":
                    self.nick = line.at(0) or wanted
                case "376" | "422":
                    break
                case _:
                    pass
        if settings.password is not None and not self._by_sasl():
            if settings.login == "sasl":
                raise ChannelFailed(f'{settings.host} has no SASL: set login to "nickserv".', fatal=True)
            self._put("PRIVMSG", "NickServ", f"IDENTIFY {self._account} {settings.password.get_secret_value()}")

    @property
    def _account(self) -> str:
        return self.settings.account or self.settings.nick

    def _by_sasl(self) -> bool:
        wanted = self.settings.login == "certificate" or (self.settings.login == "sasl" and self.settings.password is not None)
        return wanted and "sasl" in self.caps

    def _authenticate(self) -> None:
        """https://ircv3.net/specs/extensions/sasl-3.1"""
        secret = self.settings.password.get_secret_value() if self.settings.password is not None else ""
        plain = f"\0{self._account}\0{secret}" if self.settings.login == "sasl" else ""
        sent = base64.b64encode(plain.encode()).decode()
        for start in range(0, len(sent) + 1, 400):
            self._put("AUTHENTICATE", sent[start : start + 400] or "+")

    async def _next(self) -> IrcLine:
        """Raises ChannelFailed at the end."""
        assert self._reader is not None
        while True:
            try:
                line = await self._reader.readline()
            except ValueError:  # longer than any line may be
                continue
            except OSError:
                line = b""
            if not line:
                raise ChannelFailed(f"{self.settings.host} closed the connection.")
            if (found := parsed(line)) is not None:
                return found

    async def _read(self) -> None:
        asked = False
        why = "the connection broke"
        try:
            while True:
                self._want_nick()
                try:
                    async with asyncio.timeout(self.quiet_seconds):
                        line = await self._next()
                except TimeoutError:
                    if asked:
                        why = f"{self.settings.host} is silent"
                        return
                    asked = True
                    self._put("PING", "quiet")
                    continue
                asked = False
                if line.command == "ERROR":
                    why = f"{self.settings.host} ended the connection: {self._said(line)}"
                self._got(line)
        except ChannelFailed as error:
            why = why if why != "the connection broke" else str(error)
        finally:
            self._hang_up()
            self._end(why)

    def _want_nick(self) -> None:
        """The nick that was in use may be free by now."""
        now = asyncio.get_running_loop().time()
        if lower(self.nick) != lower(self.settings.nick) and now - self._asked_for_nick >= self.quiet_seconds:
            self._asked_for_nick = now
            self._put("NICK", self.settings.nick)

    def _got(self, line: IrcLine) -> None:
        match line.command:
            case "PING":
                self._put("PONG", *line.params[:1])
            case "PONG":
                self._taken(line.at(-1))
            case "NICK" if lower(line.nick) == lower(self.nick):
                self.nick = line.at(0) or self.nick
            case "JOIN" if lower(line.nick) == lower(self.nick):
                self.joined.add(lower(line.at(0)))
                self._join_ended(line.at(0), None)
            case "PART" | "KICK" if lower(line.at(1) if line.command == "KICK" else line.nick) == lower(self.nick):
                self.joined.discard(lower(line.at(0)))
            case "330":
                if (asked := self._whois.get(lower(line.at(1)))) is not None:
                    asked.account = line.at(2)
            case "318":
                if (asked := self._whois.pop(lower(line.at(1)), None)) is not None and not asked.done.done():
                    asked.done.set_result(asked.account)
            case "PRIVMSG" if lower(line.nick) == lower(self.nick):
                self._echoed(line)
            case "PRIVMSG" | "BATCH":
                self.take(line)
            case command if command == "263" or (command.isdecimal() and command >= "400" and command not in _TAKEN):
                self._refused(line)
            case _:
                pass

    def _taken(self, token: str) -> None:
        if waiter := next((each for each in self._waiting if each.token == token), None):
            self._waiting.remove(waiter)
            if not waiter.done.done():
                waiter.done.set_result(None)

    def _echoed(self, line: IrcLine) -> None:
        """https://ircv3.net/specs/extensions/echo-message"""
        for waiter in self._waiting:
            if waiter.target == lower(line.at(0)) and waiter.message_id is None:
                waiter.message_id = line.tags.get("msgid")
                return

    def _refused(self, line: IrcLine) -> None:
        """An error is about the first that waits for an answer about the same target; of a join, about that channel."""
        named = {lower(param) for param in line.params[1:-1]}
        if asked := named & self._joins.keys():
            self._join_ended(asked.pop(), line)
            return
        for waiter in self._waiting:
            if waiter.target in named:
                waiter.refusal = waiter.refusal or line
                return

    def _join_ended(self, room: str, refusal: IrcLine | None) -> None:
        ended = self._joins.pop(lower(room), None)
        if ended is not None and not ended.done():
            ended.set_result(refusal)

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)
        for future in [each.done for each in self._waiting] + [each.done for each in self._whois.values()] + list(self._joins.values()):
            if not future.done():
                future.set_exception(ChannelFailed(why))
                future.exception()  # it is read where something waits for it
        self._waiting.clear()
        self._whois.clear()
        self._joins.clear()

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _said(self, line: IrcLine) -> str:
        given = (self.settings.password, self.settings.server_password)
        return Redactor([each.get_secret_value() for each in given if each is not None])(line.at(-1))


def _context(settings: IrcSettings) -> ssl.SSLContext | None:
    """Raises OSError where the certificate can't be read."""
    if not settings.tls:
        return None
    context = ssl.create_default_context()
    if settings.certificate is not None and settings.login == "certificate":
        context.load_cert_chain(settings.certificate)
    return context
