"""Lists of models: those of providers (`providers.<name>.list`), kept for some minutes, and those of servers at the usual ports of loopback.

A provider's model is named `<provider>/<its id there>`.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import orjson

from assistant.contracts.errors import ModelNotFound, NanobotError
from assistant.contracts.models import ListedModel
from assistant.contracts.records import record
from assistant.providers.messages import listed, mapping
from assistant.providers.presets import LOOPBACK, PRESETS, Preset

log = logging.getLogger(__name__)

ListModels = Callable[[], Awaitable[Sequence[str]]]
"""Returns the ids that a provider lists. Raises what ModelProvider raises."""
LOCAL_SERVERS: Final = tuple(preset for preset in PRESETS.values() if preset.port is not None)
_REMEMBERED: Final = 300.0
_AFTER_FAILURE: Final = 30.0
"""Seconds until a provider that failed is tried again."""
_PATIENCE: Final = 10.0
"""Seconds that a provider may take."""
_LOCAL_PATIENCE: Final = 0.15
_LONGEST_LIST: Final = 1024 * 1024
"""Bytes of a local server's list."""
_NOT_FOR_CHAT: Final = ("embed", "rerank", "whisper", "tts", "dall-e", "moderation", "transcribe")


@record
class FoundModel:
    """A model of a provider, with its name there."""

    listed: ListedModel
    provider: str
    model: str
    sure: bool
    """Whether the provider lists it; False: it could not be asked."""


class ListedModels:
    """The lists of several providers, each asked at most once in five minutes."""

    def __init__(self, providers: Mapping[str, ListModels], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lists = {name: _ProviderList(name, ask, clock) for name, ask in providers.items()}

    async def all(self) -> Sequence[ListedModel]:
        """All models; of a provider that fails, those it listed before. Asks all providers at once."""
        lists = await asyncio.gather(*[one.ids() for one in self._lists.values()])
        return [_as_listed(name, model) for name, models in zip(self._lists, lists, strict=True) for model in models or ()]

    async def find(self, model_id: str) -> FoundModel:
        """Raises ModelNotFound. A provider that never listed its models is left to say itself whether it has this one."""
        provider, slash, model = model_id.partition("/")
        wanted = self._lists.get(provider)
        ids = await wanted.ids() if wanted is not None else ()
        if not slash or not model or (ids is not None and model not in ids):
            raise ModelNotFound(f"There is no model '{model_id[:100]}' here. GET /v1/models lists those there are.", param="model")
        return FoundModel(listed=_as_listed(provider, model), provider=provider, model=model, sure=ids is not None)


class _ProviderList:
    def __init__(self, provider: str, ask: ListModels, clock: Callable[[], float]) -> None:
        self._provider = provider
        self._ask = ask
        self._clock = clock
        self._ids: Sequence[str] | None = None
        self._due = float("-inf")
        self._failed = False
        self._asking: asyncio.Task[None] | None = None

    async def ids(self) -> Sequence[str] | None:
        """The last list; None: there was none. A provider that failed before is not waited for."""
        if self._asking is None and self._clock() >= self._due:
            self._asking = asyncio.create_task(self._renew())
        if self._asking is not None and not self._failed:
            await asyncio.wait([self._asking])
        return self._ids

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await self._ask()
            self._ids = list(filter(_is_for_chat, found))
            self._failed = False
        except (NanobotError, TimeoutError) as error:
            code = error.code if isinstance(error, NanobotError) else "provider_timeout"
            log.warning("models.not_listed provider=%s code=%s", self._provider, code)
            self._failed = True
        finally:
            self._due = self._clock() + (_AFTER_FAILURE if self._failed else _REMEMBERED)
            self._asking = None


def _as_listed(provider: str, model: str) -> ListedModel:
    return ListedModel(id=f"{provider}/{model}", type="chat", provider=provider)


def _is_for_chat(model: str) -> bool:
    return not any(word in model.lower() for word in _NOT_FOR_CHAT)


async def find_local(servers: Sequence[Preset]) -> list[tuple[Preset, tuple[str, ...]]]:
    """Those that answer with a list of models within 0.15 s, in the order given, with their models. Asks all at once."""
    lists = await asyncio.gather(*[list_local_models(server.base_url, patience=_LOCAL_PATIENCE) for server in servers])
    return [(server, models) for server, models in zip(servers, lists, strict=True) if models]


async def list_local_models(base: str, *, patience: float) -> tuple[str, ...]:
    """The ids at `<base>/models` of a server on loopback, those for chat only; none if nothing answers there in time, or something else does."""
    url = urlsplit(base)
    if url.hostname not in LOOPBACK or url.scheme != "http":
        return ()
    try:
        async with asyncio.timeout(patience):
            body = await _get(url.hostname, url.port or 80, url.path.rstrip("/") + "/models")
        ids = [mapping(model).get("id") for model in listed(mapping(orjson.loads(body)).get("data"))]
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
        return ()
    return tuple(model for model in ids if isinstance(model, str) and _is_for_chat(model))


async def _get(host: str, port: int, path: str) -> bytes:
    """The body of a 200, else b"", without aiohttp, whose import the start does not wait for. HTTP/1.0: nothing is sent in chunks."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nAccept: application/json\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200" not in head.split(b"\r\n")[0]:
            return b""
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)  # some servers keep the connection open regardless
        return await reader.readexactly(min(int(length[1]), _LONGEST_LIST) if length else _LONGEST_LIST)
    except asyncio.IncompleteReadError as end:
        return end.partial
    finally:
        writer.close()
