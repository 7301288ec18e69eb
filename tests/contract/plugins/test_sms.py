"""The SMS channel keeps the contract of a channel, against a stand-in that answers as Twilio's documents say."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import PlatformCall
from assistant.testing.channel_suite import ChannelSuite, Said
from channels.sms.adapter import SmsChannel
from channels.sms.kind import KIND
from channels.sms.settings import SmsSettings
from tests.doubles.served import CalledPlatform
from tests.doubles.twilio_server import ACCOUNT, NUMBER, TOKEN, URL, TwilioServer, call_of

ADA = "+491701234567"
BO = "+15557654321"


class SmsPlatform(CalledPlatform[TwilioServer, SmsChannel]):
    kind = KIND
    address = Address(channel="sms", chat_id=ADA)
    bad_addresses = (Address(channel="sms", chat_id="ada"), Address(channel="sms", chat_id=ADA, thread_id="1"))
    receives = True
    abilities = frozenset({"files_in", "signed", "strangers"})
    failures = frozenset({"refuse", "blocked", "limit", "lose", "hold", "server_error", "garbage", "unauthorized"})
    most_text = 1600

    def __init__(self, server: TwilioServer, folder: Path, **more: object) -> None:
        settings = {"accountSid": ACCOUNT, "authToken": TOKEN, "number": NUMBER, "publicUrl": URL, "allowFrom": ["+49 170 1234567"], **more}
        super().__init__(server, folder, SmsSettings.model_validate({"enabled": True, "apiBase": server.url, **settings}))
        self._count = 0

    def open(self) -> SmsChannel:
        return SmsChannel(self.settings, self.context, pause=0.01)

    def write(self, said: Said) -> str:
        self._count += 1
        id = said.id or f"SMin{self._count}"
        if said.by == "assistant":  # only its state comes back
            self.caller.put(call_of(MessageSid=id, MessageStatus="delivered", To=ADA, From=NUMBER))
        else:
            self.caller.put(self._call(said, id))
        return id

    def garble(self) -> None:
        for fields in (
            {},
            {"MessageSid": "x" * 1000},
            {"MessageSid": "g1", "From": "x"},
            {"MessageSid": "g2", "NumMedia": "x", "From": ADA},
        ):
            self.caller.put(call_of(**fields))

    async def forge(self, said: Said, *, stale: bool = False) -> int:
        call = self._call(said, said.id or "SMforged", TOKEN if stale else "another")
        return (await self.adapter.called(call)).status

    def _call(self, said: Said, id: str, secret: str = TOKEN) -> PlatformCall:
        about = {"MessageSid": id, "From": BO if said.by == "stranger" else ADA, "To": NUMBER, "Body": said.text}
        about["NumMedia"] = str(len(said.files))
        for place, (_, content) in enumerate(said.files):
            self.server.media[f"ME{id}{place}"] = ("application/pdf" if content.startswith(b"%PDF") else "text/plain", content)
            about[f"MediaUrl{place}"] = f"{self.server.url}/2010-04-01/Accounts/{ACCOUNT}/Messages/{id}/Media/ME{id}{place}"
            about[f"MediaContentType{place}"] = self.server.media[f"ME{id}{place}"][0]
        return call_of(secret, **about)


class TestSms(ChannelSuite):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncGenerator[SmsPlatform]:
        async with TwilioServer() as server, SmsPlatform(server, tmp_path) as platform:
            yield platform
