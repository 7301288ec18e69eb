"""Objects in a store that speaks Amazon's S3: put, read and removed by a name, over aiohttp, signed by Signature Version 4.

A request that met no connection, or an answer of 429 or 5xx ("Slow Down"), is made three times. Every object is put once and never changed.
"""

import asyncio
import hmac
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import urlsplit

from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.proxies import UnusableProxy, route_to
from assistant.contracts.util import Clock, backoff, utc_now
from assistant.store.database import S3Settings

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

_BLOCK: Final = 1 << 20
_TRIES: Final = 3
_CONNECT_SECONDS, _BYTES_A_SECOND = 5, 1 << 20
_RETRY_SECONDS: Final = 5.0
_NOTHING: Final = sha256(b"").hexdigest()
_CODE: Final = re.compile(rb"<Code>(\w{1,64})</Code>")


class S3Bytes:
    """Implements BytePlace in a bucket. The connections are opened by the first request."""

    def __init__(self, settings: S3Settings, *, patience: float = 15.0, clock: Clock = utc_now) -> None:
        """`patience`: seconds without a sign, and beside the time that large bytes take."""
        self._settings = settings
        self._patience = patience
        self._base = f"/{settings.bucket}/{settings.prefix}"
        self._clock = clock
        self._session: Any = None

    async def put(self, id: str, source: BinaryIO, size: int, digest: str) -> None:
        more = partial(asyncio.to_thread, source.read, _BLOCK)

        async def blocks() -> AsyncIterator[bytes]:
            await asyncio.to_thread(source.seek, 0)
            while block := await more():
                yield block

        async with self._answer("PUT", id, digest, blocks if size else None, size):
            pass

    async def read(self, id: str, size: int) -> AsyncIterator[bytes]:
        aiohttp = await self._aiohttp()
        try:
            async with self._answer("GET", id) as answer:
                if answer is not None:
                    async for block in answer.content.iter_chunked(_BLOCK):
                        yield block
        except (aiohttp.ClientError, TimeoutError, OSError) as error:  # cut: the reader sees that it got too few
            log.warning("bucket.cut error=%s", type(error).__name__)

    async def remove(self, id: str) -> None:
        async with self._answer("DELETE", id):
            pass

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def _answer(
        self, method: str, id: str, digest: str = _NOTHING, body: Any = None, size: int = 0
    ) -> "AsyncGenerator[aiohttp.ClientResponse | None]":
        """None: there is no such object. `body`: makes an iterator of the bytes, anew for each try. Raises StoreUnavailable."""
        answer = await self._asked(method, id, digest, body, size)
        try:
            if answer.status == 404 and method != "PUT":
                yield None
            elif answer.status // 100 == 2:
                yield answer
            else:
                raise _refused(answer.status, await answer.content.read(4096))
        finally:
            answer.close() if method == "GET" else answer.release()

    async def _asked(self, method: str, id: str, digest: str, body: Any, size: int) -> "aiohttp.ClientResponse":
        aiohttp = await self._aiohttp()
        try:
            route = route_to(self._settings.endpoint)
        except UnusableProxy as error:
            raise StoreUnavailable(f"The S3 store can't be reached: {error}") from error
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=route.connector(limit=16), auto_decompress=False)
        path = f"{self._base}{id}"
        host = urlsplit(self._settings.endpoint).netloc
        timeout = aiohttp.ClientTimeout(
            total=self._patience + size / _BYTES_A_SECOND if method != "GET" else None,
            sock_connect=_CONNECT_SECONDS,
            sock_read=self._patience,
        )
        for failures in range(1, _TRIES + 1):
            headers = signed(method, path, {"host": host}, digest, self._clock(), self._settings)
            if method == "PUT":
                headers["content-length"] = str(size)
            try:
                answer = await self._session.request(
                    method,
                    self._settings.endpoint + path,
                    headers=headers,
                    data=None if body is None else body(),
                    timeout=timeout,
                    proxy=route.http,
                    allow_redirects=False,
                )
                if answer.status != 429 and answer.status < 500:
                    return answer
                why = str(answer.status)
                answer.release()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                why = type(error).__name__
            log.warning("bucket.failed method=%s why=%s tries=%d", method, why, failures)
            if "Timeout" in why:  # the caller has waited
                break
            if failures < _TRIES:
                await asyncio.sleep(backoff(failures, first=0.1))
        raise StoreUnavailable("The S3 store does not answer. Nothing was accepted; try again later.", retry_after=_RETRY_SECONDS)

    async def _aiohttp(self) -> Any:
        return await asyncio.to_thread(import_module, "aiohttp")


def signed(method: str, path: str, headers: Mapping[str, str], digest: str, at: datetime, settings: S3Settings) -> dict[str, str]:
    """The headers, by lower-case name, with a signature of them all. `path`: without what has to be escaped. `digest`: the body's SHA-256."""
    time = f"{at:%Y%m%dT%H%M%SZ}"
    whole = {**headers, "x-amz-content-sha256": digest, "x-amz-date": time}
    names = ";".join(sorted(whole))
    lines = "".join(f"{name}:{whole[name].strip()}\n" for name in sorted(whole))
    request = f"{method}\n{path}\n\n{lines}\n{names}\n{digest}"
    scope = f"{at:%Y%m%d}/{settings.region}/s3/aws4_request"
    key = f"AWS4{settings.secret.get_secret_value()}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    words = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(key, words.encode(), "sha256").hex()
    whole["authorization"] = f"AWS4-HMAC-SHA256 Credential={settings.key_id}/{scope},SignedHeaders={names},Signature={signature}"
    return whole


def _refused(status: int, body: bytes) -> StoreUnavailable:
    code = _CODE.search(body)
    named = code[1].decode() if code else f"status {status}"
    log.error("bucket.refused code=%s", named)
    return StoreUnavailable(f"The S3 store refuses: {named}. The owner can correct store.s3; `nanobot doctor` tries it.")
