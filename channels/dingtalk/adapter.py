"""DingTalk as a channel: it calls /channels/dingtalk with what people write."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelLink, Limit, PlatformCall, PlatformReply
from assistant.contracts.inbox import FileKind, InboundFile, InboundMessage, Quote, Sender
from channels.dingtalk.kind import ENCRYPTED, GROUP, USER
from channels.dingtalk.settings import DingTalkSettings
from channels.dingtalk.wire import RULES, DingTalkWire
from channels.kit.calls import FORBIDDEN, TAKEN, header, hmac_base64, is_recent, same
from channels.kit.chats import ChatChannel, Manners
from channels.kit.commands import command_of
from channels.kit.files import inbound_file
from channels.kit.hearing import Overheard
from channels.kit.http import PlatformHttp
from channels.kit.values import id_at, json_in, number_at, objects_at, text_at, time_at, value_at

log = logging.getLogger(__name__)
_WINDOW: Final = 3600.0
"""Seconds. https://help.dingtalk.io/open/development/receive-message"""
_MOST_NAME, _MOST_CODE, _MOST_QUOTED, _MOST_FILES = 128, 2000, 2000, 20
_FILES: Final[Mapping[str, tuple[FileKind, str, str]]] = {
    "picture": ("image", "photo.jpg", "image/jpeg"),
    "file": ("document", "document", "application/octet-stream"),
    "audio": ("voice", "voice.amr", "audio/amr"),
    "video": ("video", "video.mp4", "video/mp4"),
}


class DingTalkChannel(ChatChannel):
    """See `contracts.channels.Channel`, `CalledChannel` and `TakesCalls`."""

    name = "dingtalk"

    def __init__(
        self, settings: DingTalkSettings, context: ChannelContext, *, pause: float = 1.0, now: Callable[[], float] = time.time
    ) -> None:
        """`now`: the clock that calls are checked against."""
        self._settings = settings
        self._now = now
        http = PlatformHttp(self.name, version=context.version, proxy=settings.proxy, secrets=[settings.secret], base=settings.api_base)
        self._wire = DingTalkWire(http, settings, context.notes)
        super().__init__(Manners(groups=settings.groups), context, self._wire, RULES, closes=http, pause=pause)

    def limits(self, address: Address) -> Sequence[Limit]:
        """20 a minute in a group. https://open.dingtalk.com/document/orgapp/robot-reply-and-send-messages"""
        return (Limit(key=address.lane, amount=20, seconds=60), Limit(key=self.name, amount=20, seconds=1))

    async def identity(self) -> str:
        await self._wire.token.check()
        return f"the robot {self._settings.robot}"

    async def called(self, call: PlatformCall) -> PlatformReply:
        at, secret = header(call, "timestamp"), self._settings.secret
        wanted = hmac_base64(secret, f"{at}\n{secret}".encode(errors="replace"))
        recent = is_recent(at, self._now(), within=_WINDOW, per_second=1000)
        if call.method != "POST" or not recent or not same(wanted, header(call, "sign")):
            return FORBIDDEN
        if (body := json_in(call.body)) is None:
            log.warning("dingtalk.call_unreadable bytes=%d", len(call.body))
            return TAKEN
        message = self._read(body)
        if message is None:
            return TAKEN
        return await self._link.take(message.address.chat_id, partial(self._take, body, message), reply=TAKEN)

    async def _take(self, body: Any, message: InboundMessage, link: ChannelLink) -> None:
        """DingTalk does not say that it calls again, so a message is tried until it is stored, or the time of a call is over."""
        healed = partial(link.connected, self._detail)
        url, until = text_at(body, "sessionWebhook"), number_at(body, "sessionWebhookExpiredTime")
        noted = partial(self._wire.session_came, message.address.chat_id, url, until)
        await self._intake.until_stored(link, noted, healed=healed)
        await self._intake.keep(link, message, healed=healed)

    def _read(self, body: Any) -> InboundMessage | None:
        """None: it is no message for the assistant."""
        id, private = id_at(body, "msgId"), text_at(body, "conversationType") == "1"
        person = text_at(body, "senderStaffId") or text_at(body, "senderId")
        chat = person if private else text_at(body, "conversationId")
        known = (USER.fullmatch(person) or ENCRYPTED.fullmatch(person)) and (private or GROUP.fullmatch(chat))
        text, files = _words(body), _files(body)
        if not known or not id or not (text or files):
            return None
        quoted = text_at(body, "text", "repliedMsg", "content", "text")[:_MOST_QUOTED]
        author, me = id_at(body, "text", "repliedMsg", "senderId"), id_at(body, "chatbotUserId")
        heard = Overheard(
            chat_id=chat,
            external_id=id,
            private=private,
            mentions_me=value_at(body, "isInAtList") is True,
            answers_me=bool(author) and author == me,
            command=command_of(text),
            own=bool(me) and text_at(body, "senderId") == me,
        )
        if not self._hearing.hears(heard):
            return None
        return heard.message(
            address=Address(channel="dingtalk", chat_id=chat),
            sender=Sender(id=person, name=text_at(body, "senderNick")[:_MOST_NAME]),
            message_id=id,
            at=time_at(body, "createAt", per_second=1000),
            text=text,
            call=text,
            quote=Quote(text=quoted, author="", author_id="" if author == me else author) if quoted else None,
            files=files,
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
    found = [("picture", piece) for piece in objects_at(body, "content", "richText")] if kind == "richText" else []
    if kind in _FILES and not _words(body):
        found = [(kind, value_at(body, "content"))]
    codes = [(each, content, text_at(content, "downloadCode")) for each, content in found]
    known = [(each, content, code) for each, content, code in codes if 0 < len(code) <= _MOST_CODE]
    return tuple(_file(each, text_at(content, "fileName"), code) for each, content, code in known[:_MOST_FILES])


def _file(kind: str, name: str, code: str) -> InboundFile:
    what, usual, media_type = _FILES[kind]
    return inbound_file(name, code, media_type=media_type, kind=what, usual=usual)
