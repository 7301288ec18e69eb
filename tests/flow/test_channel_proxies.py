"""Every channel through a proxy: by HTTP and by SOCKS, from the settings and from the environment."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from assistant.contracts.addresses import address_of
from assistant.contracts.channels import ChannelContext, ChannelFailed, SendFailed, SendLater
from assistant.contracts.inbox import InboundFile
from assistant.contracts.outbox import OutboundPart
from channels.apprise.adapter import AppriseChannel
from channels.apprise.settings import AppriseSettings
from tests.doubles.discord_api.server import DiscordApi
from tests.doubles.proxy import ProxyServer
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.discord.conftest import Rig as DiscordRig
from tests.flow.discord.conftest import sending
from tests.flow.media_folder import MediaFolder
from tests.flow.telegram.rig import Rig as TelegramRig
from tests.flow.telegram.rig import event
from tests.flow.webhook.conftest import Receiver, receiver, webhook
from tests.flow.webhook.conftest import sending as posting

KINDS = ("http", "socks")
__all__ = ["receiver"]
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""Apprise's own, where it looks for PGP."""


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=[(kind, where) for kind in KINDS for where in ("setting", "HTTP_PROXY", "ALL_PROXY")], ids="-".join)
def choose(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[ProxyServer], dict[str, str]]:
    """The settings that name a proxy, or none where the environment does."""
    kind, where = request.param

    def chosen(proxy: ProxyServer) -> dict[str, str]:
        url = proxy.http if kind == "http" else proxy.socks
        if where == "setting":
            return {"proxy": url}
        monkeypatch.setenv(where, url)
        return {}

    return chosen


async def test_telegram(tmp_path: Path, choose: Callable[[ProxyServer], dict[str, str]]) -> None:
    async with TelegramServer() as server, ProxyServer(to=urlsplit(server.url).port or 0, login=("me", "secret")) as proxy:
        rig = TelegramRig(server, tmp_path)
        channel = await rig.run(apiBase="http://api.telegram.invalid", **choose(proxy))
        server.say(42, "hi")
        await rig.link.received(1)
        await rig.send(channel, event("hello"))
        await rig.stop()
    assert server.texts(42) == ["hello"]
    assert proxy.asked
    assert all("api.telegram.invalid" in each for each in proxy.asked)


async def test_discord_with_its_gateway_and_files(tmp_path: Path, choose: Callable[[ProxyServer], dict[str, str]]) -> None:
    async with DiscordApi() as api, ProxyServer(to=api.port, login=("me", "secret")) as proxy:
        api.world.base = "http://discord.invalid"
        api.gateway.url = "ws://discord.invalid/gateway"
        rig = DiscordRig(api, MediaFolder(tmp_path))
        alice = api.world.user("alice")
        chosen: dict[str, Any] = {**choose(proxy)}
        async with rig.running(**chosen) as (channel, kept):
            api.world.write(api.world.dm(alice), alice, "hi", files=[("a.txt", "text/plain", b"words")])
            (message,) = await kept.has("hi")
            assert channel.conversation is not None
            await channel.conversation.fetch(message.files[0], tmp_path / "a", 100)
            await channel.send(sending(api.world.dm(alice), "hello"))
    assert (tmp_path / "a").read_bytes() == b"words"
    assert [entry.content for entry in api.world.ledger] == ["hello"]
    assert all("discord.invalid" in each for each in proxy.asked)
    assert len(proxy.asked) >= 2  # connections: of the gateway, and of REST with files


async def test_webhooks_out(tmp_path: Path, receiver: Receiver, choose: Callable[[ProxyServer], dict[str, str]]) -> None:
    async with ProxyServer(to=urlsplit(receiver.url).port or 0) as proxy:
        more = choose(proxy)
        async with webhook(tmp_path, {"build": {"url": "http://ci.invalid/in"}}, **more) as channel:
            await channel.send(posting(OutboundPart(text="hello", plain="hello")))
    assert len(receiver.requests) == 1
    assert len(proxy.asked) == 1


@pytest.mark.parametrize(("kind", "variable"), [("http", "HTTP_PROXY"), ("socks", "ALL_PROXY")])
async def test_apprise_by_the_environment(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, kind: str, variable: str
) -> None:
    async with ProxyServer(to=urlsplit(receiver.url).port or 0) as proxy:
        monkeypatch.setenv(variable, getattr(proxy, kind))
        settings = AppriseSettings.model_validate({"enabled": True, "services": {"ci": "json://10.9.8.7/in"}})
        channel = AppriseChannel(settings, ChannelContext(files=MediaFolder(tmp_path), version="1"))
        await channel.send(replace(posting(OutboundPart(text="hello", plain="hello")), address=address_of("apprise", "ci")))
    assert len(receiver.requests) == 1
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_proxy_that_refuses_says_nothing_against_the_message(tmp_path: Path, kind: str) -> None:
    async with ProxyServer(to=1, refuses=True) as proxy:
        url = getattr(proxy, kind)
        async with TelegramServer() as server:
            rig = TelegramRig(server, tmp_path)
            with pytest.raises(SendLater) as later:
                await rig.send(rig.open(apiBase="https://api.telegram.invalid", proxy=url), event("hello"))
            await rig.stop()
        assert (later.value.trouble.code, later.value.counts) == ("network", False)
        async with DiscordApi() as api:
            api.world.base = "https://discord.invalid"
            async with DiscordRig(api, MediaFolder(tmp_path)).open(proxy=url) as channel:
                with pytest.raises(SendLater) as later:
                    await channel.send(sending("1187654321098765432"))
        assert (later.value.trouble.code, later.value.counts) == ("network", False)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_proxy_that_wants_another_login_says_nothing_against_the_message(tmp_path: Path, kind: str, scheme: str) -> None:
    failures: list[SendLater] = []
    async with ProxyServer(to=1, login=("me", "secret")) as proxy:
        url = getattr(proxy, kind).replace("secret", "wrong")
        async with TelegramServer() as server:
            rig = TelegramRig(server, tmp_path)
            with pytest.raises(SendLater) as later:
                await rig.send(rig.open(apiBase=f"{scheme}://api.telegram.invalid", proxy=url), event("hello"))
            await rig.stop()
        failures.append(later.value)
        async with (
            DiscordApi() as api,
            DiscordRig(api, MediaFolder(tmp_path)).open(apiBase=f"{scheme}://discord.invalid", proxy=url) as channel,
        ):
            with pytest.raises(SendLater) as later:
                await channel.send(sending("1187654321098765432"))
        failures.append(later.value)
        async with webhook(tmp_path, {"build": {"url": f"{scheme}://ci.invalid/in"}}, proxy=url) as channel:
            with pytest.raises(SendLater) as later:
                await channel.send(posting(OutboundPart(text="hello", plain="hello")))
        failures.append(later.value)
    assert [(each.trouble.code, each.counts) for each in failures] == [("network", False)] * 3
    assert not any(word in str(each) for each in failures for word in ("wrong", "secret"))
    assert "proxy" in failures[0].trouble.words


async def test_a_proxy_that_cannot_be_used_is_told_when_the_channel_is_opened(tmp_path: Path) -> None:
    async with TelegramServer() as server:
        with pytest.raises(ChannelFailed, match=r"channels\.telegram") as failed:
            TelegramRig(server, tmp_path).open(apiBase="http://api.telegram.invalid", proxy="ftp://me:secret@proxy:1")
        assert "secret" not in str(failed.value)


async def test_each_file_of_discord_goes_its_hosts_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with DiscordApi() as api, ProxyServer(to=1, refuses=True) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.socks)
        async with DiscordRig(api, MediaFolder(tmp_path)).open() as channel:
            assert channel.conversation is not None
            for base in (f"http://127.0.0.1:{api.port}", "https://cdn.discordapp.com"):
                file = InboundFile(name="wave", kind="sticker", media_type="image/png", size=None, ref=f" {base}/stickers/1.png")
                with pytest.raises(SendFailed):
                    await channel.conversation.fetch(file, tmp_path / "wave", 100)
    assert proxy.asked == ["SOCKS cdn.discordapp.com:443"]
