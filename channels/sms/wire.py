"""Twilio's calls: send a message, look one up, fetch a file. https://www.twilio.com/docs/messaging/api/message-resource"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

from assistant.contracts.channels import SendFailed, Sending, SendLater, SendRefused
from assistant.contracts.inbox import InboundFile
from assistant.contracts.outbox import OutboundEvent, OutboundPart
from channels.kit.conversation import PlainWire
from channels.kit.forms import Blame
from channels.kit.http import Answered, PlatformError, PlatformHttp
from channels.kit.planning import MessageRules, plan_message
from channels.kit.refusals import send_failure
from channels.kit.sender import Post
from channels.kit.values import Latest, number_at, objects_at, text_at
from channels.sms.settings import SmsSettings
from channels.text.sms import GSM_LIMIT, sms_parts

log = logging.getLogger(__name__)
PLATFORM: Final = "Twilio"
SETTING: Final = "channels.sms.authToken"
RULES: Final = MessageRules(platform="SMS", texts=sms_parts, most_text=GSM_LIMIT, most_files=0)
_CUT: Final = "\n(...) The rest was cut: ask for it."
REASONS: Final[Mapping[int, tuple[str, str]]] = {
    21610: ("blocked", "the person has written STOP to this number"),
    30004: ("blocked", "the person or their carrier blocks this number"),
    30003: ("unreachable", "the phone is off or has no network"),
    30005: ("unknown_number", "there is no such phone"),
    30006: ("landline", "it is a landline, or can't be reached from this carrier"),
    30007: ("filtered", "a carrier takes it for spam"),
    30008: ("undelivered", "it did not arrive, for a reason that the carrier does not tell"),
    30034: ("unregistered", "the number has to be registered for messages to the US (A2P 10DLC)"),
    21211: ("unknown_number", "there is no such phone number"),
    21614: ("landline", "the number can't get SMS"),
    21408: ("no_permission", "the account may not send to this country (Messaging > Settings > Geo permissions)"),
    21612: ("no_route", "there is no way from channels.sms.number to this number"),
}
"""Codes of refusals and of what is reported later. https://www.twilio.com/docs/api/errors"""
_OWN_NUMBER: Final = frozenset({21212, 21606, 21659, 21660, 21703})
_RATES: Final = {20429: 30.0, 14107: 30.0, 30001: 60.0, 21611: 60.0}
_MOST_SENT: Final = 4096
_MOST_PAGES: Final = 50
_FILE_HOSTS: Final = (".twilio.com", "mms.twiliocdn.com", "s3-external-1.amazonaws.com")
"""The last is for accounts that don't protect their files. https://help.twilio.com/articles/223183748"""


def plan(event: OutboundEvent, most: int | None) -> Sequence[OutboundPart]:
    """At most `most` messages; the last says that it was cut."""
    parts = plan_message(event, RULES)
    if most is None or len(parts) <= most:
        return parts
    room = GSM_LIMIT - len(_CUT)
    last = sms_parts(parts[most - 1].text, room)[0].text + _CUT
    notice = f"{len(parts) - most} of {len(parts)} messages cut (channels.sms.mostMessages)"
    said = "; ".join(filter(None, [parts[-1].notice, notice]))
    return [*parts[: most - 1], replace(parts[-1], text=last, plain=last, notice=said)]


class SmsWire(PlainWire):
    platform = PLATFORM

    def __init__(self, http: PlatformHttp, settings: SmsSettings) -> None:
        self._http = http
        self._settings = settings
        self.messages = f"/2010-04-01/Accounts/{settings.account_sid}/Messages"
        self._sent: Latest[None] = Latest(_MOST_SENT)
        """Messages with a receipt."""

    async def post(self, post: Post) -> str | None:
        sender = "MessagingServiceSid" if self._settings.number.startswith("MG") else "From"
        form = {"To": post.sending.address.chat_id, sender: self._settings.number, "Body": post.words}
        if self._settings.public_url is not None:
            form["StatusCallback"] = self._settings.public_url
        sid = text_at(await self._http.json("POST", f"{self.messages}.json", form=form), "sid")
        self._sent[sid] = None
        return sid or None

    async def earlier(self, sending: Sending) -> str | None:
        """The message of an earlier, unanswered try, if it arrived at Twilio."""
        assert sending.again is not None
        begun = sending.again - timedelta(seconds=5)
        for message in await self.listed(begun, To=sending.address.chat_id):
            sid, made = text_at(message, "sid"), time_of(text_at(message, "date_created"))
            fitting = text_at(message, "body") == sending.part.text and text_at(message, "direction").startswith("outbound")
            if fitting and sid and sid not in self._sent and made is not None and made >= begun.replace(microsecond=0):
                self._sent[sid] = None
                return sid
        return None

    def blamed(self, error: PlatformError) -> Blame | None:
        return None  # there is nothing but words

    def failure(self, error: PlatformError) -> SendFailed:
        code = number_at(error.body, "code") if isinstance(error, Answered) else 0
        if code in _RATES and isinstance(error, Answered):
            wait = error.retry_after if error.retry_after is not None else _RATES[code]
            return SendLater("flood_wait", f"{PLATFORM} asks to wait: {error.words}.", retry_after=wait, counts=False)
        if code in _OWN_NUMBER:
            words = f"{PLATFORM} does not take channels.sms.number: {error}."
            return SendLater("own_number", words, retry_after=300, counts=False, whole_channel=True)
        if code in REASONS:
            return refused(code)
        return send_failure(error, PLATFORM, setting=SETTING)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """Twilio's address of a file leads to another, which wants no credentials."""
        await self._http.download(file.ref, into, most_bytes, hosts=_FILE_HOSTS, redirects=2)

    async def listed(self, since: datetime, **query: str) -> Sequence[Any]:
        """Messages since a time, the latest first. Raises PlatformError."""
        url, found = f"{self.messages}.json", list[Any]()
        params: Mapping[str, str] | None = {"DateSent>": (since - timedelta(days=1)).strftime("%Y-%m-%d"), "PageSize": "200", **query}
        for _ in range(_MOST_PAGES):
            page = await self._http.json("GET", url, params=params)
            found += objects_at(page, "messages")
            url, params = text_at(page, "next_page_uri"), None
            if not url.startswith(self.messages):
                return found
        log.warning("sms.messages_unread listed=%d", len(found))
        return found

    async def media(self, sid: str) -> Sequence[Any]:
        return objects_at(await self._http.json("GET", f"{self.messages}/{sid}/Media.json"), "media_list")


def time_of(value: str) -> datetime | None:
    """A time as Twilio writes it: "Fri, 13 Jun 2025 10:11:12 +0000"."""
    try:
        return parsedate_to_datetime(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def refused(code: int, words: str = "") -> SendRefused:
    name, why = REASONS.get(code, (str(code), words or "it did not arrive"))
    return SendRefused(name, f"The message did not arrive: {why}.")
