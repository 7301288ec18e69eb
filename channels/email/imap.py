"""A mailbox by IMAP. imap-tools blocks, so each connection has a thread; a call that is cancelled ends the connection, and with it the thread.

Its types are incomplete, and it leaves parts to imaplib: both are `Any` here.
"""

import asyncio
import imaplib
import re
import ssl
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from socket import SHUT_RDWR
from typing import Any, Final, TypeVar

from imap_tools import MailBox, MailBoxStartTls, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError, MailboxFolderSelectError, MailboxLoginError

from assistant.contracts.records import record
from channels.email.settings import EmailSettings
from channels.email.tokens import Credentials, Secret
from channels.kit.http import Answered, PlatformError, Unreached

R = TypeVar("R")
_SECONDS: Final = 20.0
_IDLE_SECONDS: Final = 540.0
"""After which IDLE starts anew: boxes between drop connections that are silent for longer."""
_SIZE: Final = re.compile(rb"UID (\d+).*?RFC822\.SIZE (\d+)|RFC822\.SIZE (\d+).*?UID (\d+)", re.DOTALL)
_DATE: Final = re.compile(rb'INTERNALDATE "([^"]+)"')
_MESSAGE_ID: Final = re.compile(r'<[^<>\s"\\]{1,250}>')


@record
class Folder:
    validity: str
    """UIDVALIDITY: uids are the folder's while it stays the same."""
    next_uid: int


@record
class Item:
    """A mail in the folder."""

    uid: int
    size: int
    at: datetime
    """When it came."""


def tls_context(settings: EmailSettings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.ca_file:
        context.load_verify_locations(settings.ca_file)
    return context


@asynccontextmanager
async def mailbox(settings: EmailSettings, credentials: Credentials) -> AsyncGenerator["ImapMailbox"]:
    """A connection that is logged in. Raises PlatformError: Answered with 401 for a wrong password, or no token."""
    secret = await credentials.secret()
    box = ImapMailbox(settings, secret)
    try:
        await box.open()
        yield box
    except Answered as error:
        if error.status == 401:
            credentials.forget()
        raise
    finally:
        box.close()


class ImapMailbox:
    """One connection, for one task at a time."""

    def __init__(self, settings: EmailSettings, secret: Secret) -> None:
        self._settings = settings
        self._secret = secret
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="imap")
        self._box: Any = None
        self._closed = False

    async def open(self) -> None:
        await self._run(self._open)

    def close(self) -> None:
        """Ends the connection; what the thread waits for fails."""
        if self._closed:
            return
        self._closed = True
        if self._box is not None:
            with suppress(OSError):
                self._box.client.sock.shutdown(SHUT_RDWR)
            self._thread.submit(self._box.client.shutdown)
        self._thread.shutdown(wait=False)

    async def select(self, name: str, *, readonly: bool = False) -> Folder:
        def select() -> Folder:
            box = self._connected()
            box.folder.set(name, readonly=readonly)
            said: dict[str, list[bytes]] = box.client.untagged_responses
            next_uid = said.get("UIDNEXT", [b""])[-1]
            newest = int(next_uid) if next_uid else max((each.uid for each in self._items("1:*")), default=0) + 1
            return Folder(validity=said.get("UIDVALIDITY", [b"0"])[-1].decode(), next_uid=newest)

        return await self._run(select)

    async def since(self, uid: int) -> list[Item]:
        """The mails from this uid on, by uid. An empty list is true of this moment: what comes after it ends `wait`."""

        def newer() -> list[Item]:
            said = self._connected().client.untagged_responses
            while True:
                said.pop("EXISTS", None)
                found = [each for each in self._items(f"{uid}:*") if each.uid >= uid]
                if found or "EXISTS" not in said:
                    return sorted(found, key=lambda each: each.uid)

        return await self._run(newer)

    async def since_date(self, day: datetime) -> int | None:
        """The uid of the first mail since that day."""
        found = await self._run(lambda: self._said(self._connected().client.uid("SEARCH", "SINCE", day.strftime("%d-%b-%Y"))))
        return min((int(each) for line in found if line for each in line.split()), default=None)

    async def read(self, uid: int, most_bytes: int = 0) -> bytes | None:
        """A mail; of it at most so many bytes (0: all). None: it is gone."""
        what = f"(BODY.PEEK[]<0.{most_bytes}>)" if most_bytes else "(BODY.PEEK[])"
        found = await self._run(lambda: self._said(self._connected().client.uid("FETCH", str(uid), what)))
        return next((bytes(literal) for literal in _literals(found)), None)

    async def mark_seen(self, uid: int) -> None:
        await self._run(lambda: self._said(self._connected().client.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Seen)")))

    async def wait(self, poll_seconds: float) -> None:
        """Until there may be new mails."""
        if "IDLE" not in self._capabilities():
            await asyncio.sleep(poll_seconds)
            return

        def idle() -> None:
            box = self._connected()
            with box.idle as idle:
                if not _has_read_more(box.client):
                    idle.poll(timeout=_IDLE_SECONDS)

        await self._run(idle)

    async def holds(self, message_id: str, folder: str | None) -> bool:
        """Whether the folder of sent mails has this mail."""

        def look() -> bool:
            box = self._connected()
            name = folder or next((each.name for each in box.folder.list() if r"\Sent" in each.flags), None)
            if name is None or not _MESSAGE_ID.fullmatch(message_id):
                return False
            box.folder.set(name, readonly=True)
            found = self._said(box.client.uid("SEARCH", "HEADER", "Message-ID", f'"{message_id}"'))
            return any(line.split() for line in found if line)

        return await self._run(look)

    def _items(self, uids: str) -> list[Item]:
        out: list[Item] = []
        for each in self._said(self._connected().client.uid("FETCH", uids, "(UID RFC822.SIZE INTERNALDATE)")):
            if isinstance(each, bytes) and (found := _SIZE.search(each)):
                uid, size = (found[1], found[2]) if found[1] else (found[4], found[3])
                out.append(Item(uid=int(uid), size=int(size), at=_date(each)))
        return out

    def _said(self, result: tuple[str, list[Any]]) -> list[Any]:
        status, data = result
        if status != "OK":
            raise Answered(400, f"the mailbox said {status}")
        return data

    def _capabilities(self) -> tuple[str, ...]:
        return self._connected().client.capabilities

    def _connected(self) -> Any:
        if self._box is None:
            raise Unreached("there is no connection")
        return self._box

    def _open(self) -> None:
        host, port = self._settings.imap_host, self._settings.imap_port
        if self._settings.imap_plain:
            box: Any = MailBoxUnencrypted(host, port, timeout=_SECONDS)
        elif self._settings.imap_use_ssl:
            box = MailBox(host, port, timeout=_SECONDS, ssl_context=tls_context(self._settings))
        else:
            box = MailBoxStartTls(host, port, timeout=_SECONDS, ssl_context=tls_context(self._settings))
        self._box = box
        if self._closed:
            box.client.shutdown()
            raise Unreached("it was given up")
        try:
            self._log_in(box)
        except (MailboxLoginError, imaplib.IMAP4.error) as error:
            if isinstance(error, imaplib.IMAP4.abort) or "[UNAVAILABLE]" in str(error):
                raise
            raise Answered(401, "the login was refused") from None
        _, known = box.client.capability()
        box.client.capabilities = tuple(str(known[-1], "ascii", "replace").upper().split())

    def _log_in(self, box: Any) -> None:
        user, secret = self._settings.user, self._secret.value
        if self._secret.token:
            if "AUTH=XOAUTH2" in box.client.capabilities:
                box.xoauth2(user, secret, initial_folder=None)
            else:
                line = f"n,a={user},\x01auth=Bearer {secret}\x01\x01"
                box.client.authenticate("OAUTHBEARER", lambda _: line.encode())  # pyright: ignore[reportUnknownLambdaType]
        elif user.isascii() and secret.isascii():
            box.login(user, secret, initial_folder=None)
        else:
            box.login_utf8(user, secret, initial_folder=None)

    async def _run(self, work: Callable[[], R]) -> R:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except asyncio.CancelledError:
            self.close()
            raise
        except PlatformError:
            raise
        except MailboxFolderSelectError:
            raise Answered(404, f"there is no folder {self._settings.imap_mailbox!r} (channels.email.imapMailbox)") from None
        except (imaplib.IMAP4.abort, OSError) as error:
            raise Unreached(type(error).__name__) from None
        except (imaplib.IMAP4.error, ImapToolsError, ValueError) as error:  # its text is the server's
            raise Answered(400, " ".join(str(error).split())[:200]) from None


def _literals(said: list[Any]) -> list[bytes]:
    return [each[1] for each in said if isinstance(each, tuple)]  # pyright: ignore[reportUnknownVariableType] - of imaplib


def _date(line: bytes) -> datetime:
    found = _DATE.search(line)
    with suppress(ValueError):
        if found is not None:
            return datetime.strptime(found[1].decode("ascii", "replace").strip(), "%d-%b-%Y %H:%M:%S %z")
    return datetime.now(UTC)


def _has_read_more(client: Any) -> bool:
    """Whether the client holds a response that came in one piece with the one before: nothing more comes on the socket for it."""
    before = client.sock.gettimeout()
    client.sock.settimeout(0)
    try:
        return bool((getattr(client, "_file", None) or client.file).peek(1))
    except OSError:  # nothing there (TLS)
        return False
    finally:
        client.sock.settimeout(before)
