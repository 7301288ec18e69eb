"""Discord's REST API: https://discord.com/developers/docs/reference. Its limits are kept, and the channels behind chats and threads are known."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from discord.http import Route

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendLater, SendRefused
from assistant.contracts.records import record
from channels.discord.kind import is_snowflake
from channels.discord.settings import DiscordSettings
from channels.kit.answers import date_in, seconds_in
from channels.kit.http import Answered, PlatformAnswer, PlatformHttp, Unanswered, multipart, value_at
from channels.kit.limits import HeaderLimit, repeated
from channels.kit.values import Latest, list_at, number_at, text_at

UNKNOWN_CHANNEL: Final = "10003"
_THREADS, _POSTS = (10, 11, 12), (15, 16)
"""Types of channels: threads, and those that hold posts only (forums and media channels)."""
_FILE_SECONDS: Final = 50.0
_DEEPEST: Final = 8
"""Levels of fields in fields of an error that are read."""
_UNTOLD: Final = timedelta(seconds=2)
_MOST_REFUSALS, _REFUSALS_WINDOW = 1000, 600.0
GLOBAL: Final = {"x-ratelimit-scope": "global"}
"""Headers of a limit of the whole bot."""


@record
class Waits:
    """Seconds."""

    send: float = 57
    """For a part, with all its repeats."""
    ready: float = 60
    """From the first connection to being ready."""
    lost: float = 120
    """For discord.py to resume a lost session; then a new connection is made."""
    identify: float = 5
    """At most, before a new session: Discord allows one in five seconds."""
    again: float = 1
    """Before the first retry."""
    guilds: float = 1
    """Without a further server, after which a new session knows all of them."""
    refused: float = 60
    """After a refused token, without another login."""
    answerable: float = 2.5
    """In which an interaction can be answered; Discord allows three."""


class DiscordRest:
    def __init__(self, settings: DiscordSettings, version: str, waits: Waits) -> None:
        """Raises ChannelFailed if the proxy can't be used."""
        self.settings = settings
        self.http = PlatformHttp(
            "discord",
            version=version,
            proxy=settings.proxy,
            secrets=[settings.secret],
            headers={"Authorization": f"Bot {settings.secret}", "User-Agent": f"DiscordBot (nanobot, {version})"},
            base=settings.api_base or Route.BASE,
        )
        self.ahead = timedelta()
        """How far Discord's clock is ahead of ours, where that is more than its answers' dates (whole seconds) can't tell."""
        self._waits = waits
        self._me: Mapping[str, Any] | None = None
        self._login = asyncio.Lock()
        self._refused_until = 0.0
        self._refusals_since, self._refusals = time.monotonic(), 0
        self._limits: Latest[HeaderLimit] = Latest()
        self._parents: Latest[str | None] = Latest()
        """thread → its channel; a channel that is no thread → None."""
        self._forums: Latest[bool] = Latest()
        self._private: Latest[str] = Latest()
        """user → the channel of their direct messages."""

    async def call(
        self,
        method: str,
        path: str,
        json: object = None,
        *,
        files: Sequence[tuple[str, bytes]] = (),
        params: Mapping[str, str] | None = None,
        tries: int = 3,
    ) -> Any:
        """The JSON of the answer. Repeated after an error of the server: a message has a nonce, nearly all else may be done twice. Raises
        PlatformError; Unanswered where an earlier try may have been carried out."""
        key = f"{method} {'/'.join(path.split('/')[:4])}"
        limit = self._limits[key] = self._limits.get(key) or HeaderLimit()
        return await repeated(lambda: self._once(limit, method, path, json, files, params), tries=tries, pause=self._waits.again)

    async def ask(self, method: str, path: str, json: object = None) -> Any:
        """The same for a question before a message: what is not answered is SendLater, and no doubt about the message."""
        try:
            return await self.call(method, path, json)
        except Unanswered:
            raise SendLater("network", "The connection to Discord broke.", counts=False) from None
        except Answered as error:
            if error.status < 500:
                raise
            raise SendLater("server_error", f"Discord answered with {error.status}.") from None

    async def me(self) -> Mapping[str, Any]:
        """The bot's user, asked for once. For some time after a refused token it is not asked again. Raises as `ask`."""
        async with self._login:
            if self._me is None:
                if time.monotonic() < self._refused_until:
                    raise Answered(401, "the token was refused")
                try:
                    found = await self.ask("GET", "/users/@me")
                    if not text_at(found, "id"):
                        raise SendLater("network", "Discord did not say who the bot is.", counts=False)
                    self._me = found
                except Answered as error:
                    if error.status == 401:
                        self._refused_until = time.monotonic() + self._waits.refused
                    raise
            return self._me or {}

    async def target(self, address: Address) -> str:
        """The id of the channel of this address. Raises SendRefused for a thread of another chat: permission was checked for the chat. Raises as
        `ask`."""
        if not address.chat_id.isdecimal():
            raise SendRefused("chat_not_found", "Discord knows no such channel.")
        if address.thread_id is None:
            return self._private.get(address.chat_id, address.chat_id)
        if await self.parent(address.thread_id) != address.chat_id:
            raise SendRefused("chat_not_found", "Discord knows no such thread in this channel.")
        return address.thread_id

    async def parent(self, channel_id: str) -> str | None:
        """The channel that a thread belongs to; None: it is no thread. Raises as `ask`."""
        if channel_id not in self._parents:
            about = await self.ask("GET", f"/channels/{channel_id}")
            self.learn(channel_id, (text_at(about, "parent_id") or None) if value_at(about, "type") in _THREADS else None)
        return self._parents.get(channel_id)

    def learn(self, channel_id: str, parent: str | None) -> None:
        self._parents[channel_id] = parent

    def holds_posts(self, channel_id: str) -> bool:
        """Whether it is known as a channel that takes posts only."""
        return channel_id in self._forums

    async def learn_posts(self, channel_id: str) -> bool:
        """Whether this channel, which takes no messages, takes posts. Raises as `ask`."""
        if value_at(await self.ask("GET", f"/channels/{channel_id}"), "type") in _POSTS:
            self._forums[channel_id] = True
        return channel_id in self._forums

    async def reopen(self, thread_id: str, error: Answered) -> None:
        """Take a thread out of the archive. Raises `error` where the bot may not: it is locked."""
        try:
            await self.ask("PATCH", f"/channels/{thread_id}", {"archived": False})
        except Answered as refused:
            raise (error if refused.status != 429 else refused) from None

    async def open_private(self, user_id: str, error: Answered) -> str:
        """The channel of a user's direct messages, for a chat_id that is no channel. Raises `error` if it is no user either."""
        if error.code != UNKNOWN_CHANNEL or user_id in self._private or not is_snowflake(user_id):
            raise error
        opened = await self.ask("POST", "/users/@me/channels", {"recipient_id": user_id})
        if not (id := text_at(opened, "id")):
            raise SendLater("network", "Discord opened no direct messages.", counts=False)
        self._private[user_id] = id
        return id

    async def close(self) -> None:
        await self.http.close()

    async def _once(
        self, limit: HeaderLimit, method: str, path: str, json: object, files: Sequence[tuple[str, bytes]], params: Mapping[str, str] | None
    ) -> Any:
        left = self._refusals_since + _REFUSALS_WINDOW - time.monotonic()
        if self._refusals >= _MOST_REFUSALS and left > 0:
            raise Answered(429, "too many requests were refused", retry_after=left, body={"retry_after": left}, headers=GLOBAL)
        await limit.take()
        body: dict[str, Any] = {"json": json}
        if files:
            uploads = [(f"files[{place}]", name, "application/octet-stream", content) for place, (name, content) in enumerate(files)]
            body = {"form": multipart({"payload_json": json}, uploads), "seconds": _FILE_SECONDS}
        try:
            answer: PlatformAnswer = await self.http.call(method, path, params=params, **body)
        except Answered as error:
            limit.note(error.headers)
            self._note(error.status, error.headers)
            words = self.http.redact("\n".join([error.words, *_nested(error.at("errors"))]))
            code = str(number_at(error.body, "code") or "")
            wait = retry_after(error) or error.retry_after
            raise Answered(error.status, words, code=code, retry_after=wait, body=error.body, headers=error.headers) from None
        limit.note(answer.headers)
        self._note(answer.status, answer.headers)
        return answer.json() if answer.body else None

    def _note(self, status: int, headers: Mapping[str, str]) -> None:
        """Counts answers of 401, 403 and 429: 10,000 in ten minutes bring a ban of an hour, so calls stop long before that.
        https://discord.com/developers/docs/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans"""
        if (date := date_in(headers.get("date"))) is not None:
            ahead = date - datetime.now(UTC)
            self.ahead = ahead if abs(ahead) > _UNTOLD else timedelta()
        if status in (401, 403, 429):
            now = time.monotonic()
            if now - self._refusals_since > _REFUSALS_WINDOW:
                self._refusals_since, self._refusals = now, 0
            self._refusals += 1


def retry_after(error: Answered) -> float | None:
    """The seconds that Discord itself asks to wait; None: it does not, or a proxy in front of it speaks."""
    return seconds_in(error.at("retry_after"))


def _nested(errors: object, path: str = "") -> Iterator[str]:
    """What is wrong with which field. https://discord.com/developers/docs/reference#error-messages"""
    if isinstance(errors, dict):
        found: dict[str, Any] = errors  # pyright: ignore[reportUnknownVariableType] - JSON of the platform
        if messages := [text_at(each, "message") for each in list_at(found, "_errors")]:
            yield f"In {path}: {' '.join(messages)}"
        for name, inner in found.items() if path.count(".") < _DEEPEST else ():
            yield from _nested(inner, f"{path}.{name}".lstrip(".")) if name != "_errors" else ()
