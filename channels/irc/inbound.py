"""IRC's lines as messages for the assistant: who they are from, and which belong together."""

import asyncio
import re
from dataclasses import field
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundMessage, Sender
from assistant.contracts.records import record
from assistant.contracts.util import new_id
from channels.irc.connection import IrcConnection
from channels.irc.lines import IrcLine, lower, without_style
from channels.irc.settings import ACCOUNT, ROOM, IrcSettings
from channels.kit.commands import command_of
from channels.kit.hearing import Hearing, Overheard
from channels.kit.values import Latest, written_time_at

_FULL: Final = 350
"""Bytes of a line that a client has probably cut; the next one is its rest."""
_MOST_LINES: Final = 100
_MOST_BATCHES: Final = 50
_ACTION: Final = re.compile(r"\x01ACTION (.*?)\x01?", re.DOTALL)
_NO_ACCOUNT: Final = "I only answer those who are logged in to an account here, because nicks can be taken: identify with NickServ first."
_MOST_TOLD: Final = 1000
_KNOWN_SECONDS: Final = 60.0


@record
class Known:
    """What stays known over connections."""

    told: Latest[bool] = field(default_factory=lambda: Latest[bool](_MOST_TOLD))
    """Those who were told why they get no answer."""
    accounts: Latest[tuple[float, str]] = field(default_factory=lambda: Latest[tuple[float, str]](_MOST_TOLD))
    """prefix → (when it was asked, its account)."""


class IrcReader:
    def __init__(
        self,
        settings: IrcSettings,
        connection: IrcConnection,
        hearing: Hearing,
        lines: "asyncio.Queue[IrcLine]",
        known: Known,
        gather: float,
    ) -> None:
        self._settings, self._connection, self._hearing, self._lines, self._gather = settings, connection, hearing, lines, gather
        self._known = known
        self._batches = Latest[list[IrcLine]](_MOST_BATCHES)
        """Messages of several lines that are not whole: https://ircv3.net/specs/extensions/multiline"""
        self._next: IrcLine | None = None

    async def next(self) -> InboundMessage | None:
        """The next message that is for the assistant. None: the connection has ended."""
        while (line := await self._line(None)) is not None:
            text = await self._text(line)
            if text is not None and (message := await self._message(line, text)) is not None:
                return message
        return None

    async def _line(self, within: float | None) -> IrcLine | None:
        """None: none came `within` seconds, or the connection has ended and all were read."""
        if self._next is not None:
            line, self._next = self._next, None
            return line
        if not self._lines.empty():
            return self._lines.get_nowait()
        got = asyncio.ensure_future(self._lines.get())
        try:
            await asyncio.wait([got, self._connection.ended], timeout=within, return_when=asyncio.FIRST_COMPLETED)
            return got.result() if got.done() else None
        finally:
            if not got.done():
                got.cancel()

    async def _text(self, line: IrcLine) -> str | None:
        """The text of a message with what belongs to it. None: it is not whole, or no words."""
        if line.command == "BATCH":
            return self._batch(line)
        if (batch := self._batches.get(line.tags.get("batch", ""))) is not None:
            batch += [line][: _MOST_LINES - len(batch)]
            return None
        text, last, count = line.at(1), line, 1
        while "batch" not in line.tags and len(last.at(1).encode()) >= _FULL and count < _MOST_LINES:
            after = await self._line(self._gather)
            if after is None:
                break
            if (after.prefix, after.at(0), after.command) != (line.prefix, line.at(0), "PRIVMSG"):
                self._next = after
                break
            text, last, count = f"{text} {after.at(1)}", after, count + 1
        return text

    def _batch(self, line: IrcLine) -> str | None:
        name = line.at(0)
        if name.startswith("+"):
            if line.at(1) == "draft/multiline" and name[1:]:
                self._batches[name[1:]] = []
            return None
        if lines := self._batches.pop(name[1:], []):
            said = "".join(
                ("\n" * (place > 0 and "draft/multiline-concat" not in each.tags)) + each.at(1) for place, each in enumerate(lines)
            )
            tags = {**lines[0].tags, **line.tags, "batch": ""}
            self._next = IrcLine(command="PRIVMSG", params=(lines[0].at(0), said), prefix=lines[0].prefix, tags=tags)
        return None

    async def _message(self, line: IrcLine, text: str) -> InboundMessage | None:
        if text.startswith("\x01"):  # https://modern.ircdocs.horse/ctcp; those who ask for anything but our words get no answer
            action = _ACTION.fullmatch(text)
            if action is None:
                return None
            text = f"* {line.nick} {action[1]}"
        target = line.at(0).lstrip("@+%~")
        private = not ROOM.fullmatch(target)
        if not line.nick or "!" not in line.prefix or (private and lower(target) != lower(self._connection.nick)):
            return None
        text, mentioned = self._mention(without_style(text).strip())
        chat = lower(line.nick if private else target)
        id = line.tags.get("msgid") or _made_id(line, text)
        by_bot = "bot" in line.tags
        command = command_of(text, signs="/!")
        heard = Overheard(chat_id=chat, external_id=id, private=private, mentions_me=mentioned, command=command, by_bot=by_bot)
        if not text or not self._hearing.hears(heard):
            return None
        sender = await self._sender(line)
        if sender is None:
            if private:
                await self._tell(line.nick)
            return None
        return InboundMessage(
            external_id=id,
            address=Address(channel="irc", chat_id=chat),
            sender=Sender(id=sender, name=line.nick),
            private=private,
            text=text,
            command=command,
            message_id=line.tags.get("msgid"),
            trusted=not by_bot,
            at=written_time_at(line.tags, "time"),
        )

    def _mention(self, text: str) -> tuple[str, bool]:
        """(the text without the assistant's nick in front, whether it has it in it)."""
        nick = re.escape(self._connection.nick)
        if front := re.match(rf"@?{nick}(?:[:,]\s*|\s*$)", text, re.IGNORECASE):
            return text[front.end() :].strip() or text, True
        return text, re.search(rf"(?<![\w-]){nick}(?![\w-])", text, re.IGNORECASE) is not None

    async def _sender(self, line: IrcLine) -> str | None:
        """The sender's account, else the mask that lets them in. None: neither can be trusted."""
        account = line.tags.get("account") or ("" if "account-tag" in self._connection.caps else await self._account(line))
        if account:
            return f"{ACCOUNT}{lower(account)}"
        if not self._settings.trust_nicks:
            return None
        masks = [each for each in (*self._settings.owners, *self._settings.allow_from) if "!" in each]
        return next((mask for mask in masks if fnmatchcase(lower(line.prefix), lower(mask))), line.prefix)

    async def _account(self, line: IrcLine) -> str:
        now = asyncio.get_running_loop().time()
        asked, account = self._known.accounts.get(line.prefix, (-_KNOWN_SECONDS, ""))
        if now - asked >= _KNOWN_SECONDS:
            account = await self._connection.account_of(line.nick)
            self._known.accounts[line.prefix] = now, account
        return account

    async def _tell(self, nick: str) -> None:
        """Once, and by a notice, which no program answers."""
        if lower(nick) not in self._known.told:
            self._known.told[lower(nick)] = True
            await self._connection.notice(nick, _NO_ACCOUNT)


def _made_id(line: IrcLine, text: str) -> str:
    """The same for a line that a bouncer plays again, with the time that it first came at; else a new one."""
    if not (time := line.tags.get("time")):
        return new_id("irc")
    return sha256(f"{time} {line.prefix} {line.at(0)} {text}".encode()).hexdigest()[:32]
