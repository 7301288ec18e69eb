"""SMS as a channel: Twilio calls /channels/sms with what people write and with the states of what was sent."""

import base64
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelLink, Limit, PlatformCall, PlatformReply
from assistant.contracts.inbox import InboundFile, InboundMessage, Sender
from assistant.contracts.util import replace_surrogates
from channels.kit.calls import FORBIDDEN, header, hmac_base64, same
from channels.kit.chats import ChatChannel, Manners
from channels.kit.commands import command_of
from channels.kit.files import inbound_file
from channels.kit.http import PlatformHttp
from channels.kit.refusals import connecting
from channels.kit.values import id_at, text_at
from channels.settings import revealed
from channels.sms.settings import SmsSettings, number_of
from channels.sms.wire import PLATFORM, RULES, SETTING, SmsWire, plan, refused, time_of

log = logging.getLogger(__name__)
_EMPTY: Final = PlatformReply(body=b"<Response/>", media_type="text/xml")
"""TwiML that answers nothing: answers go through the outbox."""
_CARRIERS: Final = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "START", "UNSTOP", "HELP", "INFO"}
)
"""Words that the carrier and Twilio answer. https://help.twilio.com/articles/223134027"""
_MOST_FILES: Final = 10
_MOST_SID: Final = 64
_MOST_FIELDS: Final = 1000
_SEEN: Final = "seen"
_MISSED: Final = timedelta(days=7)


class SmsChannel(ChatChannel):
    """See `contracts.channels.Channel`, `CalledChannel` and `TakesCalls`."""

    name = "sms"

    def __init__(self, settings: SmsSettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        [self._secret] = revealed(settings.auth_token)
        self._settings = settings
        login = base64.b64encode(f"{settings.account_sid}:{self._secret}".encode()).decode()
        self._http = http = PlatformHttp(
            self.name,
            version=context.version,
            proxy=settings.proxy,
            secrets=[self._secret, login],
            headers={"Authorization": f"Basic {login}"},
            base=settings.api_base,
        )
        self._wire = wire = SmsWire(http, settings)
        planned = partial(plan, most=settings.most_messages)
        super().__init__(Manners(), context, wire, RULES, plan=planned, earlier=wire.earlier, closes=http, pause=pause)

    def limits(self, address: Address) -> Sequence[Limit]:
        """One a second for most numbers; Twilio keeps a queue of its own. https://help.twilio.com/articles/115002943027"""
        return (Limit(key=self.name, amount=10, seconds=10),)

    async def identity(self) -> str:
        with connecting(PLATFORM, setting=SETTING):
            found = await self._http.json("GET", f"/2010-04-01/Accounts/{self._settings.account_sid}.json")
        return f"{self._settings.number} ({text_at(found, 'friendly_name')})"

    async def run(self, link: ChannelLink) -> None:
        with connecting(PLATFORM, setting=SETTING):
            await self._catch_up(link)
        await super().run(link)

    async def called(self, call: PlatformCall) -> PlatformReply:
        """https://www.twilio.com/docs/messaging/guides/webhook-request"""
        try:
            fields = parse_qsl(call.body.decode(errors="replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            return FORBIDDEN
        if call.method != "POST" or not self._is_signed(call, fields):
            return FORBIDDEN
        form = {name: replace_surrogates(value) for name, value in fields}
        sid = id_at(form, "MessageSid", most=_MOST_SID)
        if not sid:
            return _EMPTY
        if "MessageStatus" in form:
            return await self._link.take(sid, partial(self._state, sid=sid, form=form), reply=_EMPTY)
        message = _read(sid, form, _files(form))
        return await self._link.take(message.sender.id, partial(self._take, message=message), reply=_EMPTY) if message else _EMPTY

    def _is_signed(self, call: PlatformCall, fields: Sequence[tuple[str, str]]) -> bool:
        """By the address as Twilio has it, with or without its port, and the sorted fields.
        https://www.twilio.com/docs/usage/security#validating-requests"""
        url = urlsplit(call.url)
        if self._settings.public_url is not None:
            url = urlsplit(self._settings.public_url)._replace(query=url.query)
        port = "443" if url.scheme == "https" else "80"
        hosts = {url.netloc, url.netloc.removesuffix(f":{port}"), f"{url.netloc}:{port}"}
        values = "".join(name + value for name, value in sorted(set(fields)))
        given = header(call, "x-twilio-signature")
        signed = [
            hmac_base64(self._secret, (url._replace(netloc=host, fragment="").geturl() + values).encode(), digest="sha1") for host in hosts
        ]
        return any(same(wanted, given) for wanted in signed)

    async def _take(self, link: ChannelLink, message: InboundMessage) -> None:
        await self._intake.accept(link, message)
        await self._notes.keep(_SEEN, message.at.isoformat())

    async def _state(self, link: ChannelLink, sid: str, form: Mapping[str, str]) -> None:
        match form["MessageStatus"]:
            case "delivered" | "read" as state:
                await link.delivered(sid, read=state == "read")
            case "failed" | "undelivered":
                code = form.get("ErrorCode", "")
                trouble = refused(int(code) if code.isdecimal() and len(code) < 7 else 0).trouble
                await link.undelivered(sid, trouble.code, trouble.words)
            case _:
                pass

    async def _catch_up(self, link: ChannelLink) -> None:
        """What came while the server was away: Twilio calls five times at most, but keeps the messages."""
        kept = await self._notes.get(_SEEN)
        if kept is None or self._settings.number.startswith("MG"):
            return
        since = max(datetime.fromisoformat(kept), datetime.now(UTC) - _MISSED)
        for found in reversed(await self._wire.listed(since, To=self._settings.number)):
            at, sid = time_of(text_at(found, "date_sent")), id_at(found, "sid", most=_MOST_SID)
            if not sid or text_at(found, "direction") != "inbound" or at is None or at < since - timedelta(minutes=10):
                continue
            form = {"From": text_at(found, "from"), "Body": text_at(found, "body")}
            media = await self._wire.media(sid) if text_at(found, "num_media") not in ("0", "") else ()
            files = [
                _file(f"{self._wire.messages}/{sid}/Media/{text_at(each, 'sid')}", text_at(each, "content_type"), place)
                for place, each in enumerate(media)
            ]
            if (message := _read(sid, form, files, at)) is not None:
                await self._intake.keep(link, message)
                await self._notes.keep(_SEEN, at.isoformat())


def _read(sid: str, form: Mapping[str, str], files: Sequence[InboundFile], at: datetime | None = None) -> InboundMessage | None:
    """None: it is a carrier's word, says nothing, or is not from a phone."""
    number, text = number_of(form.get("From", "")), form.get("Body", "")
    if number is None or "OptOutType" in form or text.strip().upper() in _CARRIERS or not (text.strip() or files):
        log.info("sms.not_read id=%s", sid)
        return None
    return InboundMessage(
        external_id=sid,
        address=Address(channel="sms", chat_id=number),
        sender=Sender(id=number, name=number),
        private=True,
        text=text,
        files=tuple(files),
        command=command_of(text),
        message_id=sid,
        at=at or datetime.now(UTC),
    )


def _files(form: Mapping[str, str]) -> list[InboundFile]:
    count = form.get("NumMedia", "0")
    urls = [(form.get(f"MediaUrl{place}", ""), form.get(f"MediaContentType{place}", "")) for place in range(_MOST_FILES)]
    most = min(int(count), _MOST_FILES) if count.isdecimal() and len(count) < 4 else 0
    return [_file(url, kind, place) for place, (url, kind) in enumerate(urls[:most]) if url.startswith(("https://", "http://"))]


def _file(ref: str, media_type: str, place: int) -> InboundFile:
    file = inbound_file("", ref, media_type=media_type)
    ending = "".join(char for char in file.media_type.partition("/")[2] if char.isalnum())[:8]
    return replace(file, name=f"{file.kind}-{place + 1}.{ending if media_type else 'bin'}")
