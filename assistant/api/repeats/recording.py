"""An answer while it is being made, for all who wait for it."""

import asyncio
from typing import Final

from starlette.types import Message, Send

from assistant.contracts.errors import NanobotError
from assistant.contracts.repeats import Answer, AnswerNotKept

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a body that is kept."""
REPLAYED: Final = (b"idempotency-replayed", b"true")
_OF_ONE_SENDING: Final = frozenset(
    {b"connection", b"date", b"openai-processing-ms", b"retry-after", b"retry-after-ms", b"transfer-encoding", b"x-request-id"}
)
_OF_ONE_SENDER: Final = (b"x-ratelimit-", b"access-control-")

Head = tuple[int, tuple[tuple[bytes, bytes], ...]]


class Recording:
    """The answer to the first request under a key: written by one, read by any number, each from the beginning and as it comes."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.decided = asyncio.Event()
        """Set when it is sure that the key stands for this request."""
        self.listeners = 0
        self.failure: type[NanobotError] | None = None
        """What whoever waits is told in place of the answer."""
        self._head: Head | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._change = asyncio.Event()

    @property
    def answer(self) -> Answer | None:
        """The whole answer; None: it is not whole, or more than is kept."""
        if self._head is None or not self._ended or self.failure is not None:
            return None
        status, headers = self._head
        return Answer(status=status, headers=headers, body=b"".join(self._pieces))

    @property
    def worth_keeping(self) -> bool:
        """Not what refuses the request or failed before it acted: a repeat is to try again."""
        return self._head is not None and (self._head[0] < 400 or (b"x-should-retry", b"false") in self._head[1])

    def take(self, message: Message) -> None:
        """Note what is sent to the first one."""
        if message["type"] == "http.response.start":
            headers = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
            self._head = message["status"], tuple([each for each in headers if _is_kept(each[0])])
        elif self.failure is None:
            self._pieces.append(message.get("body", b""))
            self._size += len(self._pieces[-1])
            if self._size > MOST_BYTES:
                self.fail(AnswerNotKept)
        self._ended = self._ended or (message["type"] == "http.response.body" and not message.get("more_body", False))
        self._tell()

    def load(self, answer: Answer) -> None:
        """The answer is known from elsewhere."""
        self._head, self._pieces = (answer.status, answer.headers), [answer.body]
        self._ended = True
        self._tell()

    def fail(self, error: type[NanobotError]) -> None:
        """There will be no whole answer here. Whoever has begun to read one is cut off."""
        self.failure = error
        self._pieces.clear()
        self._tell()

    async def ended(self) -> None:
        while not self._ended and self.failure is None:
            await self._change.wait()

    async def play(self, send: Send) -> None:
        """Send the answer as it comes. Raises what there is in place of one, before anything was sent or in the midst of it."""
        self.listeners += 1
        try:
            while self._head is None and self.failure is None:
                await self._change.wait()
            if self.failure is not None or self._head is None:
                raise (self.failure or NanobotError)()
            status, headers = self._head
            await send({"type": "http.response.start", "status": status, "headers": [*headers, REPLAYED]})
            sent, last = 0, False
            while not last:
                while sent == len(self._pieces) and not self._ended and self.failure is None:
                    await self._change.wait()
                if self.failure is not None:
                    raise self.failure()
                body, sent, last = b"".join(self._pieces[sent:]), len(self._pieces), self._ended
                await send({"type": "http.response.body", "body": body, "more_body": not last})
        finally:
            self.listeners -= 1

    def _tell(self) -> None:
        change, self._change = self._change, asyncio.Event()
        change.set()


def _is_kept(name: bytes) -> bool:
    return name not in _OF_ONE_SENDING and not name.startswith(_OF_ONE_SENDER)
