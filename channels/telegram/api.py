"""The SDK's bot, on our wire."""

import logging
from typing import Any, Final, cast
from urllib.parse import urlsplit

from telegram import Bot

from assistant.contracts.channels import ChannelFailed
from channels.telegram.settings import TelegramSettings
from channels.telegram.wire import READ_SECONDS, Wire

ALLOWED_UPDATES: Final = ("message", "edited_message", "callback_query")
_CONNECTIONS: Final = 100
_POOL_SECONDS: Final = 5.0
"""How long a request waits for a free connection."""


class Api(Bot):
    async def updates(self, offset: int | None, wait: int) -> list[Any]:
        """Updates as they came, unread: one that the SDK can't read must not hide the others. `wait`: seconds until there is one."""
        asked = {"offset": offset, "timeout": wait, "limit": 100, "allowed_updates": list(ALLOWED_UPDATES)}
        updates: object = await self._post("getUpdates", asked, read_timeout=wait + READ_SECONDS / 2)
        return cast("list[Any]", updates) if isinstance(updates, list) else []

    async def hang_up(self) -> None:
        """Close all connections. Safe to call twice."""
        for wire in self._request:
            await wire.shutdown()


def connect(settings: TelegramSettings, version: str, answer_seconds: float = READ_SECONDS) -> Api:
    """A bot with connections of its own for sending and for asking. No I/O. `answer_seconds`: how long an answer may take.

    Raises ChannelFailed where the proxy can't be one.
    """
    assert settings.token is not None
    if settings.proxy is not None and urlsplit(settings.proxy).scheme not in ("http", "https"):
        raise ChannelFailed("channels.telegram.proxy can't be used: it takes the URL of an HTTP proxy.", fatal=True)
    # What the SDK logs holds parameters and answers: what was said.
    logging.getLogger("telegram").setLevel(logging.CRITICAL)

    def wire(connections: int) -> Wire:
        return Wire(
            connections=connections,
            pool_seconds=min(_POOL_SECONDS, answer_seconds),
            answer_seconds=answer_seconds,
            proxy=settings.proxy,
            headers={"User-Agent": f"nanobot/{version}", **settings.extra_headers},
        )

    base = settings.api_base.rstrip("/")
    return Api(
        settings.token.get_secret_value(),
        base_url=f"{base}/bot",
        base_file_url=f"{base}/file/bot",
        request=wire(_CONNECTIONS),
        get_updates_request=wire(2),
    )
