"""Model servers on this machine: who answers at the usual ports. Without an HTTP client, whose import would cost the start 0.1 to 0.25 s."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from assistant.providers.pieces import listed, mapping
from assistant.providers.presets import PRESETS, Preset

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
LOCAL_SERVERS = tuple(preset for preset in PRESETS.values() if preset.port is not None)
_LONGEST_LIST = 1024 * 1024
_NOT_FOR_CHAT = ("embed", "rerank", "whisper", "tts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A server that answered, with the models that it lists (those that only embed or transcribe left out)."""

    name: str
    base: str
    models: tuple[str, ...]


async def find_local(servers: Sequence[Preset] = LOCAL_SERVERS, *, patience: float = 0.15) -> list[Found]:
    """Those that answer with a list of models within `patience` seconds (all are asked at once), in the order given."""
    lists = await asyncio.gather(*[list_models(server.base_url, patience=patience) for server in servers])
    return [Found(name=server.name, base=server.base_url, models=models) for server, models in zip(servers, lists, strict=True) if models]


async def list_models(base: str, *, patience: float) -> tuple[str, ...]:
    """The ids at `<base>/models` of a server on loopback; none if nothing answers there in time, or something else does."""
    url = urlsplit(base)
    if url.hostname not in LOOPBACK or url.scheme != "http":
        return ()
    try:
        async with asyncio.timeout(patience):
            return _ids(await _get(url.hostname, url.port or 80, url.path.rstrip("/") + "/models"))
    except (OSError, TimeoutError):
        return ()


async def _get(host: str, port: int, path: str) -> bytes:
    """The response, head and body. HTTP/1.0: the server closes at the end, and chunks nothing."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nAccept: application/json\r\nConnection: close\r\n\r\n".encode())
        pieces: list[bytes] = []
        size = 0
        while (piece := await reader.read(65_536)) and size < _LONGEST_LIST:
            pieces.append(piece)
            size += len(piece)
            if _is_whole(b"".join(pieces)):
                break
        return b"".join(pieces)
    finally:
        writer.close()


def _is_whole(response: bytes) -> bool:
    """Whether a Content-Length was met: some servers keep the connection open all the same."""
    head, found, body = response.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and lengths) and len(body) >= int(lengths[0])


def _ids(response: bytes) -> tuple[str, ...]:
    head, _, body = response.partition(b"\r\n\r\n")
    if b" 200" not in head.split(b"\r\n")[0]:
        return ()
    try:
        models = [mapping(model).get("id") for model in listed(mapping(orjson.loads(body)).get("data"))]
    except orjson.JSONDecodeError:
        return ()
    return tuple(model for model in models if isinstance(model, str) and not any(word in model.lower() for word in _NOT_FOR_CHAT))
