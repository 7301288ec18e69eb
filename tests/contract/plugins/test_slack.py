"""The Slack channel keeps the contract of a channel, by Socket Mode and by signed calls, against a stand-in that answers as Slack's documents say."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

import orjson
import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import PlatformCall
from assistant.contracts.errors import StoreUnavailable
from assistant.testing.channel_in import ReceiveCases
from assistant.testing.channel_suite import ChannelSuite, Said
from channels.slack.adapter import SlackChannel
from channels.slack.kind import KIND
from channels.slack.settings import SlackSettings
from tests.doubles.served import ServedPlatform
from tests.doubles.slack_server import APP_TOKEN, BOT, BOT_ID, BOT_TOKEN, SECRET, SlackServer, escaped, signed

CHATS: Final = {False: ("D0000001", "im"), True: ("C0000001", "channel")}
AUTHORS: Final = {
    "person": {"user": "U0000001"},
    "stranger": {"user": "U0000002"},
    "bot": {"user": "U0000009", "bot_id": "B0000009"},
    "assistant": {"user": BOT, "bot_id": BOT_ID},
}


class SlackPlatform(ServedPlatform[SlackServer, SlackChannel]):
    kind = KIND
    address = Address(channel="slack", chat_id="D0000001")
    group = Address(channel="slack", chat_id="C0000001")
    thread_id = "1600000000.000100"
    bad_addresses = (
        Address(channel="slack", chat_id="#general"),
        Address(channel="slack", chat_id="c0000001"),
        Address(channel="slack", chat_id="C0000001", thread_id="12"),
    )
    receives = True
    abilities = frozenset(
        {
            *("groups", "threads", "edits", "files", "buttons", "files_in", "quotes_in", "edits_in", "bots", "reconnects"),
            *("moves", "clock", "reactions", "previews", "strangers"),
        }
    )
    failures = frozenset(
        {
            *("refuse", "limit", "lose", "hold", "server_error", "garbage", "unauthorized", "blocked", "files", "form"),
            *("thread_gone", "edit_gone"),
        }
    )
    most_text = 3000
    most_file = 100 * 1024 * 1024
    mode = "socket"

    def __init__(self, server: SlackServer, folder: Path) -> None:
        about = {
            "enabled": True,
            "mode": self.mode,
            "botToken": BOT_TOKEN,
            "appToken": APP_TOKEN,
            "signingSecret": SECRET,
            "apiBase": f"{server.url}/api",
            "replyInThread": False,
            "preview": "edit",
        }
        super().__init__(server, folder, SlackSettings.model_validate(about))

    def open(self) -> SlackChannel:
        return SlackChannel(self.settings, self.context, pause=0.01)

    def write(self, said: Said) -> str:
        chat, kind = CHATS[said.group] if said.by != "stranger" else ("D0000002", "im")
        history = self.server.history[chat]
        if said.edits is not None:
            before = next(each for each in history if each["ts"] == said.edits)
            after = before | {"text": escaped(said.text), "edited": {"user": "U0000001", "ts": self.server.next_ts()}}
            about = {"type": "message", "subtype": "message_changed", "channel": chat, "channel_type": kind}
            self.server.event(about | {"message": after, "previous_message": before})
            return said.edits
        message: dict[str, Any] = {"type": "message", **AUTHORS[said.by], "ts": said.id or self.server.next_ts(said.ahead)}
        message["text"] = (f"<@{BOT}> " if said.mention else "") + escaped(said.text)
        if said.quotes:
            parent = {"type": "message", "user": "U0000002", "text": escaped(said.quotes), "ts": self.server.next_ts()}
            history.append(parent)
            message |= {"thread_ts": parent["ts"]}
        if said.thread_id:
            message |= {"thread_ts": said.thread_id}
        if said.files:
            message |= {"subtype": "file_share", "files": [self._file(*each) for each in said.files]}
        if said.id is None:
            history.append(message)
        self.server.event(message | {"channel": chat, "channel_type": kind})
        return str(message["ts"])

    def _file(self, name: str, content: bytes) -> dict[str, Any]:
        id = f"F{len(self.server.files):07}"
        self.server.files[id] = (content, "application/pdf")
        url = f"{self.server.url}/file/{id}"
        return {
            "id": id,
            "name": name,
            "mimetype": "application/pdf",
            "size": len(content),
            "url_private": url,
            "url_private_download": url,
        }

    def press(self, label: str) -> None:
        shown = [(chat, each) for chat, messages in self.server.history.items() for each in messages if label in str(each.get("blocks"))]
        chat, message = shown[-1]
        rows = [block["elements"] for block in message["blocks"] if block["type"] == "actions"]
        button = next(each for row in rows for each in row if each["text"]["text"] == label)
        payload = {
            "type": "block_actions",
            "user": {"id": "U0000001", "username": "ada"},
            "container": {"type": "message", "message_ts": message["ts"], "channel_id": chat},
            "channel": {"id": chat},
            "actions": [button | {"action_ts": self.server.next_ts()}],
        }
        self.server.push("interactive", payload)

    def move(self) -> Address:
        self.server.history["G0000009"] = self.server.history.pop("C0000001")
        self.server.event({"type": "channel_id_changed", "old_channel_id": "C0000001", "new_channel_id": "G0000009"})
        return Address(channel="slack", chat_id="G0000009")

    def reacted(self) -> Sequence[str]:
        return [each["timestamp"] for each in self.server.arguments_of("reactions.add")]

    def acknowledged(self) -> bool:
        return not self.server.pending

    def garble(self) -> None:
        self.server.frame("not JSON")
        self.server.frame('["a", 1, null]')
        self.server.frame('{"type": 7, "envelope_id": ["x"]}')
        for event in (None, 7, {"type": "message", "channel": 7, "user": ["U"], "ts": "soon"}, {"type": "reaction_added"}):
            self.server.event(event)  # pyright: ignore[reportArgumentType] - on purpose
        self.server.push("interactive", {"type": "block_actions", "actions": "none"})


class SlackCalls(SlackPlatform):
    """Slack calls the assistant: one event at a time, again until it is answered with 200."""

    mode = "events"
    abilities = (SlackPlatform.abilities - {"reconnects"}) | {"signed"}

    async def calling(self) -> None:
        while True:
            for id, envelope in list(self.server.pending.items()):
                with contextlib.suppress(StoreUnavailable):
                    if await self._call(envelope["type"], envelope["payload"], time.time()) == 200:
                        self.server.pending.pop(id)
            await asyncio.sleep(0.005)

    async def _call(self, kind: str, payload: Any, at: float, secret: str = SECRET) -> int:
        body = orjson.dumps(payload) if kind == "events_api" else urlencode({"payload": orjson.dumps(payload).decode()}).encode()
        call = PlatformCall(method="POST", query={}, headers=signed(body, at, secret), body=body, url="https://example.org/channels/slack")
        return (await self.adapter.called(call)).status

    async def forge(self, said: Said, *, stale: bool = False) -> int:
        event = {"type": "message", "user": "U0000001", "channel": "D0000001", "channel_type": "im", "text": said.text, "ts": "1.000001"}
        payload = {"type": "event_callback", "event": event}
        return await self._call("events_api", payload, time.time() - 3600 if stale else time.time(), SECRET if stale else "x" * 32)


class TestSlack(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[SlackPlatform]:
        async with SlackServer() as server, SlackPlatform(server, tmp_path) as platform:
            yield platform


class TestSlackCalls(ReceiveCases):
    """What differs by the way in: receiving."""

    pytestmark: ClassVar = [pytest.mark.asyncio]

    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[SlackCalls]:
        async with SlackServer() as server, SlackCalls(server, tmp_path) as platform:
            calling = asyncio.create_task(platform.calling())
            yield platform
            calling.cancel()
