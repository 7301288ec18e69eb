"""The channel of every service that Apprise can send to. Apprise only says yes or no: no receipts, no idempotency key."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import apprise
from apprise.attachment.file import AttachFile

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit, Sending, SendLater, SendRefused, SendUnclear
from assistant.contracts.outbox import OutboundEvent, OutboundPart, Receipt
from channels.apprise.settings import AppriseSettings
from channels.text.splitting import plain_parts

_SECONDS: Final = 50
_LONGEST: Final = 30_000
"""Characters of a part, for services that take any length."""


class AppriseChannel:
    """See `contracts.channels.Channel`. It only sends; what Apprise says was accepted counts as sent."""

    name = "apprise"
    keyed = False
    conversation = None

    def __init__(self, settings: AppriseSettings, context: ChannelContext) -> None:
        """Raises ChannelFailed if Apprise can read none of the URLs; if it can read some, those work."""
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # its log lines quote URLs, which hold secrets, and messages
        asset = apprise.AppriseAsset(storage_mode=apprise.PersistentStoreMode.MEMORY, app_id="nanobot", secure_logging=True)
        self._files = context.files
        self._services: dict[str, apprise.NotifyBase] = {}
        for name, url in settings.services.items():
            service = apprise.Apprise.instantiate(url.get_secret_value(), asset=asset)  # pyright: ignore[reportUnknownMemberType] - apprise's types leave a dict open
            if service is not None:
                self._services[name] = service
        self._bad = sorted(settings.services.keys() - self._services.keys())
        if not self._services:
            raise ChannelFailed(self._complaint(), fatal=True)

    def limits(self, address: Address) -> Sequence[Limit]:
        """None: Apprise itself keeps the pause that a service asks for."""
        return ()

    def plan(self, event: OutboundEvent) -> Sequence[OutboundPart]:
        """Plain text, in parts of the service's length; files go with the first, buttons are lines at the end."""
        service = self._service(event.address.chat_id)
        if event.media and not service.attachment_support:
            raise SendRefused("no_files", f"{service.service_name} takes no files from Apprise.")
        lines = [
            f"[{button.text}](<{button.url}>)" if button.url else button.text
            for row in event.buttons
            for button in row
            if not button.command
        ]
        text = "\n\n".join(filter(None, [event.text, "\n".join(lines)]))
        parts = [part.text for part in plain_parts(text, min(service.body_maxlen, _LONGEST))]
        if not parts and not event.media:
            raise SendRefused("empty", "There is nothing to see in this message.")
        first, *rest = parts or [""]
        return [OutboundPart(text=first, plain=first, media=event.media), *[OutboundPart(text=text, plain=text) for text in rest]]

    async def run(self, link: ChannelLink) -> None:
        """There is no connection to make; reports URLs that Apprise can't read."""
        link.connected(self._known())
        if self._bad:
            link.degraded(self._complaint())
        await asyncio.Event().wait()

    async def send(self, sending: Sending) -> Receipt:
        """Calls Apprise in a thread. It gives no reason for a no, so the part is tried again."""
        service = self._service(sending.address.chat_id)
        try:
            async with asyncio.timeout(_SECONDS):
                accepted = await asyncio.to_thread(self._notify, service, sending.part)
        except TimeoutError:
            raise SendUnclear("no_answer", f"{service.service_name} did not answer in {_SECONDS} seconds.") from None
        if not accepted:
            raise SendLater("not_accepted", f"Apprise could not hand the message to {service.service_name}; it does not say why.")
        return Receipt(message_id=None, at=datetime.now(UTC))

    async def identity(self) -> str:
        """The services by name. Apprise has no way to check credentials other than to send."""
        if self._bad:
            raise ChannelFailed(f"{self._complaint()}; {self._known()}", fatal=True)
        return self._known()

    async def close(self) -> None:
        """Nothing is open."""

    def _service(self, name: str) -> apprise.NotifyBase:
        if name in self._services:
            return self._services[name]
        if name in self._bad:
            raise SendRefused("bad_url", f"Apprise can't read the URL in channels.apprise.services.{name}.")
        raise SendRefused("unknown_service", f"There is no service {name!r} in channels.apprise.services.")

    def _known(self) -> str:
        return f"services: {', '.join(f'{name} ({service.service_name})' for name, service in sorted(self._services.items()))}"

    def _complaint(self) -> str:
        return f"Apprise can't read the URL in {', '.join(f'channels.apprise.services.{name}' for name in self._bad)}"

    def _notify(self, service: apprise.NotifyBase, part: OutboundPart) -> bool:
        files = apprise.AppriseAttachment()
        for media in part.media:
            files.add(AttachFile(str(self._files.path(media)), name=media.name, mimetype=media.media_type))
        caller = apprise.Apprise()
        caller.add(service)  # pyright: ignore[reportUnknownMemberType] - apprise's types leave a dict open
        attach = files if part.media else None
        answer = caller.notify(body=part.text, body_format=apprise.NotifyFormat.TEXT, attach=attach)  # pyright: ignore[reportUnknownMemberType] - apprise's types leave a dict open
        return bool(answer)
