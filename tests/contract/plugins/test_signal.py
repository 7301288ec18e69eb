"""The Signal channel keeps the contract of a channel, by HTTP and by a socket, against a stand-in that answers as signal-cli's documents say."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import ChannelSuite, Said
from channels.signal.adapter import SignalChannel
from channels.signal.kind import KIND
from channels.signal.settings import SignalSettings
from tests.doubles.served import ServedPlatform
from tests.doubles.signal_server import ACCOUNT, ME, NOW, SignalServer

ADA = "11111111-2222-4333-8444-555555555555"
BO = "99999999-2222-4333-8444-555555555555"
GROUP = "A" * 43 + "="


class SignalPlatform(ServedPlatform[SignalServer, SignalChannel]):
    kind = KIND
    address = Address(channel="signal", chat_id=ADA)
    group = Address(channel="signal", chat_id=GROUP)
    bad_addresses = (
        Address(channel="signal", chat_id="+491701234567"),
        Address(channel="signal", chat_id=ADA, thread_id="1"),
        Address(channel="signal", chat_id="A" * 20 + "="),
    )
    receives = True
    abilities = frozenset(
        {
            "groups",
            "replies",
            "edits",
            "files",
            "files_in",
            "quotes_in",
            "edits_in",
            "reconnects",
            "strangers",
            "clock",
            "typing",
            "reactions",
        }
    )
    failures = frozenset({"refuse", "limit", "lose", "hold", "server_error", "garbage", "unauthorized", "form", "files"})
    most_file = 95 * 1024 * 1024

    def __init__(self, server: SignalServer, folder: Path, daemon: str, **more: object) -> None:
        about = {"enabled": True, "account": ACCOUNT, "daemon": daemon, "allowFrom": [ADA], **more}
        super().__init__(server, folder, SignalSettings.model_validate(about))
        self._time = NOW + 1_000_000

    def open(self) -> SignalChannel:
        return SignalChannel(self.settings, self.context, pause=0.01)

    def typed(self) -> Sequence[str]:
        return [params["recipient"] for method, params in self.server.calls if method == "sendTyping"]

    def reacted(self) -> Sequence[str]:
        return [str(params["targetTimestamp"]) for method, params in self.server.calls if method == "sendReaction"]

    def garble(self) -> None:
        for params in (b"7", b'"x"', b'{"envelope": []}', b'{"envelope": {"sourceUuid": 7, "dataMessage": "x"}}', b"{broken"):
            self.server.raw(params)

    def write(self, said: Said) -> str:
        self._time += 1
        id = said.id or str(self._time + int(1000 * said.ahead))
        data: dict[str, Any] = {"timestamp": self._time if said.edits else int(id), "message": said.text}
        if said.group:
            data["groupInfo"] = {"groupId": GROUP, "type": "DELIVER"}
        if said.mention:
            data["message"] = "\ufffc " + said.text
            data["mentions"] = [{"name": "assistant", "number": ACCOUNT, "uuid": ME, "start": 0, "length": 1}]
        if said.answers_us or said.quotes:
            author = ME if said.answers_us else ADA
            data["quote"] = {"id": 1, "author": author, "authorUuid": author, "text": said.quotes or "what the assistant said"}
        for number, (name, content) in enumerate(said.files):
            self.server.files[f"f{id}-{number}"] = content
            attachment = {"id": f"f{id}-{number}", "contentType": "application/pdf", "filename": name, "size": len(content)}
            data["attachments"] = [*data.get("attachments", ()), attachment]
        content = (
            {"dataMessage": data} if said.edits is None else {"editMessage": {"targetSentTimestamp": int(said.edits), "dataMessage": data}}
        )
        if said.by == "assistant":
            content = {"syncMessage": {"sentMessage": data}}
        author = {"assistant": ME, "stranger": BO}.get(said.by, ADA)
        self.server.tell({"sourceUuid": author, "sourceName": "Ada", "sourceNumber": None, "timestamp": data["timestamp"], **content})
        return id


class TestSignalByHttp(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[SignalPlatform]:
        async with SignalServer() as server, SignalPlatform(server, tmp_path, server.url) as platform:
            yield platform


class TestSignalBySocket(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[SignalPlatform]:
        async with SignalServer() as server, SignalPlatform(server, tmp_path, server.tcp) as platform:
            yield platform
