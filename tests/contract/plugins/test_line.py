"""The LINE channel keeps the contract of a channel, against a stand-in that answers as the Messaging API's documents say."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import ChannelSuite, Said
from channels.line.adapter import LineChannel
from channels.line.kind import KIND
from channels.line.settings import LineSettings
from tests.doubles.line_server import NOW, SECRET, TOKEN, LineServer, call_of, signed
from tests.doubles.served import CalledPlatform

ADA = "U" + "a" * 32
BO = "U" + "b" * 32
GROUP = "C" + "c" * 32


class LinePlatform(CalledPlatform[LineServer, LineChannel]):
    kind = KIND
    address = Address(channel="line", chat_id=ADA)
    group = Address(channel="line", chat_id=GROUP)
    bad_addresses = (
        Address(channel="line", chat_id="ada"),
        Address(channel="line", chat_id=ADA, thread_id="1"),
        Address(channel="line", chat_id="X" + "a" * 32),
    )
    receives = True
    abilities = frozenset({"groups", "replies", "buttons", "files_in", "signed", "strangers", "clock", "typing"})
    failures = frozenset({"refuse", "limit", "lose", "hold", "server_error", "garbage", "unauthorized"})
    most_text = 5000
    files_have_words = False

    def __init__(self, server: LineServer, folder: Path, **more: object) -> None:
        bases = {"apiBase": server.url, "dataBase": server.url.replace("127.0.0.1", "localhost")}
        settings = {"channelAccessToken": TOKEN, "channelSecret": SECRET, "allowFrom": [ADA], **bases, **more}
        super().__init__(server, folder, LineSettings.model_validate({"enabled": True, **settings}))
        self._count = 0

    def open(self) -> LineChannel:
        return LineChannel(self.settings, self.context, pause=0.01)

    def typed(self) -> Sequence[str]:
        return self.server.typing

    def write(self, said: Said) -> str:
        self._count += 1
        id = said.id or f"01H{self._count:023}"
        if said.by == "assistant":  # LINE tells nothing of our own messages
            self.caller.put(call_of())
        else:
            self.caller.put(call_of(self._event(said, id)))
        return id

    def press(self, label: str) -> None:
        action = next(each[label] for each in reversed(self.server.offered.values()) if label in each)
        self._count += 1
        self.caller.put(call_of({**self._base(Said(text=""), f"p{self._count}"), "type": "postback", "postback": {"data": action["data"]}}))

    def garble(self) -> None:
        for body in (b"not json", b'{"events": {"a": 1}}', b'{"events": [null, 7, {"type": "message", "source": 7}]}'):
            self.caller.put(signed(body))
        base = self._base(Said(text=""), "g")
        broken: list[Any] = [{"type": []}, {"type": "message", "message": "x"}, {"type": "message", "message": {"type": "text", "text": 7}}]
        for event in broken:
            self.caller.put(call_of({**base, **event}))

    async def forge(self, said: Said, *, stale: bool = False) -> int:
        call = call_of(self._event(said, said.id or "forged"), secret=SECRET if stale else "another")
        return (await self.adapter.called(call)).status

    def _base(self, said: Said, id: str) -> dict[str, Any]:
        author = BO if said.by == "stranger" else ADA
        source = {"type": "group", "groupId": GROUP, "userId": author} if said.group else {"type": "user", "userId": author}
        about = {"webhookEventId": id, "deliveryContext": {"isRedelivery": said.id is not None}, "mode": "active", "source": source}
        return {**about, "timestamp": NOW + self._count + int(1000 * said.ahead)}

    def _event(self, said: Said, id: str) -> dict[str, Any]:
        token = f"r-{id}"
        self.server.tokens[token] = GROUP if said.group else BO if said.by == "stranger" else ADA
        message: dict[str, Any] = {"id": f"5{self._count:017}", "type": "text", "text": said.text, "quoteToken": f"q-{id}"}
        if said.mention:
            message["text"] = f"@Assistant {said.text}"
            message["mention"] = {"mentionees": [{"index": 0, "length": 10, "type": "user", "userId": "U" + "0" * 32, "isSelf": True}]}
        if said.answers_us:
            message["quotedMessageId"] = list(self.server.accepted)[-1]
        if said.files:
            name, content = said.files[0]
            message = {"id": message["id"], "type": "file", "fileName": name, "fileSize": len(content)}
            self.server.contents[message["id"]] = content
        return {**self._base(said, id), "type": "message", "replyToken": token, "message": message}


class TestLine(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[LinePlatform]:
        async with LineServer() as server, LinePlatform(server, tmp_path) as platform:
            yield platform
