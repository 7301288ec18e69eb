"""Mattermost as a channel: sends by REST, reads its WebSocket, and fetches what it missed."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit, PlatformCall, PlatformReply
from channels.kit.calls import FORBIDDEN, TAKEN, same
from channels.kit.chats import ChatChannel
from channels.kit.missed import MissedMessages
from channels.kit.refusals import connecting
from channels.kit.sockets import json_socket
from channels.kit.values import id_at, json_in, number_at, objects_at, text_at
from channels.mattermost.inbound import MattermostReader, written_at
from channels.mattermost.kind import ID
from channels.mattermost.refusals import PLATFORM, SETTING
from channels.mattermost.settings import MattermostSettings
from channels.mattermost.wire import MattermostWire, posts_in, rules_for, sign

_SINCE: Final = "since"
"""The note with the server's time when the channel connected first, in milliseconds."""


class MattermostChannel(ChatChannel):
    """See `contracts.channels.Channel`, `CalledChannel` and `TakesCalls`."""

    name = "mattermost"
    keyed = True
    """By `pending_post_id` for 30 seconds, and by a look at the channel's posts after that."""

    def __init__(self, settings: MattermostSettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        self._settings = settings
        self._wire = wire = MattermostWire(settings, context)
        http, rules, channels = wire.http, rules_for(settings), settings.allow_channels
        super().__init__(settings, context, wire, rules, closes=http, channels=channels, typing_seconds=4.0, pause=pause)
        self._missed = MissedMessages(self.name, pause=pause)
        self._reader = MattermostReader(settings, wire, self._hearing)

    def limits(self, address: Address) -> Sequence[Limit]:
        """The server's own setting, where it limits at all. https://docs.mattermost.com/administration-guide/configure/rate-limiting-configuration-settings.html"""
        return (Limit(key=self.name, amount=10, seconds=1),)

    async def identity(self) -> str:
        with connecting(PLATFORM, setting=SETTING):
            bot = await self._wire.bot(fresh=True)
        return f"@{bot.username} ({bot.id}) on {self._settings.server_url}"

    async def run(self, link: ChannelLink) -> None:
        detail = await self.identity()
        self.attach(link)
        http = self._wire.http
        with connecting(PLATFORM, setting=SETTING):
            async with json_socket(http, http.base.replace("http", "ws", 1) + "/websocket", PLATFORM) as socket:
                await socket.send({"seq": 1, "action": "authentication_challenge", "data": {"token": self._settings.secret}})
                while True:
                    await self._take(await socket.receive(), link, detail)

    async def called(self, call: PlatformCall) -> PlatformReply:
        """A press of a button. The server signs nothing: the button's own signature, which no client is shown, says that the call is its."""
        press = json_in(call.body)
        given = text_at(press, "context", "sign")
        if not given or not same(sign(self._settings, text_at(press, "context", "value"), text_at(press, "context", "label")), given):
            return FORBIDDEN
        return await self._link.take(text_at(press, "channel_id"), partial(self._press, press), reply=TAKEN)

    async def _press(self, press: Any, link: ChannelLink) -> None:
        if (message := await self._reader.press(press)) is not None:
            await self._intake.accept(link, message)

    async def _take(self, frame: Any, link: ChannelLink, detail: str) -> None:
        """https://developers.mattermost.com/api-documentation/#/#websocket-api"""
        match text_at(frame, "event"):
            case "hello":
                await self._catch_up(link)
                link.connected(detail)
            case "posted" | "post_edited":
                post = json_in(text_at(frame, "data", "post"))
                kind = text_at(frame, "data", "channel_type") or await self._kind_of(text_at(post, "channel_id"))
                if kind:
                    sender_name = text_at(frame, "data", "sender_name").removeprefix("@")
                    await self._intake.keep(link, await self._reader.post(post, kind, sender_name))
            case "" if text_at(frame, "status") == "FAIL":
                raise ChannelFailed(f"{PLATFORM} does not accept {SETTING}: {id_at(frame, 'error', 'id')}.", fatal=True)
            case _:
                pass

    async def _kind_of(self, chat: str) -> str:
        """The type of a channel; edits come without it. Empty: it is not known."""
        found = await self._missed.ask(chat, partial(self._wire.chat, chat)) if ID.fullmatch(chat) else None
        return found[1] if found is not None else ""

    async def _catch_up(self, link: ChannelLink) -> None:
        """The posts and edits since the last accepted one of each channel; in channels that never wrote before, since the newest of all."""
        noted = await self._notes.get(_SINCE)
        if noted is None:
            await self._notes.keep(_SINCE, noted := str((await self._wire.bot()).now))
        seen = {chat: time for chat, id in (await link.last_seen()).items() if (time := _position(id))}
        newest = max([int(noted), *seen.values()])

        async def read(channel: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
            id, kind = text_at(channel, "id"), text_at(channel, "type")
            since = seen.get(id, newest)
            posts = partial(self._wire.http.json, "GET", f"/channels/{id}/posts", params={"since": str(since)})
            return [(post, kind) for post in posts_in(await self._missed.ask(id, posts)) if written_at(post) > since]

        channels = objects_at(await self._wire.http.json("GET", "/users/me/channels"))
        known = [each for each in channels if ID.fullmatch(text_at(each, "id"))]
        behind = [each for each in known if number_at(each, "last_post_at") > seen.get(text_at(each, "id"), newest)]
        behind.sort(key=lambda each: -number_at(each, "last_post_at"))
        for post, kind in sorted(await self._missed.of_chats(behind, read), key=lambda each: written_at(each[0])):
            await self._intake.keep(link, await self._reader.post(post, kind))


def _position(external_id: str) -> int:
    """The time in an external id; 0: there is none (a press)."""
    time = external_id.rpartition(":")[2]
    return int(time) if re.fullmatch("[0-9]{1,15}", time) else 0
