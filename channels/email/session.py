"""An SMTP session behind its login: one mail after the other, in two round trips where the server takes commands together.

https://www.rfc-editor.org/rfc/rfc5321#section-3.3, https://www.rfc-editor.org/rfc/rfc2920
"""

import asyncio
import re
from typing import Final, NamedTuple, cast

from aiosmtplib import SMTP

_SECONDS: Final = 10.0
_DATA_SECONDS: Final = 25.0
_MOST_LINES: Final = 100
"""Of one answer."""
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_STARTS: Final = 354
CLOSING: Final = 421
"""The server ends the session; it may leave further commands without an answer."""


class SmtpAnswer(NamedTuple):
    stage: str
    """What it answers: connect, login, mail, rcpt, data."""
    code: int
    words: str


class SmtpSession:
    """Takes over a connection that aiosmtplib has made and logged in: that library waits for each answer before it writes the next command."""

    def __init__(self, smtp: SMTP) -> None:
        transport, self._reader = cast("asyncio.Transport", smtp.transport), asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(self._reader)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, asyncio.get_running_loop())
        self._together, self._sized = smtp.supports_extension("pipelining"), smtp.supports_extension("size")

    @property
    def is_open(self) -> bool:
        return not (self._writer.is_closing() or self._reader.at_eof())

    def close(self) -> None:
        self._writer.close()

    async def begin(self, sender: str, recipient: str, size: int) -> SmtpAnswer | None:
        """The envelope. Returns the first refusal; None: the server waits for the mail. Raises OSError, and ValueError for what is no answer; the
        session has to be closed then."""
        commands = {
            "mail": f"MAIL FROM:<{sender}>{f' SIZE={size}' if self._sized else ''}",
            "rcpt": f"RCPT TO:<{recipient}>",
            "data": "DATA",
        }
        if self._together:
            self._writer.write("".join(f"{command}\r\n" for command in commands.values()).encode())
        refusal: SmtpAnswer | None = None
        async with asyncio.timeout(_SECONDS):
            for stage, command in commands.items():
                if not self._together:
                    self._writer.write(f"{command}\r\n".encode())
                answer = await self._answer(stage)
                if answer.code == _STARTS and refusal is not None:  # it waits for a mail that goes to no one
                    self._writer.write(b".\r\n")
                    await self._answer(stage)
                elif answer.code >= 400:
                    refusal = refusal or answer
                    if not self._together or answer.code == CLOSING:
                        break
                elif (answer.code == _STARTS) != (stage == "data"):
                    raise ValueError(f"status {answer.code}")
        return refusal

    async def finish(self, mail: bytes) -> SmtpAnswer:
        """The mail itself. Raises as `begin`."""
        content = _LINE_END.sub(b"\r\n", mail).removesuffix(b"\r\n") + b"\r\n"
        stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
        async with asyncio.timeout(_DATA_SECONDS):
            self._writer.write(stuffed + b".\r\n")
            await self._writer.drain()
            return await self._answer("data")

    async def reset(self) -> None:
        """After a refusal; the next mail begins anew. Raises as `begin`."""
        self._writer.write(b"RSET\r\n")
        async with asyncio.timeout(_SECONDS):
            await self._answer("mail")

    async def _answer(self, stage: str) -> SmtpAnswer:
        words: list[str] = []
        while len(words) < _MOST_LINES:
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                raise ConnectionResetError("the server closed the connection")
            if not line[:3].isdigit():
                raise ValueError("no answer of SMTP")
            words.append(line[4:].decode(errors="replace"))
            if line[3:4] != b"-":
                return SmtpAnswer(stage, int(line[:3]), " ".join(" ".join(words).split()))
        raise ValueError("an answer without end")
