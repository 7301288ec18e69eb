"""A stand-in for a mail server that takes mails: aiosmtpd, which fails as it is told to at each stage.

Answers: https://www.rfc-editor.org/rfc/rfc5321#section-4.2, https://www.rfc-editor.org/rfc/rfc3463
"""

import asyncio
import base64
import ssl
from collections import deque
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from assistant.testing.platform import Failure, Seen
from tests.doubles.dovecot import PASSWORD

Stage = Literal["connect", "login", "mail", "rcpt", "data", "end"]
"""data: in place of the 354. end: after the whole mail came."""
_ANSWERS: dict[str, tuple[Stage, str]] = {
    "refuse": ("rcpt", "550 5.1.1 <anna@example.org>: Recipient address rejected: User unknown"),
    "blocked": ("end", "550 5.7.1 Our system has detected that this message is likely unsolicited mail"),
    "limit": ("rcpt", "450 4.2.0 <anna@example.org>: Recipient address rejected: Greylisted, try again in 30 seconds"),
    "server_error": ("end", "451 4.3.0 Error: queue file write error"),
    "unauthorized": ("login", "535 5.7.8 Error: authentication failed"),
    "files": ("end", "552 5.7.0 This message was blocked because its attachment presents a potential security issue"),
}
TOKEN = "a-token-of-oauth"


class _Session(SMTP):
    double: "SmtpServer"

    def data_received(self, data: bytes) -> None:
        self.double.pieces.append(data)
        super().data_received(data)

    async def smtp_DATA(self, arg: str) -> None:
        if (answer := self.double.answer("data")) is not None:
            await self.push(answer)
            if answer.startswith("354"):  # though it has no receiver
                assert self._reader is not None
                await self._reader.readuntil(b".\r\n")
                await self.push(self.double.answer("end") or "554 5.5.1 No valid recipients")
            return
        await super().smtp_DATA(arg)

    async def auth_XOAUTH2(self, _: SMTP, args: list[str]) -> AuthResult:
        given = args[1] if len(args) > 1 else ""
        right = f"auth=Bearer {TOKEN}".encode() in base64.b64decode(given)
        return AuthResult(success=right, handled=False, auth_data=given)

    async def _handle_client(self) -> None:
        if (answer := self.double.answer("connect")) is not None:
            await self.push(answer)
            assert self.transport is not None
            self.transport.close()
            return
        await super()._handle_client()


class SmtpServer:
    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.raw: list[bytes] = []
        """The mails that were taken, as they came: a mail server does not read what they say."""
        self._read: list[EmailMessage] = []
        self.envelopes: list[tuple[str, str]] = []
        """(from, to)"""
        self.port = 0
        self.arrived = asyncio.Event()
        self.logins: list[str] = []
        self.connections = 0
        self.pipelining = True
        """Whether it takes commands together: https://www.rfc-editor.org/rfc/rfc2920"""
        self.pieces: list[bytes] = []
        """What came, by what was written at once."""
        self._tls = tls
        self._faults: deque[tuple[Stage, str]] = deque()
        self._always: tuple[Stage, str] | None = None
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.BaseTransport] = set()

    @property
    def mails(self) -> list[EmailMessage]:
        self._read += [message_from_bytes(raw, policy=default) for raw in self.raw[len(self._read) :]]
        return self._read

    def fail(self, how: Failure) -> None:
        if how == "unauthorized":
            self._always = _ANSWERS[how]
            self.drop()  # a login is asked for again
        else:
            self.fail_at(*_ANSWERS.get(how, ("end", how)))

    def fail_at(self, stage: Stage, answer: str) -> None:
        """`answer`: of the server; or lose, hold, garbage."""
        for _ in range(2 if stage == "login" else 1):  # a client tries both ways to log in
            self._faults.append((stage, answer))

    def heal(self) -> None:
        self._faults.clear()
        self._always = None

    def answer(self, stage: Stage) -> str | None:
        if self._always is not None and self._always[0] == stage:
            return self._always[1]
        if self._faults and self._faults[0][0] == stage:
            return self._faults.popleft()[1]
        return None

    def drop(self) -> None:
        for each in self._open:
            if isinstance(each, asyncio.Transport):
                each.abort()
        self._open.clear()

    def seen(self) -> list[Seen]:
        return [_seen(mail) for mail in self.mails]

    async def handle_EHLO(self, server: Any, session: Session, envelope: Envelope, hostname: str, responses: list[str]) -> list[str]:
        session.host_name = hostname
        return [responses[0], *(["250-PIPELINING"] if self.pipelining else []), *responses[1:]]

    async def handle_MAIL(self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        answer = self.answer("mail")
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        if answer is None:
            envelope.mail_from = address
        return await self._said(server, answer) if answer else "250 2.1.0 Ok"

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        answer = self.answer("rcpt")
        if answer is None:
            envelope.rcpt_tos.append(address)
        return await self._said(server, answer) if answer else "250 2.1.5 Ok"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        answer = self.answer("end")
        if answer in (None, "lose", "garbage"):
            assert isinstance(envelope.content, bytes)
            self.raw.append(envelope.content)
            self.envelopes.append((str(envelope.mail_from), envelope.rcpt_tos[0]))
            self.arrived.set()
        return await self._said(server, answer) if answer else "250 2.0.0 Ok: queued"

    async def _said(self, server: Any, answer: str) -> str:
        if answer == "hold":
            await asyncio.Event().wait()
        if answer == "lose":
            server.transport.abort()
            await asyncio.Event().wait()
        if answer.startswith("421"):
            asyncio.get_running_loop().call_soon(server.transport.close)
        return "<html>a proxy's page" if answer == "garbage" else answer

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: Any) -> AuthResult:
        if (answer := self.answer("login")) is not None:
            return AuthResult(success=False, handled=False, message=answer)
        right = isinstance(auth_data, LoginPassword) and auth_data.password == PASSWORD.encode()
        self.logins.append(mechanism)
        return AuthResult(success=right, handled=False)

    def _session(self) -> _Session:
        session = _Session(
            self,
            hostname="mail.example.org",
            ident="ESMTP",
            tls_context=self._tls,
            require_starttls=self._tls is not None,
            auth_require_tls=self._tls is not None,
            authenticator=self._authenticate,
            data_size_limit=30_000_000,
            loop=asyncio.get_running_loop(),
        )
        session.double = self
        made = session.connection_made

        def connected(transport: asyncio.BaseTransport) -> None:
            self.connections += 1
            self._open.add(transport)
            made(transport)

        session.connection_made = connected  # type: ignore[method-assign]
        return session

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(self._session, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        await asyncio.sleep(0)  # so that the sockets are closed
        await asyncio.sleep(0)


def _seen(mail: EmailMessage) -> Seen:
    plain = mail.get_body(("plain",))
    thread = str(mail["Message-ID"]).split(".")[1]
    return Seen(
        id=str(mail["Message-ID"]),
        text=str(plain.get_content()).replace("\r\n", "\n").strip("\n") if plain is not None else "",
        chat_id=str(mail["To"]),
        thread_id=None if thread == "0" else thread,
        reply_to=str(mail["In-Reply-To"]) if mail["In-Reply-To"] else None,
        files=tuple(each.get_filename() or "" for each in mail.iter_attachments()),
    )
