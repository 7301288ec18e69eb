"""The ntfy channel keeps the contract of a channel, against a stand-in that answers as ntfy's documents say."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendRefused
from assistant.contracts.outbox import Button
from assistant.testing.channel_suite import ChannelSuite, Said, running
from assistant.testing.platform import event_to, send
from channels.ntfy.adapter import NtfyChannel
from channels.ntfy.kind import KIND
from channels.ntfy.settings import NtfySettings
from tests.doubles.mutated import check, mutations
from tests.doubles.ntfy_server import NOW, NtfyServer
from tests.doubles.served import ServedPlatform


class NtfyPlatform(ServedPlatform[NtfyServer, NtfyChannel]):
    kind = KIND
    address = Address(channel="ntfy", chat_id="phone")
    bad_addresses = (Address(channel="ntfy", chat_id="No Topic"), Address(channel="ntfy", chat_id="phone", thread_id="1"))
    receives = True
    abilities = frozenset({"files", "buttons", "files_in", "reconnects"})
    failures = frozenset({"refuse", "limit", "lose", "hold", "server_error", "garbage", "unauthorized", "files"})
    most_file = 15 * 1024 * 1024

    def __init__(self, server: NtfyServer, folder: Path, replies: str | None = "in") -> None:
        topics = {"phone": {"topic": "out", "replies": replies}}
        about = {"enabled": True, "server": server.url, "topics": topics, "token": "tk_" + "x" * 20}
        super().__init__(server, folder, NtfySettings.model_validate(about))
        self._tasks: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        await asyncio.gather(*self._tasks)
        await super().close()

    def open(self) -> NtfyChannel:
        return NtfyChannel(self.settings, self.context, pause=0.01)

    def write(self, said: Said) -> str:
        if said.by == "assistant":
            self._do(self.server.add("out", said.text))
            return ""
        attachment: dict[str, Any] | None = None
        for name, content in said.files:
            self.server.files["1"] = content
            attachment = {"name": name, "type": "application/pdf", "size": len(content), "url": f"{self.server.url}/file/1"}
        text = said.text or (f"You received a file: {said.files[0][0]}" if said.files else "")
        id = said.id or f"p{len(self.server.messages)}-{len(self._tasks)}"
        self._do(self.server.add("in", text, id=id, attachment=attachment))
        return id

    def press(self, label: str) -> None:
        action = next(each for each in self.server.actions if each["label"] == label)
        self._do(self._call(action))

    def garble(self) -> None:
        self.server.messages.append({"event": "message", "topic": "in", "message": 7, "time": "soon"} | {"time": 1_790_000_000 + 500})
        self._do(self.server.add("in", ""))

    async def _call(self, action: dict[str, Any]) -> None:
        async with aiohttp.ClientSession() as session, session.post(action["url"], data=action["body"]) as answer:
            assert answer.status == 200

    def _do(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)


class TestNtfy(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[NtfyPlatform]:
        async with NtfyServer() as server, NtfyPlatform(server, tmp_path) as platform:
            yield platform


@pytest.mark.parametrize(
    "url",
    [
        "{server}/v1/account",
        "{server}/secret-topic/json?poll=1",
        "{server}/file/../v1/account",
        "{server}.evil.example/file/1",
        "{server}@evil.example/file/1",
        "http://127.0.0.1:1/file/1",
        "http://169.254.169.254/latest/meta-data/",
        "/v1/account",
        "x",
    ],
)
async def test_an_attachment_that_was_not_uploaded_is_not_fetched(tmp_path: Path, url: str) -> None:
    """Everyone who knows the topic can attach any address, and would be told what is there: in our network, or by our token."""
    async with NtfyServer() as server:
        platform = NtfyPlatform(server, tmp_path)
        async with running(platform.channel) as link:
            asked = len(server.requests)
            await server.add("in", "look", attachment={"name": "a", "url": url.format(server=server.url)})
            [file] = (await link.next()).files
            assert platform.channel.conversation is not None
            with pytest.raises(SendRefused, match="send the file itself"):
                await platform.channel.conversation.fetch(file, tmp_path / "in", 1000)
            assert len(server.requests) == asked
        await platform.close()


async def test_a_file_that_is_refused_is_not_sent_a_second_time_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ntfy shows a file as what it is by itself: there is no other form of it."""
    async with NtfyServer() as server, NtfyPlatform(server, tmp_path) as platform:
        refused = {"code": 40000, "http": 400, "error": "invalid request"}
        monkeypatch.setattr(server, "refusals", lambda: {"refuse": lambda: web.json_response(refused, status=400)})
        server.fail("refuse")
        media = platform.files.put("a.png", b"png", "image/png")
        [receipt] = await send(platform, event=event_to(platform.address, "w1", media=(media,)))
        assert server.requests == [("PUT", "/out"), ("POST", "/")]
        assert "a.png left out" in receipt.notice


BUTTONS = ((Button(text="Yes"), Button(text="Done", command="/done"), Button(text="Look", url="https://e.org")),)


async def test_a_file_has_its_buttons(tmp_path: Path) -> None:
    async with NtfyServer() as server, NtfyPlatform(server, tmp_path) as platform:
        media = platform.files.put("a.png", b"png", "image/png")
        async with running(platform.channel) as link:
            await send(platform, event=event_to(platform.address, "w1", media=(media,), buttons=BUTTONS))
            [seen] = platform.seen()
            assert (seen.files, seen.buttons) == (("a.png",), ("Yes", "Done", "Look"))
            platform.press("Yes")
            assert (await link.next()).text == "Yes"


async def test_without_replies_what_buttons_say_is_written(tmp_path: Path) -> None:
    async with NtfyServer() as server, NtfyPlatform(server, tmp_path, replies=None) as platform:
        [receipt] = await send(platform, event=event_to(platform.address, "w1", buttons=BUTTONS))
        [seen] = platform.seen()
        assert seen.buttons == ("Look",)
        assert [word in seen.text for word in ("w1", "Yes", "/done")] == [True, True, True]
        assert "“Yes”, “Done”" in receipt.notice


async def test_an_event_with_any_value_in_any_place_is_taken(tmp_path: Path) -> None:
    attachment = {"name": "a.png", "type": "image/png", "size": 7, "url": "https://e.org/a.png"}
    event = {"id": "m0", "time": NOW, "event": "message", "topic": "in", "message": "w1", "attachment": attachment}
    async with NtfyServer() as server, NtfyPlatform(server, tmp_path) as platform, running(platform.channel) as link:
        server.lines = [json.dumps(made).encode() for made in mutations(event)]
        server.lines += [b"", b"[" * 100_000, b"x" * 2_000_000, b"\xff", b"NaN"]
        platform.write(Said(text="last"))
        while (message := await link.next()).text != "last":
            check(message, platform)
