"""A multipart body: fields, and files into the spool."""

import asyncio
import re

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from assistant.api.body.naming import holds_files, may_hold_files, read_disposition
from assistant.api.body.spool import Spool, SpooledFile
from assistant.api.middleware.request import announced_length
from assistant.api.settings import MIB
from assistant.contracts.errors import InvalidRequest, RequestTooLarge
from assistant.contracts.messages import human_size
from assistant.contracts.records import record
from assistant.contracts.turns import Upload
from assistant.contracts.util import display_name

_ROOM_FOR_FIELDS = MIB
_MAX_PARTS = 200
_MOST_PREAMBLE = 64 * 1024
_LINE_END = re.compile(rb"[ \t]*\r|--")
"""What may stand behind a boundary. (The boundary is looked for without `re`, which would compile, and remember, one pattern for each form.)"""


@record
class MultipartForm:
    """`fields`: by name, each sent once. `files`: in the order of the form."""

    fields: dict[str, str]
    files: tuple[Upload, ...]


async def read_form(
    scope: Scope, receive: Receive, content_type: bytes, spool: Spool, *, named: frozenset[str] | None = None
) -> MultipartForm:
    """`named`: fields that hold a file besides `files`; the `param` of such an upload is the field's name. None: any that says it does (`image`).

    Raises RequestTooLarge and FileTooLarge (as soon as a limit is exceeded), InvalidRequest, RequestTimeout, ClientDisconnect. Files received
    until then stay in `spool`.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise InvalidRequest("The multipart body's Content-Type lacks its boundary.")
    limit = spool.limits.request_bytes + _ROOM_FOR_FIELDS
    too_large = RequestTooLarge(f"The request is larger than {human_size(spool.limits.request_bytes)}.")
    if (announced_length(scope) or 0) > limit:
        raise too_large
    reader = _FormReader(boundary, spool, named)
    received = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        if piece := message.get("body", b""):
            received += len(piece)
            if received > limit:
                raise too_large
            await asyncio.to_thread(reader.feed, piece)
    return reader.finish()


class _FormReader:
    """The state of parsing between two pieces of a form."""

    def __init__(self, boundary: bytes, spool: Spool, named: frozenset[str] | None) -> None:
        self._spool = spool
        self._any_name = named is None
        self._named = named or frozenset[str]()
        self._delimiter = b"\n--" + boundary
        self._before: bytearray | None = bytearray(b"\n")
        """What came before the first boundary, behind a line feed; None: that has come."""
        self._fields: dict[str, bytearray] = {}
        self._files: list[Upload] = []
        self._parts = 0
        self._room = _ROOM_FOR_FIELDS
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._file: SpooledFile | None = None
        self._nameless = False
        self._field = bytearray()
        self._complete = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError:
            raise InvalidRequest("The multipart body's boundary is too long.") from None

    def feed(self, piece: bytes) -> None:
        """Blocks: it writes files. What comes before the first boundary is ignored (RFC 2046, 5.1.1)."""
        if self._before is not None:
            unfinished = self._before.rfind(b"\n")  # the lines above it have been searched
            self._before += piece
            first = self._find_first(self._before, unfinished)
            if first < 0:
                if len(self._before) > _MOST_PREAMBLE:
                    raise InvalidRequest("The body is not valid multipart/form-data: it does not begin with its boundary.")
                return
            piece, self._before = bytes(self._before[first + 1 :]), None
        try:
            self._parser.write(piece)
        except FormParserError:
            raise InvalidRequest("The body is not valid multipart/form-data.") from None

    def _find_first(self, body: bytearray, start: int) -> int:
        """Where the line feed before the first boundary's line is, at `start` or behind it; -1 where it has not come."""
        at = body.find(self._delimiter, start)
        while at >= 0 and not _LINE_END.match(body, at + len(self._delimiter)):
            at = body.find(self._delimiter, at + 1)
        return at

    def finish(self) -> MultipartForm:
        if not self._complete:
            raise InvalidRequest("The multipart body ends before its last boundary.")
        fields: dict[str, str] = {}
        for name, value in self._fields.items():
            try:
                fields[name] = value.decode()
            except UnicodeDecodeError:
                raise InvalidRequest(f"'{name}' is not valid UTF-8.", param=name) from None
        return MultipartForm(fields=fields, files=tuple(self._files))

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise InvalidRequest(f"A form may have {_MAX_PARTS} parts at most.")
        self._disposition = b""
        self._file = None

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        named = read_disposition(self._disposition)
        if named is None:
            raise InvalidRequest("Each part of the form needs a Content-Disposition with a name.")
        name, filename = named
        if filename is not None:
            self._begin_file(name, filename)
        elif holds_files(name) or name in self._named:
            raise InvalidRequest(f"'{name}' must be a file: its part needs a filename.", param=name)
        elif name in self._fields:
            raise InvalidRequest(f"'{name}' was sent twice.", param=name)
        else:
            self._field = self._fields[name] = bytearray()

    def _begin_file(self, name: str, filename: str) -> None:
        if name not in self._named and not holds_files(name) and not (self._any_name and may_hold_files(name)):
            raise InvalidRequest(f"A file was sent as '{name}': send files as 'files'.", param=name)
        self._nameless = not filename
        param = name if name in self._named else f"files.{len(self._files)}"
        self._file = self._spool.open(display_name(filename, f"file-{len(self._files) + 1}"), param)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])
            return
        self._room -= end - start
        if self._room < 0:
            raise RequestTooLarge(f"The form's fields are larger than {human_size(_ROOM_FOR_FIELDS)} together.")
        self._field += data[start:end]

    def _on_part_end(self) -> None:
        if self._file is None:
            return
        if self._nameless and self._file.size == 0:  # a browser's empty file input
            self._file.discard()
        else:
            self._files.append(self._file.finish())
        self._file = None

    def _on_end(self) -> None:
        self._complete = True
