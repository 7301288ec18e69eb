"""The SMS channel keeps the contract of a channel, against a stand-in that answers as Twilio's documents say."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, PlatformCall
from assistant.contracts.notes import NotesInMemory
from assistant.testing.channel_suite import ChannelPlatform, ChannelSuite, Failure, FolderFiles, Said, Seen
from channels.sms.adapter import SmsChannel
from channels.sms.kind import KIND
from channels.sms.settings import SmsSettings
from tests.doubles.platform_caller import PlatformCaller
from tests.doubles.twilio_server import ACCOUNT, NUMBER, TOKEN, URL, TwilioServer, call_of

ADA = "+491701234567"
BO = "+15557654321"


class SmsPlatform(ChannelPlatform):
    kind = KIND
    address = Address(channel="sms", chat_id=ADA)
    bad_addresses = (Address(channel="sms", chat_id="ada"), Address(channel="sms", chat_id=ADA, thread_id="1"))
    receives = True
    abilities = frozenset({"files_in", "signed", "strangers"})
    failures = frozenset({"refuse", "blocked", "limit", "lose", "hold", "server_error", "garbage", "unauthorized"})
    most_text = 1600

    def __init__(self, server: TwilioServer, folder: Path, **more: object) -> None:
        self.server = server
        self.files = FolderFiles(folder)
        self.notes = NotesInMemory()
        settings = {"accountSid": ACCOUNT, "authToken": TOKEN, "number": NUMBER, "publicUrl": URL, "allowFrom": ["+49 170 1234567"], **more}
        self.settings = SmsSettings.model_validate({"enabled": True, "apiBase": server.url, **settings})
        self.channel = self._open()
        self.caller = PlatformCaller(lambda: self.sms)
        self._count = 0

    @property
    def sms(self) -> SmsChannel:
        assert isinstance(self.channel, SmsChannel)
        return self.channel

    def _open(self) -> SmsChannel:
        return SmsChannel(self.settings, ChannelContext(files=self.files, version="1", notes=self.notes), pause=0.01)

    async def reopen(self) -> SmsChannel:
        await self.channel.close()
        self.channel = self._open()
        return self.sms

    def seen(self) -> Sequence[Seen]:
        return list(self.server.accepted.values())

    def fail(self, how: Failure) -> None:
        self.server.fail(how)

    def heal(self) -> None:
        self.server.heal()

    def acknowledged(self) -> bool:
        return self.caller.idle()

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
        return (await self.sms.called(call)).status

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
        async with TwilioServer() as server:
            platform = SmsPlatform(server, tmp_path)
            yield platform
            await platform.caller.close()
            await platform.channel.close()
