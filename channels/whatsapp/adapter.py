"""WhatsApp as a channel: Meta calls /channels/whatsapp with what people write and with the states of what was sent."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelLink, Limit, PlatformCall, PlatformReply
from channels.kit.calls import DONE, FORBIDDEN, header, hmac_hex, same
from channels.kit.chats import ChatChannel, Manners
from channels.kit.http import PlatformHttp
from channels.kit.refusals import connecting
from channels.kit.values import id_at, list_at, number_at, text_at, time_at, value_at
from channels.settings import revealed
from channels.whatsapp.inbound import WhatsAppReader, changed_number, person_of, values_of
from channels.whatsapp.kind import CHAT
from channels.whatsapp.refusals import PLATFORM, SETTING, WINDOW_CLOSED, refused
from channels.whatsapp.settings import WhatsAppSettings
from channels.whatsapp.window import AnswerWindows
from channels.whatsapp.wire import RULES, WhatsAppWire, plan

log = logging.getLogger(__name__)
_TYPING: Final = 20.0
"""The indicator is shown for 25 s."""
_MOST_CHALLENGE: Final = 256


class WhatsAppChannel(ChatChannel):
    """See `contracts.channels.Channel`, `CalledChannel` and `TakesCalls`."""

    name = "whatsapp"

    def __init__(self, settings: WhatsAppSettings, context: ChannelContext, *, pause: float = 1.0, patience: float = 10.0) -> None:
        """`patience`: see `WhatsAppWire`."""
        token, *secrets = revealed(settings.access_token, settings.app_secret, settings.verify_token)
        self._settings = settings
        self._secret, self._verify_token = secrets
        self._http = http = PlatformHttp(
            self.name, version=context.version, proxy=settings.proxy, bearer=token, secrets=secrets, base=settings.api_base
        )
        self._windows = AnswerWindows(context.notes)
        self._wire = wire = WhatsAppWire(http, settings, self._windows, patience=patience)
        manners = Manners(react_emoji=settings.react_emoji)
        super().__init__(manners, context, wire, RULES, plan=plan, closes=http, typing_seconds=_TYPING, pause=pause)
        self._reader = WhatsAppReader(wire.texts)

    def limits(self, address: Address) -> Sequence[Limit]:
        """80 messages a second; 45 at once to one person, then one in 6 s.
        https://developers.facebook.com/documentation/business-messaging/whatsapp/throughput"""
        chat = Limit(key=f"{self.name}:{address.chat_id}", amount=45, seconds=270)
        return (Limit(key=self.name, amount=80, seconds=1), chat)

    async def identity(self) -> str:
        with connecting(PLATFORM, setting=SETTING):
            fields = {"fields": "display_phone_number,verified_name"}
            found = await self._http.json("GET", f"/{self._settings.phone_number_id}", params=fields)
        return f"{text_at(found, 'verified_name')} ({text_at(found, 'display_phone_number')})".strip()

    async def called(self, call: PlatformCall) -> PlatformReply:
        """https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/create-webhook-endpoint"""
        if call.method == "GET":
            return self._verified(call)
        if not same(f"sha256={hmac_hex(self._secret, call.body)}", header(call, "x-hub-signature-256")):
            return FORBIDDEN
        reply = DONE
        for value in values_of(call.body):
            if text_at(value, "metadata", "phone_number_id") == self._settings.phone_number_id and reply is DONE:
                reply = await self._link.take(text_at(value, "contacts", 0, "wa_id"), partial(self._take, value=value))
        return reply

    def _verified(self, call: PlatformCall) -> PlatformReply:
        challenge = call.query.get("hub.challenge", "")
        if call.query.get("hub.mode") != "subscribe" or not same(self._verify_token, call.query.get("hub.verify_token", "")):
            return FORBIDDEN
        return PlatformReply(body=challenge[:_MOST_CHALLENGE].encode(errors="replace"), media_type="text/plain")

    async def _take(self, link: ChannelLink, value: Any) -> None:
        for message in list_at(value, "messages"):
            if value_at(message, "group_id") is None:
                await self._message(link, value, message)
        for status in list_at(value, "statuses"):
            await self._status(link, status)

    async def _message(self, link: ChannelLink, value: Any, message: Any) -> None:
        person = await self._person(message)
        if not person:
            return
        if now := changed_number(message):
            await link.moved(person, now)
            return
        found = self._reader.read(value, message, person)
        if found is None:
            log.info("whatsapp.not_read id=%s type=%s", repr(text_at(message, "id"))[:80], repr(text_at(message, "type"))[:34])
            return
        accepted = await self._intake.accept(link, found)
        self._wire.wrote(person, found.external_id)
        waited = await self._windows.closed(person)
        await self._windows.wrote(person, found.at, keep=bool(accepted))
        if waited:
            link.connected(self._detail)  # what waited for the person's answer is sent now

    async def _person(self, message: Any) -> str:
        """The sender's number; where it is hidden, the number that the person was known by before, else their id."""
        number, id = person_of(message)
        if number and id and await self._notes.get(f"number:{id}") != number:
            await self._notes.keep(f"number:{id}", number)
        return number or (await self._notes.get(f"number:{id}") if id else "") or id

    async def _status(self, link: ChannelLink, status: Any) -> None:
        id, key = id_at(status, "id", most=256), text_at(status, "biz_opaque_callback_data")
        if not id:
            return
        if (what := text_at(status, "status")) != "failed":
            if key:
                await self._wire.arrived(key, id)
            if what in ("delivered", "read"):
                await link.delivered(id, read=what == "read")
            return
        error = value_at(status, "errors", 0)
        code = number_at(error, "code")
        trouble = refused(code, text_at(error, "error_data", "details") or text_at(error, "title") or "it did not arrive").trouble
        if code == WINDOW_CLOSED and CHAT.fullmatch(chat := text_at(status, "recipient_id")):
            await self._windows.shut(chat, time_at(status, "timestamp"))
        await link.undelivered(id, trouble.code, trouble.words)
