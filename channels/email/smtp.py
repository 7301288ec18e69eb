"""Mails by SMTP: every failure says whether the server may have accepted the mail, which it does with its answer to the end of DATA.

https://www.rfc-editor.org/rfc/rfc5321#section-4.2.5
"""

import asyncio
import re
from typing import Final

import aiosmtplib
from aiosmtplib import SMTP, SMTPConnectResponseError, SMTPException, SMTPResponseException, SMTPServerDisconnected

from channels.email.imap import tls_context
from channels.email.settings import EmailSettings
from channels.email.tokens import Credentials
from channels.kit.http import Answered, Unanswered, Unreached

_SECONDS: Final = 10.0
_DATA_SECONDS: Final = 25.0
_KEPT: Final = 15.0
"""Seconds that a connection waits for the next mail."""
_MOST: Final = 5
"""Connections at once: providers take few."""
_ENHANCED: Final = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_AUTH: Final = frozenset({530, 534, 535, 538})


def _answered(error: SMTPResponseException, stage: str) -> Answered:
    """`stage`: connect, login, mail, rcpt, data."""
    words = " ".join(error.message.split())[:200]
    found = _ENHANCED.search(words)
    status = 401 if error.code in _AUTH or (stage == "login" and error.code >= 500) else error.code
    return Answered(status, words or f"status {error.code}", code=found[1] if found else "", body={"stage": stage})


class SmtpSender:
    def __init__(self, settings: EmailSettings, credentials: Credentials) -> None:
        self._settings = settings
        self._credentials = credentials
        self._idle: list[tuple[SMTP, asyncio.TimerHandle]] = []
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
                if await self._begin(kept, recipient, mail, kept_one=True):
                    return await self._finish(kept, mail)
            smtp = await self._connect()
            await self._begin(smtp, recipient, mail)
            return await self._finish(smtp, mail)
        finally:
            self._places.release()

    async def check(self) -> None:
        """Log in. Raises PlatformError."""
        self._keep(await self._connect())

    async def close(self) -> None:
        self._closed = True
        for smtp, timer in self._idle:
            timer.cancel()
            smtp.close()
        self._idle.clear()

    async def _connect(self) -> SMTP:
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
            raise _answered(error, stage) from None
        except (SMTPException, OSError, ValueError) as error:
            smtp.close()
            raise Unreached(type(error).__name__) from None
        except BaseException:
            smtp.close()
            raise
        return smtp

    async def _begin(self, smtp: SMTP, recipient: str, mail: bytes, *, kept_one: bool = False) -> bool:
        """The envelope. False: a connection that was kept (`kept_one`) is no longer one."""
        stage = "mail"
        try:
            size = [f"SIZE={len(mail)}"] if smtp.supports_extension("size") else []
            await smtp.mail(self._settings.from_address, options=size)
            stage = "rcpt"
            await smtp.rcpt(recipient)
        except SMTPResponseException as error:
            if kept_one and error.code == 421:
                smtp.close()
                return False
            await self._reset(smtp)
            raise _answered(error, stage) from None
        except (SMTPException, OSError, ValueError) as error:
            smtp.close()
            if kept_one and isinstance(error, SMTPServerDisconnected):
                return False
            raise Unreached(type(error).__name__) from None
        except BaseException:
            smtp.close()
            raise
        return True

    async def _finish(self, smtp: SMTP, mail: bytes) -> None:
        try:
            await smtp.data(mail, timeout=_DATA_SECONDS)
        except aiosmtplib.SMTPDataError as error:
            if error.code < 400:  # neither a yes nor a no
                smtp.close()
                raise Unanswered(f"status {error.code}") from None
            await self._reset(smtp)
            raise _answered(error, "data") from None
        except (SMTPException, OSError, ValueError) as error:
            smtp.close()
            raise Unanswered(type(error).__name__) from None
        except BaseException:
            smtp.close()
            raise
        self._keep(smtp)

    async def _reset(self, smtp: SMTP) -> None:
        """After a refusal; the next mail begins anew."""
        try:
            await smtp.rset()
        except (SMTPException, OSError):
            smtp.close()
        else:
            self._keep(smtp)

    def _keep(self, smtp: SMTP) -> None:
        if self._closed or not smtp.is_connected:
            smtp.close()
            return
        entry: tuple[SMTP, asyncio.TimerHandle]

        def end() -> None:
            self._idle.remove(entry)
            smtp.close()

        entry = (smtp, asyncio.get_running_loop().call_later(_KEPT, end))
        self._idle.append(entry)
