"""Mattermost as a channel: sends by REST, reads its WebSocket, and fetches what it missed."""

import logging
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit, PlatformCall, PlatformReply, SendFailed
from channels.kit.calls import FORBIDDEN, NOT_NOW, same
from channels.kit.conversation import ChatConversation
from channels.kit.hearing import Hearing
from channels.kit.http import PlatformError
from channels.kit.intake import Intake
from channels.kit.missed import MissedMessages
from channels.kit.planning import plan_message
from channels.kit.refusals import connecting
from channels.kit.sender import PartSender
from channels.kit.sockets import json_socket
from channels.kit.values import id_at, loads, number_at, objects_at, text_at
from channels.mattermost.inbound import MattermostReader, written_at
from channels.mattermost.kind import ID
from channels.mattermost.refusals import PLATFORM, SETTING
from channels.mattermost.settings import MattermostSettings
from channels.mattermost.wire import MattermostWire, posts_in, rules_for, sign

log = logging.getLogger(__name__)
_SINCE: Final = "since"
"""The note with the server's time when the channel connected first, in milliseconds."""
_MOST_CHATS: Final = 200
_EMPTY: Final = PlatformReply(body=b"{}")


class MattermostChannel:
    """See `contracts.channels.Channel`, `CalledChannel` and `TakesCalls`."""

    name = "mattermost"
    keyed = True
    """By `pending_post_id` for 30 seconds, and by a look at the channel's posts after that."""

    def __init__(self, settings: MattermostSettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        """`pause`: seconds before the first retry where the store can't be written."""
        self._settings = settings
        self._notes = context.notes
        self._wire, rules = MattermostWire(settings, context), rules_for(settings)
        self.plan = partial(plan_message, rules=rules)
        self.send = PartSender(self._wire, context.files, channel=self.name, keyed=True).send
        self.conversation = ChatConversation(
            wire=self._wire,
            react_emoji=settings.react_emoji,
            previews=settings.preview == "edit",
            first_part=rules.first,
            typing_seconds=4.0,
        )
        self._intake = Intake(self.name, pause=pause)
        self._missed = MissedMessages(self.name, pause=pause)
        self._hearing = Hearing(settings.groups, allow_bots=settings.allow_bots)
        self._link: ChannelLink | None = None

    def limits(self, address: Address) -> Sequence[Limit]:
        """The server's own setting, where it limits at all. https://docs.mattermost.com/administration-guide/configure/rate-limiting-configuration-settings.html"""
        return (Limit(key=self.name, amount=10, seconds=1),)

    async def identity(self) -> str:
        with connecting(PLATFORM, setting=SETTING):
            bot = await self._wire.bot(fresh=True)
        return f"@{bot.username} ({bot.id}) on {self._settings.server_url}"

    def attach(self, link: ChannelLink | None) -> None:
        self._link = link

    async def run(self, link: ChannelLink) -> None:
        detail = await self.identity()
        self.attach(link)
        reader = MattermostReader(self._settings, self._wire, self._hearing, await self._wire.bot())
        http = self._wire.http
        with connecting(PLATFORM, setting=SETTING):
            async with json_socket(http, http.base.replace("http", "ws", 1) + "/websocket", PLATFORM) as socket:
                await socket.send({"seq": 1, "action": "authentication_challenge", "data": {"token": self._settings.secret}})
                while True:
                    await self._take(await socket.receive(), link, reader, detail)

    async def called(self, call: PlatformCall) -> PlatformReply:
        """A press of a button. The server signs nothing: the button's own signature, which no client is shown, says that the call is its."""
        try:
            press = loads(call.body)
        except ValueError:
            return FORBIDDEN
        given = text_at(press, "context", "sign")
        if not given or not same(sign(self._settings, text_at(press, "context", "value"), text_at(press, "context", "label")), given):
            return FORBIDDEN
        if (link := self._link) is None:
            return NOT_NOW
        try:
            reader = MattermostReader(self._settings, self._wire, self._hearing, await self._wire.bot())
            _, kind = await self._wire.chat_of(text_at(press, "channel_id"))
            message = await reader.press(press, kind)
        except (PlatformError, SendFailed) as error:
            log.warning("mattermost.press_not_read error=%s", error)
            return NOT_NOW
        if message is not None:
            await self._intake.accept(link, message)
        return _EMPTY

    async def close(self) -> None:
        await self._wire.http.close()

    async def _take(self, frame: Any, link: ChannelLink, reader: MattermostReader, detail: str) -> None:
        """https://developers.mattermost.com/api-documentation/#/#websocket-api"""
        match text_at(frame, "event"):
            case "hello":
                await self._catch_up(link, reader)
                link.connected(detail)
            case "posted" | "post_edited":
                try:
                    post = loads(text_at(frame, "data", "post"))
                except ValueError:
                    return
                kind = text_at(frame, "data", "channel_type") or await self._kind_of(text_at(post, "channel_id"))
                if kind:
                    await self._intake.keep(link, await reader.post(post, kind, text_at(frame, "data", "sender_name").removeprefix("@")))
            case "" if text_at(frame, "status") == "FAIL":
                raise ChannelFailed(f"{PLATFORM} does not accept {SETTING}: {id_at(frame, 'error', 'id')}.", fatal=True)
            case _:
                pass

    async def _kind_of(self, chat: str) -> str:
        """The type of a channel; edits come without it. Empty: it is not known."""
        found = await self._missed.ask(chat, partial(self._wire.chat, chat)) if ID.fullmatch(chat) else None
        return found[1] if found is not None else ""

    async def _catch_up(self, link: ChannelLink, reader: MattermostReader) -> None:
        """The posts and edits since the last accepted one of each channel; in channels that never wrote before, since the newest of all."""
        noted = await self._notes.get(_SINCE)
        if noted is None:
            await self._notes.keep(_SINCE, noted := str((await self._wire.bot()).now))
        seen = {chat: time for chat, id in (await link.last_seen()).items() if (time := _position(id))}
        newest = max([int(noted), *seen.values()])
        channels = objects_at(await self._wire.http.json("GET", "/users/me/channels"))
        known = [each for each in channels if ID.fullmatch(text_at(each, "id"))]
        behind = [each for each in known if number_at(each, "last_post_at") > seen.get(text_at(each, "id"), newest)]
        if len(behind) > _MOST_CHATS:
            log.warning("mattermost.missed_unread chats=%d", len(behind) - _MOST_CHATS)
        for channel in sorted(behind, key=lambda each: -number_at(each, "last_post_at"))[:_MOST_CHATS]:
            id = text_at(channel, "id")
            since = seen.get(id, newest)
            posts = partial(self._wire.http.json, "GET", f"/channels/{id}/posts", params={"since": str(since)})
            for post in sorted(posts_in(await self._missed.ask(id, posts)), key=written_at):
                if written_at(post) > since:
                    await self._intake.keep(link, await reader.post(post, text_at(channel, "type")))


def _position(external_id: str) -> int:
    """The time in an external id; 0: there is none (a press)."""
    time = external_id.rpartition(":")[2]
    return int(time) if re.fullmatch("[0-9]{1,15}", time) else 0
