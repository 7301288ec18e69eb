"""The wire to Telegram: the SDK's bot and its HTTP, with every answer that is not ok as one error that says what was answered."""

import json
import logging
from typing import Any, Final, cast

import httpx
from telegram import Bot
from telegram.error import TelegramError
from telegram.request import HTTPXRequest

from assistant.contracts.channels import ChannelFailed
from channels.telegram.settings import TelegramSettings

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 20.0
UPLOAD_SECONDS: Final = 40.0
ALLOWED_UPDATES: Final = ("message", "edited_message", "callback_query")


class Answered(TelegramError):
    """Telegram answered, and not with ok. `status`: of HTTP. `moved_to`: the group has this id now."""

    def __init__(self, status: int, description: str, *, retry_after: float | None = None, moved_to: int | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.retry_after = retry_after
        self.moved_to = moved_to


class Garbled(TelegramError):
    """Telegram, or something before it, answered with what can't be read: whether the request was carried out is not known."""


class Requests(HTTPXRequest):
    """The SDK's HTTP. Its own errors of answers don't tell a 500 from a lost connection, nor keep a wait; these do."""

    async def do_request(self, *args: Any, **given: Any) -> tuple[int, bytes]:
        """Raises Answered for every status but 2xx; TimedOut or NetworkError, whose cause is the error of httpx, where no answer came."""
        status, body = await super().do_request(*args, **given)
        if 200 <= status <= 299:
            return status, body
        raise _answered(status, body)

    @staticmethod
    def parse_json_payload(payload: bytes) -> Any:
        """Raises Garbled. (The SDK's own logs what it could not read, which may be what somebody wrote.)"""
        try:
            parsed = json.loads(payload.decode("utf-8", "replace"))
        except ValueError:
            raise Garbled("the answer is not JSON") from None
        if not isinstance(parsed, dict) or "result" not in parsed:
            raise Garbled("the answer holds no result")
        return parsed  # pyright: ignore[reportUnknownVariableType] - JSON of the platform


class Api(Bot):
    """The SDK's bot."""

    async def updates(self, offset: int | None, wait: int) -> list[Any]:
        """Updates as they came, unread: one that the SDK can't read must not hide the others. `wait`: seconds until there is one."""
        asked = {"offset": offset, "timeout": wait, "limit": 100, "allowed_updates": list(ALLOWED_UPDATES)}
        updates: object = await self._post("getUpdates", asked, read_timeout=wait + READ_SECONDS / 2)
        return cast("list[Any]", updates) if isinstance(updates, list) else []

    async def hang_up(self) -> None:
        """Close all connections. Safe to call twice."""
        for requests in self._request:
            await requests.shutdown()


def connect(settings: TelegramSettings, answer_seconds: float = READ_SECONDS) -> Api:
    """A bot with connections of its own for sending and for asking. No I/O. `answer_seconds`: how long an answer may take.

    Raises ChannelFailed where the proxy can't be one.
    """
    assert settings.token is not None
    _quiet()
    base = settings.api_base.rstrip("/")
    try:
        return Api(
            settings.token.get_secret_value(),
            base_url=f"{base}/bot",
            base_file_url=f"{base}/file/bot",
            request=_requests(settings, settings.connection_pool_size, answer_seconds),
            get_updates_request=_requests(settings, 2, answer_seconds),
        )
    except (ValueError, RuntimeError, httpx.InvalidURL) as error:  # socks needs a package that is not there; a proxy's URL that is none
        raise ChannelFailed("channels.telegram.proxy can't be used: it takes the URL of an HTTP proxy.", fatal=True) from error


def _requests(settings: TelegramSettings, connections: int, answer_seconds: float) -> Requests:
    return Requests(
        connection_pool_size=connections,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=answer_seconds,
        write_timeout=READ_SECONDS,
        media_write_timeout=UPLOAD_SECONDS,
        pool_timeout=settings.pool_timeout,
        proxy=settings.proxy,
        httpx_kwargs={"headers": settings.extra_headers} if settings.extra_headers else None,
    )


def _quiet() -> None:
    """What these write holds the token (httpx: every URL) or what was said (the SDK: parameters and answers)."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("telegram").setLevel(logging.CRITICAL)


def _answered(status: int, body: bytes) -> Answered:
    try:
        answer = json.loads(body)
        parameters: dict[str, object] = answer.get("parameters") or {}
        description = str(answer.get("description") or f"status {status}").removeprefix("Bad Request: ").removeprefix("Forbidden: ")
        return Answered(
            status,
            description[:300],
            retry_after=_number(parameters.get("retry_after")),
            moved_to=int(number) if (number := _number(parameters.get("migrate_to_chat_id"))) is not None else None,
        )
    except (ValueError, AttributeError):  # a page of something between
        return Answered(status, f"status {status}")


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
