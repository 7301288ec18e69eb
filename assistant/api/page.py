"""The page at `/`: the files of `assistant/web`, kept compressed, with headers that let nothing from elsewhere in."""

import gzip
import mimetypes
from asyncio import to_thread
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import assistant
from assistant.contracts.errors import NotFound

FOLDER: Final = Path(assistant.__file__).parent / "web"
_SERVED: Final = {".html", ".js", ".css", ".svg", ".png", ".webmanifest", ".txt"}
_POLICY: Final = "; ".join([
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "connect-src 'self'",
    "manifest-src 'self'", "worker-src 'self'", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'",
])  # fmt: skip
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",  # asked for again each time, and answered with 304
    "Vary": "Accept-Encoding",
}
PAGE_FOLDER: Final = "/web/"
PAGE_PATHS: Final = frozenset({"/sw.js", "/manifest.webmanifest"})
"""A service worker reaches only what is below its own path."""


@dataclass(frozen=True, slots=True)
class _Kept:
    compressed: bytes
    tag: str
    media_type: str


@lru_cache(maxsize=256)
def _kept(name: str) -> _Kept | None:
    """A file of the page by its path in the folder. Reads the disk once. None: there is none."""
    path = FOLDER / name
    if path.suffix not in _SERVED or not path.resolve().is_relative_to(FOLDER.resolve()) or not path.is_file():
        return None
    content = path.read_bytes()
    kind = "application/manifest+json" if path.suffix == ".webmanifest" else mimetypes.guess_type(path.name)[0] or "text/plain"
    kind = "text/javascript" if path.suffix == ".js" else kind
    return _Kept(gzip.compress(content, 9, mtime=0), f'"{sha256(content).hexdigest()[:32]}"', kind)


def page_routes() -> list[Route]:
    """`/` for browsers and for programs, and the files that the page loads."""
    return [Route("/", _root), Route(PAGE_FOLDER + "{name:path}", _file), *[Route(path, _file) for path in sorted(PAGE_PATHS)]]


async def _root(request: Request) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return await _answer(request, "index.html")
    return PlainTextResponse("nanobot is running. Its API is described at /docs.\n")


async def _file(request: Request) -> Response:
    return await _answer(request, request.path_params.get("name") or request.url.path.rpartition("/")[2])


async def _answer(request: Request, name: str) -> Response:
    kept = await to_thread(_kept, name) if len(name) <= 100 and "\0" not in name else None
    if kept is None:
        raise NotFound("There is no such file of the page.")
    headers = {**_HEADERS, "ETag": kept.tag}
    if kept.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(kept.compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=kept.media_type)
    return Response(gzip.decompress(kept.compressed), headers=headers, media_type=kept.media_type)
