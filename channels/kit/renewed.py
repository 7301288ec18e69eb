"""A platform's token that lasts for a while: asked for when it is needed, and again before it ends."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from assistant.contracts.channels import ChannelFailed, SendLater
from channels.kit.http import Answered, PlatformError, Unanswered

T = TypeVar("T")
_EARLY: Final = 300.0
"""Seconds before its end at which a token is renewed."""
_USUAL: Final = 3600.0
_FAILED_SECONDS: Final = 2.0
"""Seconds after a server of tokens was asked in vain in which it is not asked again."""
_UNAUTHORIZED_WAIT: Final = 300.0
_NOT_ABOUT_US: Final = frozenset({407, 408, 425, 429})


class RenewedToken:
    """One asks, and those beside it wait for what it gets, a failure as well."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[tuple[str, float]]],
        *,
        platform: str,
        setting: str,
        header: Callable[[str], Mapping[str, str]] = lambda token: {"Authorization": f"Bearer {token}"},
    ) -> None:
        """`ask`: → the token, and the seconds that it lasts (0: unknown). Raises PlatformError or SendLater. `platform` and `setting`: for people.
        `header`: how a request brings the token."""
        self._ask = ask
        self._platform = platform
        self._setting = setting
        self._header = header
        self._token = ""
        self._until = -math.inf
        self._failed: tuple[SendLater, float] | None = None
        """The last failure, and until when it is everyone's who comes."""
        self._lock = asyncio.Lock()

    async def get(self) -> str:
        """Raises SendLater: there is none, so nothing was sent."""
        came = time.monotonic()
        async with self._lock:
            if self._failed is not None and came < self._failed[1]:
                raise self._failed[0].with_traceback(None)
            if time.monotonic() >= self._until:
                await self._renew()
            return self._token

    async def check(self) -> None:
        """Raises ChannelFailed where there is none; a fatal one where the credentials are not accepted."""
        try:
            await self.get()
        except SendLater as error:
            raise ChannelFailed(str(error), fatal=error.trouble.code == "unauthorized") from error

    async def headers(self) -> Mapping[str, str]:
        """Of a request. As `get`."""
        return self._header(await self.get())

    def drop(self, token: str) -> None:
        """This one is not accepted any more."""
        if token == self._token:
            self._until = -math.inf

    async def used(
        self, call: Callable[[Mapping[str, str]], Awaitable[T]], *, ended: Callable[[Answered], bool] = lambda error: error.status == 401
    ) -> T:
        """What a call with these headers returns, or the same call with a new token where the answer is that this one has ended. As `get`."""
        for left in (1, 0):
            token = await self.get()
            try:
                return await call(self._header(token))
            except Answered as error:
                if not ended(error):
                    raise
                self.drop(token)
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _renew(self) -> None:
        try:
            token, seconds = await self._ask()
            if not token:
                raise Unanswered("the answer has no token")
        except (PlatformError, SendLater) as error:
            failure = self._meaning(error) if isinstance(error, PlatformError) else error
            hold = 0.0 if failure.trouble.code == "unauthorized" else _FAILED_SECONDS
            self._failed = failure, time.monotonic() + hold
            raise failure from (error if failure is not error else None)
        self._failed = None
        self._token, self._until = token, time.monotonic() + max(seconds or _USUAL, 2 * _EARLY) - _EARLY

    def _meaning(self, error: PlatformError) -> SendLater:
        if isinstance(error, Answered) and 400 <= error.status < 500 and error.status not in _NOT_ABOUT_US:
            words = f"{self._platform} does not accept {self._setting}: {error.words}"
            return SendLater("unauthorized", words, retry_after=_UNAUTHORIZED_WAIT, counts=False, whole_channel=True)
        wait = error.retry_after if isinstance(error, Answered) else None
        words = f"{self._platform} gives no token ({error}); nothing was sent."
        return SendLater("network", words, retry_after=wait, counts=False, whole_channel=True)
