"""Files as answers: never a page of this server, whatever they hold."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

_MARKS: Final[Mapping[bytes, str]] = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
SHOWN: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""The kinds that a browser may show: pictures that hold nothing to run."""
_NEVER_A_PAGE: Final = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
}
"""Files are served as bytes: no browser shows or runs one as a page of this server."""


def shown_as(data: bytes) -> str | None:
    """The kind of a picture that may be shown, by its first bytes and not by its name; None: it is to be saved."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for mark, kind in _MARKS.items() if data.startswith(mark)), None)


def file_answer(name: str, data: bytes) -> Response:
    """A picture to be shown, anything else to be saved under its name."""
    kind = shown_as(data)
    headers = {**_named("inline" if kind else "attachment", name), "cache-control": "private, max-age=86400"}
    return Response(data, headers=headers, media_type=kind or "application/octet-stream")


def saved_answer(name: str, data: bytes) -> Response:
    """Bytes to be saved under their name, whatever they are."""
    return Response(data, headers=_named("attachment", name), media_type="application/octet-stream")


def _named(disposition: str, name: str) -> dict[str, str]:
    """RFC 6266 and 8187: a name in any script."""
    return {**_NEVER_A_PAGE, "content-disposition": f"{disposition}; filename*=UTF-8''{quote(name, safe='', errors='replace')}"}
