"""The channel of other programs: messages come in by POST /hooks/{name} and go out by a POST to the hook's URL."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import aiohttp

from assistant.contracts.addresses import Address
from assistant.contracts.channels import (
    ChannelContext,
    ChannelFailed,
    Conversation,
    Limit,
    Link,
    Sending,
    SendLater,
    SendRefused,
    SendUnclear,
)
from assistant.contracts.errors import Forbidden, StoreUnavailable
from assistant.contracts.hooks import HookAccepted
from assistant.contracts.outbox import OutboundEvent, OutboundPart, Receipt
from channels.webhook.incoming import read_hook
from channels.webhook.outgoing import MOST_MEDIA_BYTES, body_of, failure_of, headers_of, total_bytes
from channels.webhook.settings import HookSettings, WebhookSettings

_CONNECT_SECONDS: Final = 10
_SECONDS: Final = 45
_REMEMBERED: Final = 4096


class Webhook:
    """Channel and Hooks. Its key is the receiver's to use: one that heeds Idempotency-Key gets a message once."""

    def __init__(self, settings: WebhookSettings, context: ChannelContext) -> None:
        self._hooks = settings.hooks
        self._context = context
        self._link: Link | None = None
        self._session: aiohttp.ClientSession | None = None
        self._accepted: OrderedDict[str, None] = OrderedDict()
        """Ids that were given out lately, so that a repeat can be called one. One after a restart has its id, and is called accepted."""

    @property
    def name(self) -> str:
        return "webhook"

    @property
    def keyed(self) -> bool:
        return True

    @property
    def conversation(self) -> Conversation | None:
        return None

    def limits(self, address: Address) -> Sequence[Limit]:
        """None of its own: a receiver says 429."""
        return ()

    def plan(self, event: OutboundEvent) -> Sequence[OutboundPart]:
        """One part, its text the Markdown as it is: the receiver is a program."""
        self._way_out(event.address.chat_id)
        if total_bytes(event.media) > MOST_MEDIA_BYTES:
            raise SendRefused("too_large", f"The files are larger than {MOST_MEDIA_BYTES // 1024**2} MiB together.")
        return [OutboundPart(text=event.text, plain=event.text, media=event.media, buttons=event.buttons)]

    async def run(self, link: Link) -> None:
        """Messages are taken in while this runs."""
        self._link = link
        try:
            link.connected(await self.identity())
            await asyncio.Event().wait()
        finally:
            self._link = None

    async def receive(self, name: str, headers: Mapping[str, str], body: bytes) -> HookAccepted:
        """As `Hooks.receive`."""
        message = read_hook(name, self._hooks.get(name), headers, body, datetime.now(UTC))
        if self._link is None:
            raise StoreUnavailable("The webhook channel is not running now. Nothing was accepted; try again later.", retry_after=5)
        id = await self._link.accept(message)
        if not id:
            raise Forbidden("Messages of this hook are not taken in.")
        new = id not in self._accepted
        self._accepted[id] = None
        if len(self._accepted) > _REMEMBERED:
            self._accepted.popitem(last=False)
        return HookAccepted(id=id, new=new)

    async def send(self, sending: Sending) -> Receipt:
        """Sent is what was answered with 2xx."""
        hook, url = self._way_out(sending.address.chat_id)
        try:
            body = await asyncio.to_thread(body_of, sending, self._context.files)
        except OSError:
            raise SendLater("media_unreadable", "A file of the message can't be read now.") from None
        headers = headers_of(hook, sending.key, body, datetime.now(UTC), self._context.version)
        try:
            async with self._client().post(url, data=body, headers=headers, allow_redirects=False) as answer:
                failure = failure_of(answer.status, answer.headers, datetime.now(UTC))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise SendLater("network", "The receiver can't be reached.", counts=False) from None
        except aiohttp.InvalidURL:
            raise SendRefused("bad_url", "The hook's url is not one that can be posted to.") from None
        except (aiohttp.ClientError, TimeoutError):
            raise SendUnclear("no_answer", "The receiver did not answer; it may have taken the message.") from None
        if failure is not None:
            raise failure
        return Receipt(message_id=None, at=datetime.now(UTC))

    async def identity(self) -> str:
        """The hooks, and which ways they are used."""
        ways = [
            f"{name} ({' and '.join(way for way, used in (('in', hook.listens), ('out', hook.url is not None)) if used) or 'unused'})"
            for name, hook in sorted(self._hooks.items())
        ]
        if not ways:
            raise ChannelFailed("channels.webhook.hooks names no hook.", fatal=True)
        return f"hooks: {', '.join(ways)}"

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _way_out(self, name: str) -> tuple[HookSettings, str]:
        hook = self._hooks.get(name)
        if hook is None:
            raise SendRefused("unknown_hook", f"There is no hook {name!r} in channels.webhook.hooks.")
        if hook.url is None:
            raise SendRefused("no_url", f"The hook {name!r} has no url: messages come in from it, and none go out.")
        return hook, hook.url.get_secret_value()

    def _client(self) -> aiohttp.ClientSession:
        """A connection for each message: one that was kept may have died, and then nobody knows whether the message arrived."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_SECONDS, sock_connect=_CONNECT_SECONDS)
            connector = aiohttp.TCPConnector(force_close=True, limit=100)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self._session
