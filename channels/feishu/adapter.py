"""Feishu as a channel: it calls /channels/feishu with what people write and press."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit, PlatformCall, PlatformReply
from assistant.contracts.inbox import InboundMessage, Quote, Sender
from channels.feishu.api import PLATFORM, FeishuApi
from channels.feishu.calls import event_of_call, is_challenge
from channels.feishu.cards import first_part
from channels.feishu.inbound import FeishuEvent, read_event, words_of
from channels.feishu.settings import FeishuSettings
from channels.feishu.wire import RULES, FeishuWire
from channels.kit.calls import FORBIDDEN, NOT_NOW, TAKEN
from channels.kit.chats import ChatChannel
from channels.kit.commands import command_of
from channels.kit.hearing import Overheard
from channels.kit.http import PlatformHttp
from channels.kit.refusals import connecting
from channels.kit.values import Latest, text_at

_MOST_CHATS: Final = 4096
_MOST_QUOTED: Final = 2000


class FeishuChannel(ChatChannel):
    """See `contracts.channels.Channel`, `CalledChannel` and `TakesCalls`. Keyed within an hour; later an unclear try is not repeated by itself."""

    name = "feishu"
    keyed = True

    def __init__(
        self, settings: FeishuSettings, context: ChannelContext, *, pause: float = 1.0, now: Callable[[], float] = time.time
    ) -> None:
        """`now`: the clock that calls are checked against."""
        self._settings = settings
        self._now = now
        http = PlatformHttp(
            self.name, version=context.version, proxy=settings.proxy, secrets=[*filter(None, settings.secrets)], base=settings.base
        )
        self._api = FeishuApi(http, settings)
        self._wire = FeishuWire(http, self._api)
        super().__init__(settings, context, self._wire, RULES, closes=http, first_part=first_part, pause=pause)
        self._private: Latest[bool] = Latest(_MOST_CHATS)
        self._me = ""

    def limits(self, address: Address) -> Sequence[Limit]:
        """https://open.feishu.cn/document/server-docs/im-v1/message/create: 5 a second to a chat, 50 a second and 1,000 a minute in all."""
        return (
            Limit(key=address.lane, amount=5, seconds=1),
            Limit(key=self.name, amount=50, seconds=1),
            Limit(key=f"{self.name}:60s", amount=1000, seconds=60),
        )

    async def identity(self) -> str:
        await self._api.token.check()
        with connecting(PLATFORM, setting="channels.feishu.appSecret"):
            self._me, name = await self._api.bot()
        return f"{name} ({self._settings.app_id})"

    async def called(self, call: PlatformCall) -> PlatformReply:
        _, key, token = self._settings.secrets
        body = event_of_call(call, key, token, self._now()) if call.method == "POST" else None
        if body is None:
            return FORBIDDEN
        if is_challenge(body):
            return PlatformReply(body=orjson.dumps({"challenge": text_at(body, "challenge")}))
        if not self._me:  # another server runs the channel
            try:
                await self.identity()
            except ChannelFailed:
                return NOT_NOW
        event = read_event(body, self._me)
        if event is None or not (event.text.strip() or event.files):
            return TAKEN
        return await self._link.take(event.chat, partial(self._take, event), reply=TAKEN)

    async def _take(self, event: FeishuEvent, link: ChannelLink) -> None:
        private = await self._is_private(event)
        if event.thread is None and self._settings.reply_in_thread and not private and not event.choice:
            event = replace(event, thread=event.message_id)
        quote, ours = await self._parent(event)
        command = event.command if event.choice else command_of(event.text)
        heard = Overheard(
            chat_id=event.chat,
            external_id=event.id,
            private=private,
            mentions_me=event.mentions_me,
            answers_me=ours,
            command=command,
            by_bot=event.by_bot,
            own=event.sender in (self._me, self._settings.app_id),
        )
        if not self._hearing.hears(heard):
            return
        if event.thread is not None:
            self._wire.sent.put(event.thread, self._wire.sent.get(event.thread) or "")
        message = InboundMessage(
            external_id=event.id,
            address=Address(channel="feishu", chat_id=event.chat, thread_id=event.thread),
            sender=Sender(id=event.sender, name=""),
            private=private,
            text=event.text,
            quote=quote,
            files=event.files,
            command=command,
            message_id=event.message_id,
            trusted=not event.by_bot,
            chosen=event.choice,
            at=event.at,
        )
        await self._intake.accept(link, message)

    async def _is_private(self, event: FeishuEvent) -> bool:
        """A press does not tell; unknown: a group."""
        private = event.private
        if private is None and (private := self._private.get(event.chat)) is None:
            private = await self._wire.is_private(event.chat)
        if private is not None:
            self._private.put(event.chat, private)
        return bool(private)

    async def _parent(self, event: FeishuEvent) -> tuple[Quote | None, bool]:
        """(what it answers, whether that is ours, or in a topic with us)."""
        ours = any(each in self._wire.sent for each in (event.parent, event.thread) if each)
        if not event.parent or event.parent == event.thread:
            return None, ours
        if words := self._wire.sent.get(event.parent):
            return Quote(text=words, author=""), True
        told = await self._wire.told(event.parent)
        if told is None:
            return None, ours
        kind, content, author = told
        mine = author == self._settings.app_id
        text = words_of(kind, content)[:_MOST_QUOTED]
        return Quote(text=text, author="", author_id="" if mine else author) if text else None, ours or mine
