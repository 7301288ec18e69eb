"""The Mattermost channel keeps the contract of a channel, against a stand-in that answers as the server's documents and its source say."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import PlatformCall
from assistant.testing.channel_suite import ChannelSuite, Said
from channels.mattermost.adapter import MattermostChannel
from channels.mattermost.kind import KIND
from channels.mattermost.settings import MattermostSettings
from tests.doubles.mattermost_server import ADA, BOT, DIRECT, EVE, ROBOT, ROOM, TOKEN, MattermostServer, id_of
from tests.doubles.served import ServedPlatform

AUTHORS: Final = {"person": ADA, "stranger": EVE, "bot": ROBOT, "assistant": BOT}


EVES: Final = id_of("evesdirect")


class MattermostPlatform(ServedPlatform[MattermostServer, MattermostChannel]):
    kind = KIND
    address = Address(channel="mattermost", chat_id=DIRECT)
    group = Address(channel="mattermost", chat_id=ROOM)
    thread_id = id_of("thread")
    bad_addresses = (
        Address(channel="mattermost", chat_id="town-square"),
        Address(channel="mattermost", chat_id=DIRECT.upper()),
        Address(channel="mattermost", chat_id=DIRECT, thread_id="1"),
    )
    receives = True
    abilities = frozenset(
        {
            *("groups", "threads", "edits", "files", "buttons", "files_in", "quotes_in", "edits_in", "bots", "reconnects"),
            *("clock", "typing", "reactions", "previews", "strangers"),
        }
    )
    failures = frozenset(
        {
            *("refuse", "limit", "lose", "hold", "server_error", "garbage", "unauthorized", "blocked", "files", "form"),
            *("thread_gone", "edit_gone"),
        }
    )
    most_text = 15_000
    most_file = 100 * 1024 * 1024

    def __init__(self, server: MattermostServer, folder: Path) -> None:
        about = {
            "enabled": True,
            "serverUrl": server.url,
            "token": TOKEN,
            "replyInThread": False,
            "preview": "edit",
            "callbackUrl": "https://nanobot.example.org/channels/mattermost",
        }
        super().__init__(server, folder, MattermostSettings.model_validate(about))
        server.add({"id": self.thread_id, "channel_id": ROOM, "user_id": EVE, "message": "the thread"}, told=False)
        server.channels[EVES] = "D"
        self._tasks: set[asyncio.Task[Any]] = set()

    def open(self) -> MattermostChannel:
        return MattermostChannel(self.settings, self.context, pause=0.01)

    def write(self, said: Said) -> str:
        if said.edits is not None:
            self.server.edit(said.edits, said.text)
            return said.edits
        chat = ROOM if said.group else EVES if said.by == "stranger" else DIRECT
        post: dict[str, Any] = {
            "channel_id": chat,
            "user_id": AUTHORS[said.by],
            "message": ("@nanobot " if said.mention else "") + said.text,
        }
        if said.ahead:
            post |= {"create_at": self.server.now() + int(said.ahead * 1000)}
        if said.by == "bot":
            post |= {"props": {"from_bot": "true"}}
        if said.quotes:
            post |= {"root_id": self.server.add({"channel_id": chat, "user_id": EVE, "message": said.quotes}, told=False)}
        if said.thread_id:
            post |= {"root_id": said.thread_id}
        if said.files:
            infos: list[dict[str, Any]] = []
            for name, content in said.files:
                id = id_of(f"in{len(self.server.files)}x")
                self.server.files[id] = (name, content)
                infos.append({"id": id, "name": name, "mime_type": "application/pdf", "size": len(content)})
            post |= {"metadata": {"files": infos}}
        return self.server.add(post | ({"id": said.id} if said.id else {}))

    def press(self, label: str) -> None:
        shown = [post for post in self.server.posts.values() if label in str(post["props"].get("attachments"))][-1]
        action = next(one for each in shown["props"]["attachments"] for one in each["actions"] if one["name"] == label)
        press = {"user_id": ADA, "channel_id": shown["channel_id"], "post_id": shown["id"], "trigger_id": label, "type": "button"}
        self._tasks.add(asyncio.create_task(self._call(press | {"context": action["integration"]["context"]})))

    async def _call(self, press: dict[str, Any]) -> None:
        call = PlatformCall(method="POST", query={}, headers={}, body=orjson.dumps(press), url=self.settings.callback_url)
        assert (await self.adapter.called(call)).status == 200

    async def close(self) -> None:
        await asyncio.gather(*self._tasks)
        await super().close()

    def typed(self) -> Sequence[str]:
        return [each["channel_id"] for each in self.server.typed]

    def reacted(self) -> Sequence[str]:
        return [each["post_id"] for each in self.server.reactions]

    def garble(self) -> None:
        for frame in (
            "not JSON",
            "[1]",
            '{"event": 7}',
            '{"event": "posted", "data": {"post": "{"}}',
            '{"event": "post_edited", "data": null}',
        ):
            self.server.frame(frame)
        for post in ("7", '{"id": 7}', '{"id": "x", "channel_id": "../..", "create_at": "soon"}'):
            self.server.frame(orjson.dumps({"event": "posted", "data": {"post": post, "channel_type": "D"}}).decode())
            self.server.frame(orjson.dumps({"event": "post_edited", "data": {"post": post}}).decode())


class TestMattermost(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[MattermostPlatform]:
        async with MattermostServer() as server, MattermostPlatform(server, tmp_path) as platform:
            yield platform
