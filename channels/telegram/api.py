"""Telegram's Bot API: https://core.telegram.org/bots/api. The SDK reads updates; calls are made by `channels.kit.http`."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from assistant.contracts.outbox import Media
from channels.kit.answers import seconds_in
from channels.kit.http import Answered, PlatformHttp, Unanswered, multipart, value_at
from channels.kit.values import list_at
from channels.telegram.settings import TelegramSettings

READ_SECONDS: Final = 20.0
ALLOWED_UPDATES: Final = ("message", "edited_message", "callback_query")
# The SDK logs what it could not read, which may be a person's words.
logging.getLogger("telegram").setLevel(logging.CRITICAL)

Upload = tuple[Media, bytes]


class TelegramApi:
    """No I/O before the first call. Polling has connections of its own, so that sends never wait for it."""

    def __init__(self, settings: TelegramSettings, version: str, seconds: float = READ_SECONDS) -> None:
        """`seconds`: for an answer. Raises ChannelFailed if the proxy can't be used."""
        assert settings.token is not None
        self._token = settings.token.get_secret_value()
        self._calls, self._polls = (
            PlatformHttp(
                "telegram",
                version=version,
                proxy=settings.proxy,
                secrets=[self._token, *settings.extra_headers.values()],
                headers=settings.extra_headers,
                seconds=seconds,
                base=settings.api_base,
            )
            for _ in range(2)
        )

    async def call(self, method: str, files: Mapping[str, Upload] | None = None, seconds: float | None = None, **params: Any) -> Any:
        """The result. `params`: those that are None are left out. `files`: by the name that `attach://<name>` refers to. Raises PlatformError."""
        return await self._call(self._calls, method, files, seconds, params)

    async def updates(self, offset: int | None, wait: int) -> list[Any]:
        """Updates as JSON: one that the SDK can't read must not hide the others. `wait`: seconds for Telegram to wait for one."""
        asked = {"offset": offset, "timeout": wait, "limit": 100, "allowed_updates": ALLOWED_UPDATES}
        return list_at([await self._call(self._polls, "getUpdates", None, wait + READ_SECONDS / 2, asked)], 0)

    async def download(self, path: str, into: Path, most_bytes: int) -> None:
        """Raises SendRefused or SendLater."""
        await self._calls.download(f"/file/bot{self._token}/{quote(path)}", into, most_bytes)

    async def close(self) -> None:
        for http in (self._calls, self._polls):
            await http.close()

    async def _call(
        self, http: PlatformHttp, method: str, files: Mapping[str, Upload] | None, seconds: float | None, params: Mapping[str, Any]
    ) -> Any:
        given = {name: value for name, value in params.items() if value is not None}
        body: dict[str, Any] = {"json": given}
        if files:
            body = {"form": multipart(given, [(name, media.name, media.media_type, content) for name, (media, content) in files.items()])}
        try:
            answer: Any = await http.json("POST", f"/bot{self._token}/{method}", seconds=seconds, **body)
        except Answered as error:
            words = error.words.removeprefix("Bad Request: ").removeprefix("Forbidden: ")
            wait = seconds_in(error.at("parameters", "retry_after"))
            raise Answered(error.status, words, retry_after=wait, body=error.body) from None
        if not isinstance(answer, dict) or "result" not in answer:
            raise Unanswered("the answer holds no result")
        return answer["result"]  # pyright: ignore[reportUnknownVariableType] - JSON of the platform


def id_of(result: Any) -> str:
    """Of a message that Telegram gives back, or of the first of several."""
    number = value_at(result[0] if isinstance(result, list) and result else result, "message_id")
    if not isinstance(number, int):
        raise Unanswered("the answer holds no message")
    return str(number)
