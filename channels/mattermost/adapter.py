"""Mattermost as a channel: sends by REST, reads its WebSocket, and fetches what it missed."""

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit, PlatformCall, PlatformReply, SendFailed
from channels.kit.calls import FORBIDDEN, NOT_NOW, same
from channels.kit.conversation import ChatConversation
from channels.kit.hearing import Hearing
from channels.kit.http import Answered, PlatformError
from channels.kit.intake import Intake
from channels.kit.planning import plan_message
from channels.kit.sender import PartSender
from channels.kit.sockets import JsonSocket, json_socket
from channels.kit.values import number_at, objects_at, text_at
from channels.mattermost.api import PLATFORM, SETTING, MattermostApi, connection_failure, posts_in
from channels.mattermost.inbound import MattermostReader
from channels.mattermost.settings import MattermostSettings
from channels.mattermost.wire import MOST_TEXT, MattermostWire, mattermost_parts, rules_for, sign

log = logging.getLogger(__name__)
_SINCE: Final = "since"
"""The note with the server's time when the channel connected first, in milliseconds."""
_MOST_CHATS: Final = 200
_EMPTY: Final = PlatformReply(body=b"{}")


class _Live(NamedTuple):
    link: ChannelLink
    reader: MattermostReader


class MattermostChannel:
    """See `contracts.channels.Channel` and `CalledChannel`."""

    name = "mattermost"
    keyed = True
    """By `pending_post_id` for 30 seconds, and by a look at the channel's posts after that."""

    def __init__(self, settings: MattermostSettings, context: ChannelContext, *, pause: float = 1.0) -> None:
        """`pause`: seconds before the first retry where the store can't be written."""
        self._settings = settings
        self._notes = context.notes
        self._api = MattermostApi(settings, context)
        wire = MattermostWire(self._api, settings)
        self.plan = partial(plan_message, rules=rules_for(settings))
        self.send = PartSender(wire, context.files, channel=self.name).send
        self.conversation = ChatConversation(
            wire=wire,
            react_emoji=settings.react_emoji,
            previews=settings.preview == "edit",
            first_part=lambda text: next((part.text for part in mattermost_parts(text[: 2 * MOST_TEXT], MOST_TEXT)), ""),
            typing_seconds=4.0,
        )
        self._intake = Intake(self.name, pause=pause)
        self._hearing = Hearing(settings.groups, allow_bots=settings.allow_bots)
        self._live: _Live | None = None

    def limits(self, address: Address) -> Sequence[Limit]:
        """The server's own setting, where it limits at all. https://docs.mattermost.com/administration-guide/configure/rate-limiting-configuration-settings.html"""
        return (Limit(key=self.name, amount=10, seconds=1),)

    async def identity(self) -> str:
        try:
            bot = await self._api.bot(fresh=True)
        except PlatformError as error:
            raise connection_failure(error) from error
        return f"@{bot.username} ({bot.id}) on {self._settings.server_url}"

    async def run(self, link: ChannelLink) -> None:
        detail = await self.identity()
        bot = await self._api.bot()
        first = int(await self._notes.get(_SINCE) or 0)
        if not first:
            first = bot.now
            await self._notes.keep(_SINCE, str(first))
        reader = MattermostReader(self._settings, self._api, self._hearing, bot)
        seen = {chat: time for chat, id in (await link.last_seen()).items() if (time := _position(id))}
        self._live = _Live(link, reader)
        try:
            url = self._api.http.base.replace("http", "ws", 1) + "/websocket"
            async with json_socket(self._api.http, url, PLATFORM) as socket:
                challenge = {"seq": 1, "action": "authentication_challenge", "data": {"token": self._settings.secret}}
                await socket.send(challenge)
                await self._serve(socket, link, reader, detail, seen, max([first, *seen.values()]))
        except PlatformError as error:
            raise connection_failure(error) from error
        finally:
            self._live = None

    async def called(self, call: PlatformCall) -> PlatformReply:
        """A press of a button. The server signs nothing: the button's own signature, which no client is shown, says that the call is its."""
        try:
            press: Any = orjson.loads(call.body)
        except orjson.JSONDecodeError:
            return FORBIDDEN
        given = text_at(press, "context", "sign")
        if not given or not same(sign(self._settings, text_at(press, "context", "value"), text_at(press, "context", "label")), given):
            return FORBIDDEN
        if self._live is None:
            return NOT_NOW
        try:
            _, kind = await self._api.chat_of(text_at(press, "channel_id"))
            message = await self._live.reader.press(press, kind, datetime.now(UTC))
        except (PlatformError, SendFailed) as error:
            log.warning("mattermost.press_not_read error=%s", error)
            return NOT_NOW
        if message is not None:
            await self._intake.accept(self._live.link, message)
        return _EMPTY

    async def close(self) -> None:
        await self._api.http.close()

    async def _serve(
        self, socket: JsonSocket, link: ChannelLink, reader: MattermostReader, detail: str, seen: Mapping[str, int], newest: int
    ) -> None:
        """https://developers.mattermost.com/api-documentation/#/#websocket-api"""
        while True:
            frame = await socket.receive()
            match text_at(frame, "event"):
                case "hello":
                    async for post, kind in self._missed(seen, newest):
                        await self._take(link, reader, post, kind)
                    link.connected(detail)
                case "posted" | "post_edited":
                    await self._event(link, reader, frame)
                case "" if text_at(frame, "status") == "FAIL":
                    raise ChannelFailed(f"{PLATFORM} does not accept {SETTING}: {text_at(frame, 'error', 'id')}.", fatal=True)
                case _:
                    pass

    async def _event(self, link: ChannelLink, reader: MattermostReader, frame: Any) -> None:
        try:
            post: Any = orjson.loads(text_at(frame, "data", "post"))
        except orjson.JSONDecodeError:
            return
        kind = text_at(frame, "data", "channel_type")
        if not kind:  # edits come without it
            try:
                _, kind = await self._api.chat_of(text_at(post, "channel_id"))
            except (Answered, SendFailed):
                return
        await self._take(link, reader, post, kind, text_at(frame, "data", "sender_name").removeprefix("@"))

    async def _take(self, link: ChannelLink, reader: MattermostReader, post: Any, kind: str, name: str = "") -> None:
        if (message := await reader.post(post, kind, name)) is not None:
            await self._intake.keep(link, message)

    async def _missed(self, seen: Mapping[str, int], newest: int) -> AsyncGenerator[tuple[Any, str]]:
        """(post, type of its channel): the posts and edits since the last accepted one of each channel; in channels that never wrote before, since
        the newest of all."""
        channels = objects_at(await self._api.http.json("GET", "/users/me/channels"))
        behind = [each for each in channels if number_at(each, "last_post_at") > seen.get(text_at(each, "id"), newest)]
        for channel in sorted(behind, key=lambda each: -number_at(each, "last_post_at"))[:_MOST_CHATS]:
            id = text_at(channel, "id")
            try:
                found = await self._api.http.json("GET", f"/channels/{id}/posts", params={"since": str(seen.get(id, newest))})
            except Answered as error:
                log.warning("mattermost.not_caught_up chat=%s error=%s", id, error)
                continue
            since = seen.get(id, newest)
            for post in sorted(posts_in(found), key=_written):
                if _written(post) > since:
                    yield post, text_at(channel, "type")


def _written(post: Any) -> int:
    return max(number_at(post, "create_at"), number_at(post, "edit_at"))


def _position(external_id: str) -> int:
    """The time in an external id; 0: there is none (a press)."""
    _, _, time = external_id.rpartition(":")
    return int(time) if time.isascii() and time.isdigit() and len(time) < 16 else 0
