"""The Zulip channel keeps the contract of a channel, against a stand-in that answers as Zulip's documents say."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import ChannelSuite, Said
from channels.zulip.adapter import ZulipChannel
from channels.zulip.kind import KIND
from channels.zulip.settings import ZulipSettings
from tests.doubles.served import ServedPlatform
from tests.doubles.zulip_server import ADA, BOT, CHANNEL, EMAIL, EVE, KEY, ROBOT, ZulipServer

AUTHORS: Final = {"person": ADA, "stranger": EVE, "bot": ROBOT, "assistant": BOT}


class ZulipPlatform(ServedPlatform[ZulipServer, ZulipChannel]):
    kind = KIND
    address = Address(channel="zulip", chat_id=str(ADA))
    group = Address(channel="zulip", chat_id=f"c{CHANNEL}", thread_id="general")
    thread_id = "plans"
    bad_addresses = (
        Address(channel="zulip", chat_id="general"),
        Address(channel="zulip", chat_id="ada@example.org"),
        Address(channel="zulip", chat_id="8", thread_id="topic"),
        Address(channel="zulip", chat_id="c12", thread_id="x" * 61),
    )
    receives = True
    abilities = frozenset(
        {
            *("groups", "threads", "edits", "files", "files_in", "quotes_in", "edits_in", "bots", "reconnects"),
            *("clock", "typing", "reactions", "previews", "strangers"),
        }
    )
    failures = frozenset(
        {"refuse", "limit", "lose", "hold", "server_error", "garbage", "unauthorized", "blocked", "files", "form", "edit_gone"}
    )
    most_text = 10_000
    most_file = 100 * 1024 * 1024

    def __init__(self, server: ZulipServer, folder: Path) -> None:
        about = {"enabled": True, "site": server.url, "email": EMAIL, "apiKey": KEY, "preview": "edit"}
        super().__init__(server, folder, ZulipSettings.model_validate(about))

    def open(self) -> ZulipChannel:
        return ZulipChannel(self.settings, self.context, pause=0.01)

    def write(self, said: Said) -> str:
        if said.edits is not None:
            self.server.edit(int(said.edits), said.text)
            return said.edits
        text = ("@**nano bot** " if said.mention else "") + said.text
        if said.quotes:
            text = f"@_**Eve|{EVE}** [said]({self.server.url}/#narrow/near/1):\n```quote\n{said.quotes}\n```\n{text}"
        for name, content in said.files:
            path = f"/user_uploads/2/{len(self.server.uploads)}/in"
            self.server.uploads[path] = content
            text += f"\n[{name}]({path})"
        sender = AUTHORS[said.by]
        to: int | list[int] = CHANNEL if said.group else [EVE] if said.by == "stranger" else [ADA]
        return str(self.server.add(text, sender=sender, to=to, topic=said.thread_id or "general", id=int(said.id or 0), ahead=said.ahead))

    def acknowledged(self) -> bool:
        return not self.server.events

    def garble(self) -> None:
        events: list[dict[str, Any]] = [
            {"type": 7},
            {"type": "message"},
            {"type": "message", "message": {"id": "x", "sender_id": []}},
            {"type": "update_message", "content": "x", "message_id": "x"},
        ]
        for event in events:
            self.server.tell(event)

    def typed(self) -> Sequence[str]:
        return [each["to"].strip("[]") for each in self.server.typed]

    def reacted(self) -> Sequence[str]:
        return [str(id) for id, _ in self.server.reacted]


class TestZulip(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[ZulipPlatform]:
        async with ZulipServer() as server, ZulipPlatform(server, tmp_path) as platform:
            yield platform
