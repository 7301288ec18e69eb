"""What went over a connection, read from its bytes: requests with their answers, and the frames of a socket."""

import json
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from http.client import HTTPResponse
from io import BytesIO
from typing import Any, cast

import ormsgpack

Frame = dict[str, Any]
_TEXT, _BINARY = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    method: str
    target: str
    """With its query."""
    request: Message
    sent: bytes
    status: int
    answer: Message
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def kind(self) -> str:
        """Of the answer: `application/json`."""
        return self.answer.get_content_type()

    @property
    def asked(self) -> Any:
        """The JSON of the request."""
        return json.loads(self.sent)

    @property
    def events(self) -> list[str]:
        """The data of the answer's server-sent events."""
        return [line.removeprefix("data: ") for line in self.body.decode().splitlines() if line.startswith("data: ")]


class _Heard(BytesIO):
    """The bytes of a connection in the place of its socket: each answer is read where the one before it ended."""

    def makefile(self, mode: str) -> "_Heard":
        return self

    def close(self) -> None:
        """The next answer is still to be read."""


def exchanges(said: bytes, heard: bytes) -> tuple[list[Exchange], list[Frame]]:
    """The requests with their answers, and the server's frames where a socket was opened behind them."""
    answers, found = _Heard(heard), list[Exchange]()
    while said:
        first, _, said = said.partition(b"\r\n")
        head, _, said = said.partition(b"\r\n\r\n")
        request = BytesHeaderParser().parsebytes(head)
        assert request["transfer-encoding"] is None, "no client here sends chunks"
        size = int(request["content-length"] or 0)
        method, target, _ = first.decode("ascii").split(" ")
        response = HTTPResponse(cast(Any, answers), method=method)
        response.begin()
        exchange = Exchange(
            method=method,
            target=target,
            request=request,
            sent=said[:size],
            status=response.status,
            answer=response.msg,
            body=response.read(),
        )
        said = said[size:]
        found.append(exchange)
        if exchange.status == 101:
            return found, _frames(answers.read())
    assert not answers.read(), "the server said more than it was asked for"
    return found, []


def _frames(data: bytes) -> list[Frame]:
    """What a server's messages hold (RFC 6455, 5.2: not masked); each is whole in one frame."""
    found: list[Frame] = []
    at = 0
    while at < len(data):
        assert data[at] & 0x80, "a message in pieces"
        opcode, size = data[at] & 0x0F, data[at + 1]
        at += 2
        if size > 125:
            wide = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + wide]), at + wide
        payload, at = data[at : at + size], at + size
        if opcode in (_TEXT, _BINARY):
            found.append(json.loads(payload) if opcode == _TEXT else ormsgpack.unpackb(payload))
    return found
