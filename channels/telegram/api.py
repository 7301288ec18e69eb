"""Telegram's Bot API: the SDK's bot on HTTP of our own, which distinguishes refused, unreached and unanswered."""

import json
import logging
import math
from io import BytesIO
from typing import Any, Final, cast

import aiohttp
from telegram import Bot
from telegram.error import NetworkError, TelegramError
from telegram.request import BaseRequest, RequestData

from assistant.contracts.channels import ChannelFailed
from assistant.contracts.proxies import UnusableProxy, route_to
from assistant.contracts.redaction import Redactor
from channels.telegram.settings import TelegramSettings

log = logging.getLogger(__name__)
READ_SECONDS: Final = 20.0
_CONNECT_SECONDS: Final = 5.0
_CONNECTIONS: Final = 100
_POOL_SECONDS: Final = 5.0
"""How long a request waits for a free connection."""
_KEEP_SECONDS: Final = 15.0
"""Idle connections are closed before Telegram closes them: a request on a connection that closes is unclear."""
_MOST_BYTES: Final = 64_000_000
"""Of an answer; a file is 20 MB at most."""
_MOST_READS: Final = 6
"""The whole answer may take so many times the seconds allowed between two reads."""
_LONGEST_WAIT: Final = 30 * 86_400.0


class Answered(TelegramError):
    """Telegram's answer is not ok. `status`: of HTTP. `moved_to`: the new id of the group."""

    def __init__(self, status: int, description: str, *, retry_after: float | None = None, moved_to: int | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.retry_after = retry_after
        self.moved_to = moved_to


class Unreached(NetworkError):
    """There was no connection: the request was not carried out. The message is the name of the error, or what the proxy did."""


class Unanswered(NetworkError):
    """The request was sent, at least in part, without a readable answer: it may have been carried out."""


class TelegramHttp(BaseRequest):
    """Raises Answered, Unreached or Unanswered; no errors of the SDK or of aiohttp."""

    def __init__(self, settings: TelegramSettings, version: str, *, connections: int, answer_seconds: float) -> None:
        self._connections = connections
        self._pool_seconds = min(_POOL_SECONDS, answer_seconds)
        self._answer_seconds = answer_seconds
        self._route = route_to(settings.api_base, settings.proxy)
        self._headers = {"User-Agent": f"nanobot/{version}", **settings.extra_headers}
        self._redact = Redactor([settings.token.get_secret_value() if settings.token else "", *settings.extra_headers.values()])
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def read_timeout(self) -> float:
        return self._answer_seconds

    async def initialize(self) -> None:
        """Nothing to do: the first request opens the session."""

    async def shutdown(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: object = BaseRequest.DEFAULT_NONE,
        write_timeout: object = BaseRequest.DEFAULT_NONE,
        connect_timeout: object = BaseRequest.DEFAULT_NONE,
        pool_timeout: object = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Ignores all timeouts but `read_timeout`."""
        wait = float(read_timeout) if isinstance(read_timeout, int | float) else self._answer_seconds
        connect = self._pool_seconds + _CONNECT_SECONDS
        try:
            async with self._open().request(
                method,
                url,
                data=_body(request_data),
                proxy=self._route.http,
                timeout=aiohttp.ClientTimeout(
                    total=connect + _MOST_READS * wait, connect=connect, sock_connect=_CONNECT_SECONDS, sock_read=wait
                ),
                allow_redirects=False,
            ) as response:
                answer = await _read(response)
        except aiohttp.ClientHttpProxyError as error:
            raise Unreached(f"the proxy answered with {error.status}") from None
        except aiohttp.ClientProxyConnectionError:
            raise Unreached("the proxy takes no connection") from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise Unreached(type(error).__name__) from None  # its message may hold the URL with the token
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unanswered(type(error).__name__) from None
        if 200 <= response.status <= 299:
            return response.status, answer
        raise _answered(response.status, answer, self._redact)

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise Unreached("closed")
        if self._session is None:
            connector = self._route.connector(limit=self._connections, keepalive_timeout=_KEEP_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return self._session

    @staticmethod
    def parse_json_payload(payload: bytes) -> Any:
        """Raises Unanswered. (The SDK's own method logs what it could not read, which may be a person's words.)"""
        try:
            parsed = json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            raise Unanswered("the answer is not JSON") from None
        if not isinstance(parsed, dict) or "result" not in parsed:
            raise Unanswered("the answer holds no result")
        return parsed  # pyright: ignore[reportUnknownVariableType] - JSON of the platform


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Raises Unanswered if it is longer than any answer is."""
    answer = bytearray()
    async for piece in response.content.iter_any():
        answer += piece
        if len(answer) > _MOST_BYTES:
            raise Unanswered("too long an answer")
    return bytes(answer)


def _body(data: RequestData | None) -> aiohttp.FormData | None:
    """A form, with files one of several parts."""
    if data is None:
        return None
    form = aiohttp.FormData(quote_fields=False)
    for name, value in data.json_parameters.items():
        form.add_field(name, value)
    for name, (file_name, content, media_type) in data.multipart_data.items():
        file = BytesIO(content) if isinstance(content, bytes) else content
        quoted = file_name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")  # as browsers write it
        form.add_field(name, file, filename=quoted, content_type=media_type)
    return form


def _answered(status: int, body: bytes, redact: Redactor) -> Answered:
    try:
        answer = json.loads(body)
        parameters: dict[str, object] = answer.get("parameters") or {}
        description = str(answer.get("description") or f"status {status}").removeprefix("Bad Request: ").removeprefix("Forbidden: ")
        return Answered(
            status,
            redact(description.encode("utf-8", "replace").decode().replace("\x00", "")),
            retry_after=_wait(parameters.get("retry_after")),
            moved_to=moved if isinstance(moved := parameters.get("migrate_to_chat_id"), int) else None,
        )
    except (ValueError, AttributeError, RecursionError):  # a page of a proxy
        return Answered(status, f"status {status}")


def _wait(value: object) -> float | None:
    """Seconds, a month at most; None: the value is no wait."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
        return None
    return min(value, _LONGEST_WAIT) if math.isfinite(value) else None


ALLOWED_UPDATES: Final = ("message", "edited_message", "callback_query")


class Api(Bot):
    async def updates(self, offset: int | None, wait: int) -> list[Any]:
        """Updates as JSON: one that the SDK can't read must not hide the others. `wait`: seconds for Telegram to wait for one."""
        asked = {"offset": offset, "timeout": wait, "limit": 100, "allowed_updates": list(ALLOWED_UPDATES)}
        updates: object = await self._post("getUpdates", asked, read_timeout=wait + READ_SECONDS / 2)
        return cast("list[Any]", updates) if isinstance(updates, list) else []

    async def remove_preview(self, chat_id: int | str, message_id: int, read_timeout: float | None = None) -> bool:
        """Delete a message that showed an answer. False: it stays, which is logged."""
        try:
            return await self.delete_message(chat_id, message_id, read_timeout=read_timeout)
        except TelegramError as error:
            log.info("telegram.preview_stays chat=%s message=%d reason=%s", chat_id, message_id, type(error).__name__)
            return False

    async def hang_up(self) -> None:
        """Close all connections. Safe to call twice."""
        for wire in self._request:
            await wire.shutdown()


def connect(settings: TelegramSettings, version: str, answer_seconds: float = READ_SECONDS) -> Api:
    """A bot with separate connections for sending and for polling. No I/O. Raises ChannelFailed if the proxy can't be used."""
    assert settings.token is not None
    try:
        wires = [TelegramHttp(settings, version, connections=count, answer_seconds=answer_seconds) for count in (_CONNECTIONS, 2)]
    except UnusableProxy as error:
        raise ChannelFailed(f"{error} It is for channels.telegram.", fatal=True) from None
    # The SDK logs parameters and answers, which hold messages.
    logging.getLogger("telegram").setLevel(logging.CRITICAL)
    base = settings.api_base.rstrip("/")
    return Api(
        settings.token.get_secret_value(),
        base_url=f"{base}/bot",
        base_file_url=f"{base}/file/bot",
        request=wires[0],
        get_updates_request=wires[1],
    )
