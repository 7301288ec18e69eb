"""Every channel with its platform beside it: a stand-in, or a real server where one is installed."""

import json
import tempfile
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

from aiohttp import web

from tests.doubles import (
    dovecot,
    line_server,
    matrix_server,
    mattermost_server,
    mosquitto,
    msteams_server,
    prosody,
    slack_server,
    twilio_server,
    whatsapp_server,
    zulip_server,
)
from tests.doubles.channel_server import ChannelServer
from tests.doubles.dingtalk_server import CLIENT, SECRET, DingTalkServer
from tests.doubles.discord_api.server import DiscordThread
from tests.doubles.feishu_server import APP, FeishuServer
from tests.doubles.feishu_server import SECRET as FEISHU_SECRET
from tests.doubles.googlechat_server import PROJECT, GoogleChatServer
from tests.doubles.in_thread import InThread
from tests.doubles.irc_server import IrcServer
from tests.doubles.live_server import free_port
from tests.doubles.ntfy_server import NtfyServer
from tests.doubles.signal_server import ACCOUNT, SignalServer
from tests.doubles.smtp_server import SmtpServer
from tests.doubles.telegram_api.thread import telegram_in_thread

Section = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    settings: Section
    """The channel's section of the configuration."""
    chat_id: str
    arrived: Callable[[], int]
    """How many messages the platform has."""
    greet: Callable[[str], object] = str
    """Called with the server's address: what the platform tells the channel before it can be written to."""


@contextmanager
def _http(server: ChannelServer, settings: Callable[[str], Section], chat_id: str) -> Generator[Place]:
    with InThread(server):
        yield Place(settings=settings(server.url), chat_id=chat_id, arrived=lambda: len(server.accepted))


@contextmanager
def _telegram() -> Generator[Place]:
    with telegram_in_thread() as telegram:
        yield Place(settings={"token": telegram.token, "apiBase": telegram.url}, chat_id="101", arrived=lambda: len(telegram.ledger))


@contextmanager
def _discord() -> Generator[Place]:
    with DiscordThread() as thread:
        chat = thread.do(lambda discord: str(discord.world.dm(discord.world.user("ada"))["id"]))
        ledger = thread.do(lambda discord: discord.world.ledger)
        yield Place(settings=thread.do(lambda discord: discord.settings()), chat_id=chat, arrived=lambda: len(ledger))


class _Receiver:
    """What takes POSTs: a webhook's other side, or a service of Apprise's."""

    def __init__(self) -> None:
        self.url, self.posts = "", 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.posts += 1
        return web.Response()


@contextmanager
def _posts(settings: Callable[[str], Section]) -> Generator[Place]:
    with InThread(_Receiver()) as thread:
        yield Place(settings=settings(thread.server.url), chat_id="build", arrived=lambda: thread.server.posts)


@contextmanager
def _email() -> Generator[Place]:
    with dovecot.running_dovecot((free_port(), free_port())) as mailbox, InThread(SmtpServer()) as thread:
        yield Place(
            settings={
                "fromAddress": "assistant@example.com",
                "imapHost": "127.0.0.1",
                "imapPort": mailbox.port,
                "imapUseSsl": False,
                "imapUsername": "assistant",
                "imapPassword": dovecot.PASSWORD,
                "smtpHost": "127.0.0.1",
                "smtpPort": thread.server.port,
                "smtpUseTls": False,
            },
            chat_id="anna@example.org",
            arrived=lambda: len(thread.server.raw),
        )


@contextmanager
def _irc() -> Generator[Place]:
    with InThread(IrcServer()) as thread:
        thread.server.accounts["anna"] = "anna"
        yield Place(
            settings={"host": "127.0.0.1", "port": thread.server.port, "tls": False, "channels": ["#room"], "lineSeconds": 0},
            chat_id="#room",
            arrived=lambda: len(thread.server.accepted),
        )


@contextmanager
def _matrix() -> Generator[Place]:
    server = matrix_server.MatrixServer()
    server.room("!dm:test", matrix_server.ANNA)
    with _http(server, lambda url: {"homeserver": url, "accessToken": matrix_server.TOKEN, "encryption": False}, "!dm:test") as place:
        yield place


@contextmanager
def _msteams() -> Generator[Place]:
    """Teams tells where a conversation is with the first message of it."""
    chat, server = "a:1pL-private_chat", msteams_server.TeamsServer()

    def greet(url: str) -> None:
        activity = {
            "type": "message",
            "id": "1",
            "timestamp": "2026-11-29T10:00:00.123Z",
            "channelId": "msteams",
            "serviceUrl": server.service,
            "from": {"id": "29:1anna", "name": "Anna", "aadObjectId": "aaaaaaaa-0000-4000-8000-000000000001"},
            "recipient": {"id": f"28:{msteams_server.APP}", "name": "Nano"},
            "conversation": {"id": chat, "conversationType": "personal"},
            "text": "/id",
        }
        headers = {"Authorization": f"Bearer {server.token()}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/channels/msteams", json.dumps(activity).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status < 300

    with InThread(server):
        keys = {"appId": msteams_server.APP, "appPassword": msteams_server.SECRET}
        settings = {**keys, "loginUrl": server.url, "openidUrl": f"{server.url}/openid"}
        yield Place(settings=settings, chat_id=chat, arrived=lambda: len(server.accepted), greet=greet)


@contextmanager
def _googlechat() -> Generator[Place]:
    with InThread(GoogleChatServer()) as thread:
        server = thread.server
        settings = {"serviceAccount": server.account_key(), "audience": PROJECT, "server": server.url, "keysUrl": server.url}
        yield Place(settings=settings, chat_id="DDDDDDDDDDD", arrived=lambda: len(server.accepted))


@contextmanager
def _mqtt() -> Generator[Place]:
    import paho.mqtt.client as paho  # noqa: PLC0415 - only where it is measured
    from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415 - as above

    arrived: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder, mosquitto.mosquitto(Path(folder)) as port:
        listener = paho.Client(CallbackAPIVersion.VERSION2)
        listener.on_message = lambda client, data, message: arrived.append(bytes(message.payload))
        listener.connect("127.0.0.1", port)
        listener.subscribe("nanobot/kitchen/out", qos=1)
        listener.loop_start()
        try:
            topics = {"kitchen": {"listen": "nanobot/kitchen/in", "publish": "nanobot/kitchen/out"}}
            yield Place(settings={"port": port, "topics": topics}, chat_id="kitchen", arrived=lambda: len(arrived))
        finally:
            listener.loop_stop()


@contextmanager
def _signal() -> Generator[Place]:
    with InThread(SignalServer()) as thread:
        server = thread.server
        settings = {"account": ACCOUNT, "daemon": server.tcp}
        yield Place(settings=settings, chat_id="11111111-2222-4333-8444-555555555555", arrived=lambda: len(server.accepted))


@contextmanager
def _xmpp() -> Generator[Place]:
    with prosody.running_prosody(free_port(), free_port()) as server:
        bot, anna = server.account("bot"), server.account("anna")
        settings = {"jid": bot, "password": prosody.PASSWORD, "host": "127.0.0.1", "port": server.port}
        yield Place(settings=settings, chat_id=anna, arrived=lambda: len(server.seen("bot")))


def _line(url: str) -> Section:
    return {"channelAccessToken": line_server.TOKEN, "channelSecret": line_server.SECRET, "apiBase": url, "dataBase": url}


def _slack(url: str) -> Section:
    return {"botToken": slack_server.BOT_TOKEN, "appToken": slack_server.APP_TOKEN, "apiBase": f"{url}/api"}


def _sms(url: str) -> Section:
    keys = {"accountSid": twilio_server.ACCOUNT, "authToken": twilio_server.TOKEN, "number": twilio_server.NUMBER}
    return {**keys, "publicUrl": twilio_server.URL, "apiBase": url}


def _whatsapp(url: str) -> Section:
    keys = {"accessToken": whatsapp_server.TOKEN, "appSecret": whatsapp_server.SECRET, "verifyToken": "v"}
    return {**keys, "phoneNumberId": whatsapp_server.PHONE, "apiBase": url}


Opens = Callable[[], AbstractContextManager[Place]]


def _of(server: Callable[[], ChannelServer], settings: Callable[[str], Section], chat_id: str) -> Opens:
    return lambda: _http(server(), settings, chat_id)


STANDINS: Final[Mapping[str, Opens]] = {
    "telegram": _telegram,
    "discord": _discord,
    "webhook": partial(_posts, lambda host: {"hooks": {"build": {"secret": "s" * 32, "url": f"http://{host}/hook"}}}),
    "apprise": partial(_posts, lambda host: {"services": {"build": f"json://{host}/notify"}}),
    "dingtalk": _of(
        DingTalkServer, lambda url: {"clientId": CLIENT, "clientSecret": SECRET, "apiBase": url, "oapiBase": url}, "manager1234"
    ),
    "email": _email,
    "feishu": _of(
        FeishuServer,
        lambda url: {"appId": APP, "appSecret": FEISHU_SECRET, "verificationToken": "v" * 32, "apiBase": url},
        "oc_" + "a" * 32,
    ),
    "googlechat": _googlechat,
    "irc": _irc,
    "line": _of(line_server.LineServer, _line, "U" + "a" * 32),
    "matrix": _matrix,
    "mattermost": _of(
        mattermost_server.MattermostServer,
        lambda url: {"serverUrl": url, "token": mattermost_server.TOKEN},
        mattermost_server.DIRECT,
    ),
    "mqtt": _mqtt,
    "msteams": _msteams,
    "ntfy": _of(NtfyServer, lambda url: {"server": url, "topics": {"phone": {"topic": "phone", "replies": "from-phone"}}}, "phone"),
    "signal": _signal,
    "slack": _of(slack_server.SlackServer, _slack, "D0000001"),
    "sms": _of(twilio_server.TwilioServer, _sms, "+491701234567"),
    "whatsapp": _of(whatsapp_server.WhatsAppServer, _whatsapp, "491701234567"),
    "xmpp": _xmpp,
    "zulip": _of(
        zulip_server.ZulipServer,
        lambda url: {"site": url, "email": zulip_server.EMAIL, "apiKey": zulip_server.KEY},
        str(zulip_server.ADA),
    ),
}
MISSING: Final = {"email": dovecot.MISSING, "mqtt": "" if mosquitto.PROGRAM else mosquitto.MISSING, "xmpp": prosody.MISSING}
"""Why a channel can't be measured here; empty: it can."""
