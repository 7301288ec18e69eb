"""The DingTalk channel keeps the contract of a channel, against a stand-in that answers as the robot API's documents say."""

import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext
from assistant.contracts.notes import NotesInMemory
from assistant.testing.channel_suite import ChannelPlatform, ChannelSuite, Failure, FolderFiles, Said, Seen
from channels.dingtalk.adapter import DingTalkChannel
from channels.dingtalk.kind import KIND
from channels.dingtalk.settings import DingTalkSettings
from tests.doubles.dingtalk_server import CLIENT, ROBOT, SECRET, DingTalkServer, call_of
from tests.doubles.platform_caller import PlatformCaller

ADA, BO, GROUP = "manager1234", "012345678", "cid0123456789abcdef=="


class DingTalkPlatform(ChannelPlatform):
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
        self.server = server
        self.files = FolderFiles(folder)
        self.notes = NotesInMemory()
        bases = {"apiBase": server.url, "oapiBase": server.url}
        settings = {"enabled": True, "clientId": CLIENT, "clientSecret": SECRET, "allowFrom": [ADA], **bases, **more}
        self.settings = DingTalkSettings.model_validate(settings)
        self.channel = self._open()
        self.caller = PlatformCaller(lambda: self.dingtalk)
        self._count = 0

    @property
    def dingtalk(self) -> DingTalkChannel:
        assert isinstance(self.channel, DingTalkChannel)
        return self.channel

    def _open(self) -> DingTalkChannel:
        return DingTalkChannel(self.settings, ChannelContext(files=self.files, version="1", notes=self.notes), pause=0.01)

    async def reopen(self) -> DingTalkChannel:
        await self.channel.close()
        self.channel = self._open()
        return self.dingtalk

    def seen(self) -> Sequence[Seen]:
        return list(self.server.accepted.values())

    def texts(self) -> Sequence[str]:
        return [each.text for each in self.seen() if each.text]

    def fail(self, how: Failure) -> None:
        self.server.fail(how)

    def heal(self) -> None:
        self.server.heal()

    def acknowledged(self) -> bool:
        return self.caller.idle()

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
        return (await self.dingtalk.called(call)).status

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
        async with DingTalkServer() as server:
            platform = DingTalkPlatform(server, tmp_path)
            yield platform
            await platform.caller.close()
            await platform.channel.close()
