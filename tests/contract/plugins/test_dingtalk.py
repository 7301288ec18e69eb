"""The DingTalk channel keeps the contract of a channel, against a stand-in that answers as the robot API's documents say."""

import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import ChannelSuite, Said
from channels.dingtalk.adapter import DingTalkChannel
from channels.dingtalk.kind import KIND
from channels.dingtalk.settings import DingTalkSettings
from tests.doubles.dingtalk_server import CLIENT, ROBOT, SECRET, DingTalkServer, call_of
from tests.doubles.served import CalledPlatform

ADA, BO, GROUP = "manager1234", "012345678", "cid0123456789abcdef=="


class DingTalkPlatform(CalledPlatform[DingTalkServer, DingTalkChannel]):
    kind = KIND
    address = Address(channel="dingtalk", chat_id=ADA)
    group = Address(channel="dingtalk", chat_id=GROUP)
    bad_addresses = (Address(channel="dingtalk", chat_id="a b"), Address(channel="dingtalk", chat_id=ADA, thread_id="1"))
    receives = True
    abilities = frozenset({"groups", "files", "files_in", "quotes_in", "signed", "strangers", "clock"})
    failures = frozenset({"refuse", "limit", "lose", "hold", "server_error", "garbage", "unauthorized", "blocked"})
    most_text = 3500
    most_file = 20 << 20
    files_have_words = False

    def __init__(self, server: DingTalkServer, folder: Path, **more: object) -> None:
        bases = {"apiBase": server.url, "oapiBase": server.url}
        settings = {"enabled": True, "clientId": CLIENT, "clientSecret": SECRET, "allowFrom": [ADA], **bases, **more}
        super().__init__(server, folder, DingTalkSettings.model_validate(settings))
        self._count = 0

    def open(self) -> DingTalkChannel:
        return DingTalkChannel(self.settings, self.context, pause=0.01)

    def texts(self) -> Sequence[str]:
        return [each.text for each in self.seen() if each.text]

    def write(self, said: Said) -> str:
        self._count += 1
        id = said.id or f"msg{self._count:020}=="
        self.caller.put(call_of(self.body(said, id)))
        return id

    def garble(self) -> None:
        for body in (b"not json", b"[" * 100_000, b"[]", b'{"msgId": 7, "text": []}', b'{"msgId": "1", "senderStaffId": "../x"}'):
            self.caller.put(call_of(body))
        base = self.body(Said(text="x"), "g")
        broken: tuple[dict[str, Any], ...] = (
            {"text": 7},
            {"msgtype": []},
            {"msgtype": "picture", "content": "x"},
            {"conversationType": "2", "conversationId": 7},
        )
        for more in broken:
            self.caller.put(call_of({**base, **more}))

    async def forge(self, said: Said, *, stale: bool = False) -> int:
        call = call_of(self.body(said, said.id or "forged"), secret=SECRET if stale else "another", ago=3700.0 if stale else 0.0)
        return (await self.adapter.called(call)).status

    def body(self, said: Said, id: str) -> dict[str, Any]:
        author = BO if said.by == "stranger" else ADA
        session = f"s{self._count}"
        self.server.sessions[session] = GROUP if said.group else author
        body: dict[str, Any] = {"msgId": id, "chatbotUserId": ROBOT, "senderNick": "Ada", "senderStaffId": author, "msgtype": "text"}
        body |= {"senderId": ROBOT if said.by == "assistant" else "$:LWCP_v1:$ada==", "text": {"content": f" {said.text}"}}
        body |= {"conversationType": "2" if said.group else "1", "conversationId": GROUP, "isInAtList": said.mention}
        body |= {"sessionWebhook": f"{self.server.url}/robot/sendBySession?session={session}", "createAt": 1_790_000_000_000}
        body["sessionWebhookExpiredTime"] = int(time.time() * 1000) + 5_400_000
        body["createAt"] += self._count + int(1000 * said.ahead)
        if said.quotes:
            body["text"] |= {"isReplyMsg": True, "repliedMsg": {"senderId": "$:LWCP_v1:$bo==", "content": {"text": said.quotes}}}
        if said.files:
            name, content = said.files[0]
            self.server.contents[f"code{self._count}"] = content
            body |= {"msgtype": "file", "content": {"downloadCode": f"code{self._count}", "fileName": name}}
        return body


class TestDingTalk(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[DingTalkPlatform]:
        async with DingTalkServer() as server, DingTalkPlatform(server, tmp_path) as platform:
            yield platform
