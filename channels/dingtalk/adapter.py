"""DingTalk as a channel: it calls /channels/dingtalk with what people write."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit, PlatformCall, PlatformReply, SendFailed
from assistant.contracts.inbox import FileKind, InboundFile, InboundMessage, Quote, Sender
from assistant.contracts.util import display_name
from channels.dingtalk.kind import ENCRYPTED, GROUP, USER
from channels.dingtalk.settings import DingTalkSettings
from channels.dingtalk.wire import PLATFORM, RULES, DingTalkWire
from channels.kit.calls import FORBIDDEN, NOT_NOW, HeldLink, header, hmac_base64, same
from channels.kit.commands import command_of
from channels.kit.conversation import ChatConversation
from channels.kit.hearing import Hearing, Overheard
from channels.kit.http import PlatformError, PlatformHttp, loads, value_at
from channels.kit.intake import Intake
from channels.kit.planning import plan_message
from channels.kit.refusals import channel_failure
from channels.kit.sender import PartSender
from channels.kit.values import number_at, objects_at, text_at

_DONE: Final = PlatformReply(body=b"{}")
_WINDOW: Final = 3600.0
"""Seconds. https://help.dingtalk.io/open/development/receive-message"""
_MOST_ID, _MOST_NAME, _MOST_CODE, _MOST_QUOTED = 200, 128, 2000, 2000
_LATEST: Final = 253_402_300_000_000
"""Milliseconds until the year 9999."""
_FILES: Final[Mapping[str, tuple[FileKind, str, str]]] = {
    "picture": ("image", "photo.jpg", "image/jpeg"),
    "file": ("document", "document", "application/octet-stream"),
    "audio": ("voice", "voice.amr", "audio/amr"),
    "video": ("video", "video.mp4", "video/mp4"),
}


class DingTalkChannel:
    """See `contracts.channels.Channel` and `CalledChannel`."""

    name = "dingtalk"
    keyed = False
    plan = staticmethod(partial(plan_message, rules=RULES))

    def __init__(
        self, settings: DingTalkSettings, context: ChannelContext, *, pause: float = 1.0, now: Callable[[], float] = time.time
    ) -> None:
        """`pause`: seconds before a retry where the store can't be written. `now`: the clock that calls are checked against."""
        self._settings = settings
        self._now = now
        self._http = PlatformHttp(
            self.name, version=context.version, proxy=settings.proxy, secrets=[settings.secret], base=settings.api_base
        )
        self._wire = DingTalkWire(self._http, settings, context.notes)
        self.send = PartSender(self._wire, context.files, channel=self.name).send
        self.conversation = ChatConversation(wire=self._wire)
        self._hearing = Hearing(settings.groups)
        self._intake = Intake(self.name, pause=pause)
        self._link = HeldLink()
        self._order = asyncio.Lock()

    def limits(self, address: Address) -> Sequence[Limit]:
        """20 a minute in a group. https://open.dingtalk.com/document/orgapp/robot-reply-and-send-messages"""
        return (Limit(key=address.lane, amount=20, seconds=60), Limit(key=self.name, amount=20, seconds=1))

    async def identity(self) -> str:
        try:
            await self._wire.token()
        except PlatformError as error:
            raise channel_failure(error, PLATFORM, setting="channels.dingtalk.clientSecret") from error
        except SendFailed as error:
            raise ChannelFailed(str(error), fatal=error.trouble.code == "unauthorized") from error
        return f"the robot {self._settings.robot}"

    async def run(self, link: ChannelLink) -> None:
        link.connected(f"{await self.identity()}, called at /channels/dingtalk")
        await self._link.hold(link)

    async def close(self) -> None:
        await self._http.close()

    async def called(self, call: PlatformCall) -> PlatformReply:
        at = header(call, "timestamp")
        recent = at.isascii() and at.isdigit() and len(at) < 16 and abs(int(at) / 1000 - self._now()) <= _WINDOW
        wanted = hmac_base64(self._settings.secret, f"{at}\n{self._settings.secret}".encode(errors="replace"))
        if call.method != "POST" or not recent or not same(wanted, header(call, "sign")):
            return FORBIDDEN
        link = self._link.now
        if link is None:
            return NOT_NOW
        try:
            body: Any = loads(call.body)
        except ValueError:
            return _DONE
        async with self._order:
            await self._take(link, body)
        return _DONE

    async def _take(self, link: ChannelLink, body: Any) -> None:
        """DingTalk does not say that it calls again, so a message is tried until it is stored."""
        message = self._read(body)
        if message is None:
            return
        healed = partial(link.connected, f"the robot {self._settings.robot}")
        url, until = text_at(body, "sessionWebhook"), number_at(body, "sessionWebhookExpiredTime")
        if self._settings.session_replies:
            noted = partial(self._wire.session_came, message.address.chat_id, url, until)
            await self._intake.until_stored(link, noted, healed=healed)
        await self._intake.keep(link, message, healed=healed)

    def _read(self, body: Any) -> InboundMessage | None:
        """None: it is no message for the assistant."""
        id, private = text_at(body, "msgId"), text_at(body, "conversationType") == "1"
        person = text_at(body, "senderStaffId") or text_at(body, "senderId")
        chat = person if private else text_at(body, "conversationId")
        known = (USER.fullmatch(person) or ENCRYPTED.fullmatch(person)) and (private or GROUP.fullmatch(chat))
        text, files = _words(body), _files(body)
        if not known or not 0 < len(id) <= _MOST_ID or not (text or files):
            return None
        quoted = text_at(body, "text", "repliedMsg", "content", "text")[:_MOST_QUOTED]
        author, me = text_at(body, "text", "repliedMsg", "senderId"), text_at(body, "chatbotUserId")
        command = command_of(text)
        heard = Overheard(
            chat_id=chat,
            external_id=id,
            private=private,
            mentions_me=value_at(body, "isInAtList") is True,
            answers_me=bool(author) and author == me,
            command=command,
            own=bool(me) and text_at(body, "senderId") == me,
        )
        if not self._hearing.hears(heard):
            return None
        return InboundMessage(
            external_id=id,
            address=Address(channel="dingtalk", chat_id=chat),
            sender=Sender(id=person, name=text_at(body, "senderNick")[:_MOST_NAME]),
            private=private,
            text=text,
            quote=Quote(text=quoted, author="", author_id="" if author == me else author[:_MOST_ID]) if quoted else None,
            files=files,
            command=command,
            message_id=id,
            at=_time(number_at(body, "createAt")),
        )


def _words(body: Any) -> str:
    match text_at(body, "msgtype"):
        case "text":
            return text_at(body, "text", "content").strip()
        case "richText":
            return "".join(text_at(piece, "text") for piece in objects_at(body, "content", "richText")).strip()
        case "audio":
            return text_at(body, "content", "recognition").strip()
        case _:
            return ""


def _files(body: Any) -> tuple[InboundFile, ...]:
    kind = text_at(body, "msgtype")
    found = [("picture", piece) for piece in objects_at(body, "content", "richText")[:20]] if kind == "richText" else []
    if kind in _FILES and not _words(body):
        found = [(kind, value_at(body, "content"))]
    codes = [(each, content, text_at(content, "downloadCode")) for each, content in found]
    return tuple(_file(each, text_at(content, "fileName"), code) for each, content, code in codes if 0 < len(code) <= _MOST_CODE)


def _file(kind: str, name: str, code: str) -> InboundFile:
    what, usual, media_type = _FILES[kind]
    return InboundFile(name=display_name(name or usual, usual), kind=what, media_type=media_type, size=None, ref=code)


def _time(stamp: int) -> datetime:
    return datetime.fromtimestamp(stamp / 1000, UTC) if 0 < stamp < _LATEST else datetime.now(UTC)
