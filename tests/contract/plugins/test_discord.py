"""The Discord channel keeps the contract of a channel, with the real SDK against the stand-in."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import ChannelSuite, Failure, Said, Seen
from assistant.testing.platform import Ability
from channels.discord.adapter import DiscordChannel
from channels.discord.kind import KIND
from channels.discord.settings import DiscordSettings
from tests.doubles.discord_api.server import DiscordApi
from tests.doubles.discord_api.world import Accepted
from tests.doubles.served import OpenedPlatform
from tests.flow.discord.conftest import QUICK


class DiscordPlatform(OpenedPlatform[DiscordChannel]):
    """Its gateway has no acknowledgements: what was missed is fetched by the last message that was accepted."""

    kind = KIND
    bad_addresses = (Address(channel="discord", chat_id="general"),)
    receives = True
    abilities: frozenset[Ability] = frozenset(get_args(Ability)) - {"signed", "moves"}
    failures: frozenset[Failure] = frozenset(get_args(Failure)) - {"form"}
    most_text = 2000
    most_file = 10 * 1024 * 1024

    def __init__(self, api: DiscordApi, folder: Path) -> None:
        self._api, self._world = api, api.world
        self._token = api.token
        self._ada, self._bob, self._other = self._world.user("ada"), self._world.user("bob"), self._world.user("other", bot=True)
        self._chat = self._world.dm(self._ada)
        guild = self._world.guild("home")
        self._channel = self._world.text_channel(guild, "general")
        self._thread = self._world.thread(self._channel, "topic")
        self.address = Address(channel="discord", chat_id=self._chat["id"])
        self.group = Address(channel="discord", chat_id=self._channel["id"])
        self.thread_id = self._thread["id"]
        super().__init__(folder, DiscordSettings.model_validate(api.settings(preview="edit")))
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> DiscordChannel:
        return DiscordChannel(self.settings, self.context, replace(QUICK, refused=0.0))

    def seen(self) -> Sequence[Seen]:
        return [self._seen(entry) for entry in self._world.ledger if not entry.deleted]

    def _seen(self, entry: Accepted) -> Seen:
        in_thread = entry.channel_id == self.thread_id
        rows: list[dict[str, Any]] = entry.body.get("components") or []
        return Seen(
            id=entry.message_id,
            text=entry.shown,
            chat_id=self._channel["id"] if in_thread else entry.channel_id,
            thread_id=entry.channel_id if in_thread else None,
            reply_to=str(reference["message_id"]) if (reference := entry.body.get("message_reference")) else None,
            files=tuple(name for name, _ in entry.files),
            buttons=tuple(button["label"] for row in rows for button in row["components"]),
            edited=bool(entry.edits),
        )

    def fail(self, how: Failure) -> None:
        faults = self._api.faults
        match how:
            case "refuse":
                faults.add("answer", status=403, body={"message": "Missing Permissions", "code": 50013})
            case "limit":
                faults.too_many(30)
            case "lose":
                faults.add("reset_after")
            case "hold":
                faults.add("hang")
            case "server_error":  # one that discord.py does not repeat itself
                faults.add("answer", status=503)
            case "garbage":
                faults.add("answer", status=200, body="<html>this is not JSON</html>")
            case "unauthorized":
                self._api.token = "another"
            case "blocked":
                self._world.closed_dms.add(self._ada["id"])
            case "files":
                faults.add("answer", status=413, body={"message": "Request entity too large", "code": 40005})
            case "thread_gone":
                del self._world.channels[self._thread["id"]]
            case "edit_gone":
                if any(not entry.deleted for entry in self._world.ledger):
                    self._world.delete_own(self._message(self._world.ledger[-1].message_id))
            case _:
                pass

    def heal(self) -> None:
        self._api.token = self._token
        self._api.faults.clear()
        self._world.closed_dms.clear()

    def write(self, said: Said) -> str:
        world = self._world
        if said.id is not None:
            world.tell_again(self._message(said.id))
            return said.id
        if said.edits is not None:
            world.edit(self._message(said.edits), said.text)
            return said.edits
        chat = self._channel if said.group else self._chat
        if said.thread_id is not None:
            chat = self._thread
        if said.by == "stranger":
            chat = world.dm(self._bob)
        author = {"person": self._ada, "stranger": self._bob, "bot": self._other, "assistant": world.me}[said.by]
        reply_to = world.write(chat, self._bob, said.quotes)["id"] if said.quotes and said.group else None
        if said.quotes and not said.group:
            reply_to = world.accept(chat, {"content": said.quotes}, [], pings=False)["id"]
        if said.answers_us:
            reply_to = world.ledger[-1].message_id
        text = f"<@{world.me['id']}> {said.text}" if said.mention else said.text
        files = [(name, "application/pdf", data) for name, data in said.files]
        at = datetime.now(UTC) + timedelta(seconds=said.ahead) if said.ahead else None
        message: dict[str, Any] = world.write(chat, author, text, files=files, reply_to=reply_to, at=at)
        return message["id"]

    def _message(self, id: str) -> dict[str, Any]:
        return next(kept[id] for kept in self._world.messages.values() if id in kept)

    def press(self, label: str) -> None:
        for entry in reversed(self._world.ledger):
            rows: list[dict[str, Any]] = entry.body.get("components") or []
            for button in [button for row in rows for button in row["components"]]:
                if button["label"] == label:
                    self._world.press(entry.message_id, self._ada, button["custom_id"])
                    return
        raise AssertionError(label)

    def drop(self) -> None:
        self._tasks.append(asyncio.ensure_future(self._api.gateway.drop(resumable=False)))

    def garble(self) -> None:
        emit = self._api.gateway.emit
        emit("SOMETHING_NEW", {"id": 7})
        emit("MESSAGE_CREATE", {"id": "x", "channel_id": self._chat["id"]})
        emit("MESSAGE_UPDATE", {"id": None})
        emit("INTERACTION_CREATE", {"id": "1", "type": 99})

    def typed(self) -> Sequence[str]:
        return self._world.typings

    def reacted(self) -> Sequence[str]:
        return [message for message, _ in self._world.reactions]


class TestDiscord(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[DiscordPlatform]:
        async with DiscordApi() as api, DiscordPlatform(api, tmp_path) as platform:
            yield platform
