"""Calls of a platform to `/channels/<name>`: signatures, times, and for whom they are."""

import asyncio
import base64
import hmac
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha1, sha256
from typing import Final
from weakref import WeakValueDictionary

from aiohttp import web

from assistant.contracts.channels import ChannelFailed, ChannelLink, PlatformCall, PlatformReply, SendFailed
from channels.kit.http import PlatformError

log = logging.getLogger(__name__)
MOST_SECONDS: Final = 300
"""The largest difference between the platform's clock and ours."""
_TIMESTAMP: Final = re.compile(r"[0-9]{1,16}")
FORBIDDEN: Final = PlatformReply(status=401, body=b"the signature is wrong", media_type="text/plain")
NOT_NOW: Final = PlatformReply(status=503, body=b"try again later", media_type="text/plain")
NOT_JSON: Final = PlatformReply(status=400, body=b"not JSON", media_type="text/plain")
ONLY_POST: Final = PlatformReply(status=405, body=b"POST", media_type="text/plain")
DONE: Final = PlatformReply(status=200, body=b"")
TAKEN: Final = PlatformReply(body=b"{}")
"""`DONE` for platforms that read the answer as JSON."""


def hmac_hex(secret: str, body: bytes) -> str:
    """HMAC-SHA256, in hex."""
    return hmac.new(secret.encode(), body, sha256).hexdigest()


def hmac_base64(secret: str, body: bytes, *, digest: str = "sha256") -> str:
    """HMAC-SHA256, or with `digest` "sha1" HMAC-SHA1, in Base64."""
    return base64.b64encode(hmac.new(secret.encode(), body, sha256 if digest == "sha256" else sha1).digest()).decode()


def same(wanted: str, given: str) -> bool:
    """Whether a signature is right; takes the same time for every wrong one."""
    return hmac.compare_digest(wanted.encode(), given.strip().encode(errors="surrogateescape"))


def is_recent(timestamp: str, now: float, *, within: float = MOST_SECONDS, per_second: int = 1) -> bool:
    """Whether this is a time since 1970, in seconds or (`per_second`) smaller units, within so many seconds of `now`."""
    return _TIMESTAMP.fullmatch(timestamp) is not None and abs(int(timestamp) / per_second - now) <= within


def header(call: PlatformCall, name: str) -> str:
    """Empty: there is none. `name`: lower-case."""
    return call.headers.get(name, "")


class HeldLink:
    """The link of a channel that does nothing but wait for calls. See `contracts.channels.TakesCalls`."""

    def __init__(self, *, seconds: float = 25.0) -> None:
        """`seconds`: in which a call is taken, with those before it in its chat. The platform makes the call again, or has given it up."""
        self.now: ChannelLink | None = None
        """None: nothing is taken in now (`NOT_NOW`)."""
        self._seconds = seconds
        self._chats: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def attach(self, link: ChannelLink | None) -> None:
        self.now = link

    async def hold(self, link: ChannelLink) -> None:
        """`Channel.run` of one that needs nothing more."""
        self.now = link
        await asyncio.Event().wait()

    async def take(self, chat: str, work: Callable[[ChannelLink], Awaitable[object]], *, reply: PlatformReply = DONE) -> PlatformReply:
        """Do this, after what came before in its chat: a slow one holds up no other chat. Returns `reply`, or `NOT_NOW` where nothing is taken in,
        the time is over, or the platform can't be asked (PlatformError, SendFailed). Raises what else `work` raises."""
        link = self.now
        if link is None:
            return NOT_NOW
        try:
            async with asyncio.timeout(self._seconds), self._chats.setdefault(chat, asyncio.Lock()):
                await work(link)
        except TimeoutError:
            return NOT_NOW
        except (PlatformError, SendFailed) as error:
            log.warning("channel.call_not_taken chat=%s error=%s", chat, error)
            return NOT_NOW
        return reply


@asynccontextmanager
async def listening(
    host: str, port: int, path: str, called: Callable[[web.Request], Awaitable[web.Response]], *, most_bytes: int = 1_000_000
) -> AsyncGenerator[None]:
    """A port of the channel's own for the platform's POSTs. Raises ChannelFailed where it is taken."""
    app = web.Application(client_max_size=most_bytes)
    app.router.add_post(path, called)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=5)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ChannelFailed(f"The webhook can't listen on {host}:{port}: {error.strerror}.") from error
        yield
    finally:
        await runner.cleanup()
