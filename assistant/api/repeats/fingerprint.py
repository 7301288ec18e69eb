"""What makes two requests the same: method, path, query, the headers that choose an agent or a session, and the body."""

from hashlib import sha256
from typing import Final

from python_multipart.multipart import parse_options_header
from starlette.types import Scope

from assistant.api.middleware.scope import header

_MARK: Final = b"\r\n--\0"
"""Stands for a form's boundary."""
_CHOOSING: Final = (b"-agent-id", b"-session-key")
"""How headers end that say whose answer is wanted: x-nanobot-agent-id and its aliases."""


class Fingerprint:
    """Takes a body piece by piece, keeping none of it.

    JSON counts as it was sent, byte by byte. A form counts without its boundary, which clients draw anew for each try.
    """

    def __init__(self, scope: Scope) -> None:
        self._digest = sha256()
        content_type = header(scope, b"content-type") or b""
        media_type, options = parse_options_header(content_type) if content_type else (b"", {})
        boundary = options.get(b"boundary", b"") if media_type == b"multipart/form-data" else b""
        self._boundary = b"--" + boundary if boundary else b""
        self._held = b""
        choosing = sorted([(name, value) for name, value in scope["headers"] if name.endswith(_CHOOSING)])
        for field in (scope["method"].encode(), scope["path"].encode(), scope["query_string"], media_type, *sum(choosing, ())):
            self._digest.update(b"%d:" % len(field))
            self._digest.update(field)

    def add(self, piece: bytes) -> None:
        if not self._boundary:
            self._digest.update(piece)
            return
        *whole, rest = (self._held + piece).split(self._boundary)
        for part in whole:
            self._digest.update(part)
            self._digest.update(_MARK)
        safe = max(0, len(rest) - len(self._boundary) + 1)  # what follows may be the beginning of a boundary
        self._digest.update(rest[:safe])
        self._held = rest[safe:]

    def finish(self) -> str:
        """Hexadecimal."""
        self._digest.update(self._held)
        self._held = b""
        return self._digest.hexdigest()
