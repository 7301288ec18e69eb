"""Twilio's calls: send a message, look one up, fetch a file. https://www.twilio.com/docs/messaging/api/message-resource"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

from assistant.contracts.channels import SendFailed, SendLater, SendRefused
from assistant.contracts.inbox import InboundFile
from assistant.contracts.outbox import OutboundEvent, OutboundPart
from channels.kit.conversation import PlainWire
from channels.kit.forms import Blame
from channels.kit.http import Answered, PlatformError, PlatformHttp, value_at
from channels.kit.planning import MessageRules, plan_message
from channels.kit.refusals import send_failure
from channels.kit.sender import Post
from channels.kit.values import Latest, list_at
from channels.sms.settings import SmsSettings
from channels.text.sms import GSM_LIMIT, sms_parts

PLATFORM: Final = "Twilio"
_RULES: Final = MessageRules(platform="SMS", texts=sms_parts, most_text=GSM_LIMIT, most_files=0)
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
_FILE_HOSTS: Final = (".twilio.com", ".twiliocdn.com", "s3-external-1.amazonaws.com", "s3.amazonaws.com")


def plan(event: OutboundEvent, most: int | None) -> Sequence[OutboundPart]:
    """At most `most` messages; the last says that it was cut."""
    parts = plan_message(event, _RULES)
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
        text, to = post.words, post.sending.address.chat_id
        if post.sending.again is not None and (found := await self._found(to, text, post.sending.again)) is not None:
            return self._receipt(found)
        sender = "MessagingServiceSid" if self._settings.number.startswith("MG") else "From"
        form = {"To": to, sender: self._settings.number, "Body": text}
        if self._settings.public_url is not None:
            form["StatusCallback"] = self._settings.public_url
        answer = await self._http.json("POST", f"{self.messages}.json", form=form)
        sid = value_at(answer, "sid")
        return self._receipt(sid) if isinstance(sid, str) else None

    def blamed(self, error: PlatformError) -> Blame | None:
        return None  # there is nothing but words

    def failure(self, error: PlatformError) -> SendFailed:
        code = error.at("code") if isinstance(error, Answered) else None
        if not isinstance(error, Answered) or not isinstance(code, int):
            return send_failure(error, PLATFORM, setting="channels.sms.authToken")
        if code in _RATES:
            wait = error.retry_after if error.retry_after is not None else _RATES[code]
            return SendLater("flood_wait", f"{PLATFORM} asks to wait: {error.words}.", retry_after=wait, counts=False)
        if code in _OWN_NUMBER:
            words = f"{PLATFORM} does not take channels.sms.number: {error.words}."
            return SendLater("own_number", words, retry_after=300, counts=False, whole_channel=True)
        if code in REASONS:
            return refused(code)
        return send_failure(error, PLATFORM, setting="channels.sms.authToken")

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """Twilio's address of a file leads to another, which wants no credentials."""
        await self._http.download(file.ref, into, most_bytes, hosts=_FILE_HOSTS, redirects=2)

    async def listed(self, since: datetime, **query: str) -> Sequence[Any]:
        """Messages since a time, the latest first. Raises PlatformError."""
        params = {"DateSent>": (since - timedelta(days=1)).strftime("%Y-%m-%d"), "PageSize": "200", **query}
        return list_at(await self._http.json("GET", f"{self.messages}.json", params=params), "messages")

    async def media(self, sid: str) -> Sequence[Any]:
        return list_at(await self._http.json("GET", f"{self.messages}/{sid}/Media.json"), "media_list")

    async def _found(self, to: str, text: str, again: datetime) -> str | None:
        """The message of an earlier, unanswered try, if it arrived at Twilio."""
        begun = again - timedelta(seconds=5)
        for message in await self.listed(begun, To=to):
            sid, made = value_at(message, "sid"), time_of(value_at(message, "date_created"))
            fitting = value_at(message, "body") == text and str(value_at(message, "direction")).startswith("outbound")
            if fitting and isinstance(sid, str) and sid not in self._sent and made is not None and made >= begun.replace(microsecond=0):
                return sid
        return None

    def _receipt(self, sid: str) -> str:
        self._sent[sid] = None
        return sid


def time_of(value: object) -> datetime | None:
    """A time as Twilio writes it: "Fri, 13 Jun 2025 10:11:12 +0000"."""
    try:
        return parsedate_to_datetime(str(value)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def refused(code: int, words: str = "") -> SendRefused:
    name, why = REASONS.get(code, (str(code), words or "it did not arrive"))
    return SendRefused(name, f"The message did not arrive: {why}.")
