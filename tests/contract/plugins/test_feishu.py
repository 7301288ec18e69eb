"""The Feishu channel keeps the contract of a channel, against a stand-in that answers as the open platform's documents say."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import ChannelSuite, Said
from channels.feishu.adapter import FeishuChannel
from channels.feishu.kind import KIND
from channels.feishu.settings import FeishuSettings
from tests.doubles.feishu_server import APP, BOT, KEY, SECRET, VERIFY, FeishuServer, call_of, encrypted, signed
from tests.doubles.served import CalledPlatform

ADA, BO, OTHER_BOT = "ou_" + "a" * 32, "ou_" + "b" * 32, "ou_" + "d" * 32
CHAT, BOS_CHAT, GROUP, THREAD = "oc_" + "a" * 32, "oc_" + "b" * 32, "oc_" + "c" * 32, "om_" + "e" * 32


class FeishuPlatform(CalledPlatform[FeishuServer, FeishuChannel]):
    kind = KIND
    address = Address(channel="feishu", chat_id=CHAT)
    group = Address(channel="feishu", chat_id=GROUP)
    thread_id = THREAD
    bad_addresses = (Address(channel="feishu", chat_id="ada"), Address(channel="feishu", chat_id=CHAT, thread_id="1"))
    receives = True
    abilities = frozenset(
        {
            "groups",
            "threads",
            "replies",
            "edits",
            "files",
            "buttons",
            "files_in",
            "quotes_in",
            "bots",
            "signed",
            "clock",
            "reactions",
            "previews",
            "strangers",
        }
    )
    failures = frozenset(
        {
            "refuse",
            "limit",
            "lose",
            "hold",
            "server_error",
            "garbage",
            "unauthorized",
            "blocked",
            "form",
            "files",
            "reply_gone",
            "thread_gone",
            "edit_gone",
        }
    )
    most_text = 6000
    most_file = 30 << 20
    files_have_words = False

    def __init__(self, server: FeishuServer, folder: Path, **more: object) -> None:
        server.private |= {CHAT, BOS_CHAT}
        server.told[THREAD] = ("first", GROUP)
        secrets = {"appId": APP, "appSecret": SECRET, "encryptKey": KEY, "verificationToken": VERIFY}
        settings = {"enabled": True, **secrets, "allowFrom": [ADA], "apiBase": server.url, "preview": "edit", **more}
        super().__init__(server, folder, FeishuSettings.model_validate(settings))
        self._count = 0

    def open(self) -> FeishuChannel:
        return FeishuChannel(self.settings, self.context, pause=0.01)

    def texts(self) -> Sequence[str]:
        return [each.text for each in self.seen() if each.text]

    def reacted(self) -> Sequence[str]:
        return self.server.reactions

    def write(self, said: Said) -> str:
        id = said.id or self._next()
        self.caller.put(call_of("im.message.receive_v1", self.event(said, id), id=f"e-{id}"))
        return id

    def press(self, label: str) -> None:
        id, value = next((id, each[label]) for id, each in reversed(self.server.offered.items()) if label in each)
        context = {"open_message_id": id, "open_chat_id": CHAT}
        event = {"operator": {"open_id": ADA}, "token": "c", "action": {"tag": "button", "value": value}, "context": context}
        self.caller.put(call_of("card.action.trigger", event, id=self._next()))

    def garble(self) -> None:
        token = VERIFY.encode()
        for body in (b'{"token": "%s"}', b'{"token": "%s", "header": 7, "event": {"message": []}}', b'{"token": "%s", "event": []}'):
            self.caller.put(signed(encrypted(body % token)))
        for event in (None, 7, {"message": {"message_id": ["x"]}}, {"message": {"message_id": "om_1", "chat_id": CHAT, "content": 7}}):
            self.caller.put(call_of("im.message.receive_v1", event))
            self.caller.put(call_of("card.action.trigger", event))

    async def forge(self, said: Said, *, stale: bool = False) -> int:
        event = self.event(said, said.id or self._next())
        call = call_of("im.message.receive_v1", event, key=KEY if stale else "another", ago=3600.0 if stale else 0.0)
        return (await self.adapter.called(call)).status

    def _next(self) -> str:
        self._count += 1
        return f"om_{self._count:030}in"

    def event(self, said: Said, id: str) -> dict[str, Any]:
        author = {"stranger": BO, "bot": OTHER_BOT, "assistant": BOT}.get(said.by, ADA)
        chat = GROUP if said.group else BOS_CHAT if said.by == "stranger" else CHAT
        content: dict[str, Any] = {"text": f"@_user_1 {said.text}" if said.mention else said.text}
        message: dict[str, Any] = {"message_id": id, "chat_id": chat, "chat_type": "group" if said.group else "p2p", "message_type": "text"}
        message["create_time"] = str(1_790_000_000_000 + self._count + int(1000 * said.ahead))
        if said.mention:
            message["mentions"] = [{"key": "@_user_1", "id": {"open_id": BOT}, "name": "Assistant", "tenant_key": "t"}]
        if said.thread_id:
            message |= {"thread_id": "omt_1", "root_id": said.thread_id, "parent_id": said.thread_id}
        if said.answers_us:
            message["parent_id"] = list(self.server.accepted)[-1]
        if said.quotes:
            self.server.told["om_quoted"] = (said.quotes, BO)
            message["parent_id"] = "om_quoted"
        if said.files:
            name, file = said.files[0]
            self.server.contents[f"file_{self._count}"] = file
            content, message["message_type"] = {"file_key": f"file_{self._count}", "file_name": name}, "file"
        message["content"] = orjson.dumps(content).decode()
        sender = {"sender_id": {"open_id": author}, "sender_type": "app" if said.by in ("bot", "assistant") else "user"}
        return {"sender": sender, "message": message}


class TestFeishu(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[FeishuPlatform]:
        async with FeishuServer() as server, FeishuPlatform(server, tmp_path) as platform:
            yield platform
