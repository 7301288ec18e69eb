"""Mails by SMTP: every failure says whether the server may have accepted the mail, which it does with its answer to the end of DATA.

https://www.rfc-editor.org/rfc/rfc5321#section-4.2.5
"""

import asyncio
import contextlib
import re
from typing import Final

from aiosmtplib import SMTP, SMTPConnectResponseError, SMTPException, SMTPResponseException

from channels.email.imap import tls_context
from channels.email.session import CLOSING, SmtpAnswer, SmtpSession
from channels.email.settings import EmailSettings
from channels.email.tokens import Credentials
from channels.kit.http import Answered, Unanswered, Unreached

_SECONDS: Final = 10.0
_ACCEPTED: Final = 250
_KEPT: Final = 15.0
"""Seconds that a connection waits for the next mail."""
_MOST: Final = 5
"""Connections at once: providers take few."""
_ENHANCED: Final = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_AUTH: Final = frozenset({530, 534, 535, 538})


def _answered(answer: SmtpAnswer) -> Answered:
    words = " ".join(answer.words.split())[:200]
    found = _ENHANCED.search(words)
    status = 401 if answer.code in _AUTH or (answer.stage == "login" and answer.code >= 500) else answer.code
    return Answered(status, words or f"status {answer.code}", code=found[1] if found else "", body={"stage": answer.stage})


class SmtpSender:
    def __init__(self, settings: EmailSettings, credentials: Credentials) -> None:
        self._settings = settings
        self._credentials = credentials
        self._idle: list[tuple[SmtpSession, asyncio.TimerHandle]] = []
        self._places = asyncio.Semaphore(_MOST)
        self._closed = False

    async def deliver(self, recipient: str, mail: bytes) -> None:
        """Hand one mail over, once. Raises Unreached and Answered (not accepted), Unanswered (it may be)."""
        try:
            async with asyncio.timeout(20):
                await self._places.acquire()
        except TimeoutError:
            raise Unreached("all connections are in use") from None
        try:
            while self._idle:
                kept, timer = self._idle.pop()
                timer.cancel()
                if kept.is_open and await self._begin(kept, recipient, mail, kept_one=True):
                    return await self._finish(kept, mail)
            session = await self._connect()
            await self._begin(session, recipient, mail)
            return await self._finish(session, mail)
        finally:
            self._places.release()

    async def check(self) -> None:
        """Log in. Raises PlatformError."""
        self._keep(await self._connect())

    async def close(self) -> None:
        self._closed = True
        for session, timer in self._idle:
            timer.cancel()
            session.close()
        self._idle.clear()

    async def _connect(self) -> SmtpSession:
        own = self._settings
        smtp = SMTP(
            hostname=own.smtp_host,
            port=own.smtp_port,
            timeout=_SECONDS,
            use_tls=own.smtp_use_ssl,
            start_tls=own.smtp_use_tls and not own.smtp_use_ssl,
            tls_context=await asyncio.to_thread(tls_context, own) if own.smtp_use_tls or own.smtp_use_ssl else None,
            local_hostname=own.domain,
        )
        secret = await self._credentials.secret()
        stage = "connect"
        try:
            await smtp.connect()
            if secret.value:
                stage = "login"
                user = self._credentials.user
                await (smtp.auth_xoauth2(user, secret.value) if secret.token else smtp.login(user, secret.value))
        except (SMTPConnectResponseError, SMTPResponseException) as error:
            smtp.close()
            self._credentials.forget()
            raise _answered(SmtpAnswer(stage, error.code, error.message)) from None
        except (SMTPException, OSError, ValueError) as error:
            smtp.close()
            raise Unreached(type(error).__name__) from None
        except BaseException:
            smtp.close()
            raise
        return SmtpSession(smtp)

    async def _begin(self, session: SmtpSession, recipient: str, mail: bytes, *, kept_one: bool = False) -> bool:
        """The envelope. False: a connection that was kept (`kept_one`) is no longer one."""
        try:
            refusal = await session.begin(self._settings.from_address, recipient, len(mail))
        except (OSError, ValueError) as error:
            session.close()
            if kept_one and isinstance(error, ConnectionError):
                return False
            raise Unreached(type(error).__name__) from None
        except BaseException:
            session.close()
            raise
        if refusal is None:
            return True
        await self._reset(session, refusal)
        if kept_one and refusal.code == CLOSING:
            return False
        raise _answered(refusal)

    async def _finish(self, session: SmtpSession, mail: bytes) -> None:
        try:
            answer = await session.finish(mail)
        except (OSError, ValueError) as error:
            session.close()
            raise Unanswered(type(error).__name__) from None
        except BaseException:
            session.close()
            raise
        if answer.code == _ACCEPTED:
            self._keep(session)
        elif answer.code < 400:  # neither a yes nor a no
            session.close()
            raise Unanswered(f"status {answer.code}")
        else:
            await self._reset(session, answer)
            raise _answered(answer)

    async def _reset(self, session: SmtpSession, refusal: SmtpAnswer) -> None:
        """Keep it for the next mail, unless the server ends it."""
        if refusal.code != CLOSING:
            with contextlib.suppress(OSError, ValueError):
                await session.reset()
                self._keep(session)
                return
        session.close()

    def _keep(self, session: SmtpSession) -> None:
        if self._closed or not session.is_open:
            session.close()
            return
        entry: tuple[SmtpSession, asyncio.TimerHandle]

        def end() -> None:
            self._idle.remove(entry)
            session.close()

        entry = (session, asyncio.get_running_loop().call_later(_KEPT, end))
        self._idle.append(entry)
