"""The WhatsApp channel keeps the contract of a channel, against a stand-in that answers as the Cloud API's documents say."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.testing.channel_suite import ChannelSuite, Said
from channels.whatsapp.adapter import WhatsAppChannel
from channels.whatsapp.kind import KIND
from channels.whatsapp.settings import WhatsAppSettings
from tests.doubles.served import CalledPlatform
from tests.doubles.whatsapp_server import NOW, PHONE, SECRET, TOKEN, WhatsAppServer, call_of, signed

ADA = "491701234567"
BO = "15557654321"


class WhatsAppPlatform(CalledPlatform[WhatsAppServer, WhatsAppChannel]):
    kind = KIND
    address = Address(channel="whatsapp", chat_id=ADA)
    bad_addresses = (Address(channel="whatsapp", chat_id="ada"), Address(channel="whatsapp", chat_id=ADA, thread_id="1"))
    receives = True
    abilities = frozenset({"replies", "files", "buttons", "files_in", "signed", "strangers", "clock", "typing", "reactions"})
    failures = frozenset({"refuse", "limit", "lose", "hold", "server_error", "garbage", "unauthorized", "files"})
    most_text = 4096
    most_file = 100 * 1024 * 1024

    def __init__(self, server: WhatsAppServer, folder: Path) -> None:
        settings = {"phoneNumberId": PHONE, "accessToken": TOKEN, "appSecret": SECRET, "verifyToken": "v", "allowFrom": ["+49 170 1234567"]}
        super().__init__(server, folder, WhatsAppSettings.model_validate({"enabled": True, "apiBase": server.url, **settings}))
        self._count = 0

    def open(self) -> WhatsAppChannel:
        return WhatsAppChannel(self.settings, self.context, pause=0.01, patience=0.02)

    def write(self, said: Said) -> str:
        self._count += 1
        id = said.id or f"wamid.in{self._count}"
        if said.by == "assistant":  # only its state comes back
            self.caller.put(call_of(statuses=({"id": id, "status": "sent", "recipient_id": ADA},)))
            return id
        for message in self._messages(said, id):
            self.caller.put(call_of(message))
        return id

    def typed(self) -> Sequence[str]:
        return [ADA for mark in self.server.marks if "typing_indicator" in mark]

    def reacted(self) -> Sequence[str]:
        return [body["reaction"]["message_id"] for body in self.server.bodies if body["type"] == "reaction"]

    def press(self, label: str) -> None:
        id, buttons = next(each for each in reversed(self.server.offered.items()) if label in each[1])
        reply = {"type": "button_reply", "button_reply": {"id": buttons[label], "title": label}}
        self._count += 1
        base = {"from": ADA, "id": f"wamid.press{self._count}", "timestamp": str(NOW)}
        self.caller.put(call_of({**base, "context": {"from": PHONE, "id": id}, "type": "interactive", "interactive": reply}))

    def garble(self) -> None:
        for body in (b"not json", b'{"entry": 7}', b'{"entry": [{"changes": [{"field": "messages", "value": null}]}]}'):
            self.caller.put(signed(body))
        broken: list[dict[str, Any]] = [
            {},
            {"id": 7, "from": ADA},
            {"id": "g1", "from": [], "type": "text"},
            {"id": "g2", "from": ADA, "type": {"a": 1}},
        ]
        for message in broken:
            self.caller.put(call_of(message))

    async def forge(self, said: Said, *, stale: bool = False) -> int:
        call = call_of(*self._messages(said, said.id or "wamid.forged"))
        if not stale:
            call = signed(call.body, "another secret")
        return (await self.adapter.called(call)).status

    def _messages(self, said: Said, id: str) -> list[dict[str, Any]]:
        author = BO if said.by == "stranger" else ADA
        base: dict[str, Any] = {"from": author, "id": id, "timestamp": str(NOW + self._count + int(said.ahead))}
        if not said.files:
            return [{**base, "type": "text", "text": {"body": said.text}}]
        name, content = said.files[0]
        ref = f"in{self._count}"
        self.server.media[ref] = (name, content)
        document = {"id": ref, "mime_type": "application/pdf", "filename": name, "caption": said.text}
        return [{**base, "type": "document", "document": document}]


class TestWhatsApp(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[WhatsAppPlatform]:
        async with WhatsAppServer() as server, WhatsAppPlatform(server, tmp_path) as platform:
            yield platform
