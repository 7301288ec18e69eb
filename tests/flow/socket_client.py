"""A client of /chat, in both kinds of frames."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import ormsgpack
from websockets.asyncio.client import ClientConnection, connect

Frame = dict[str, Any]


@dataclass
class Talk:
    """A socket, and what is said over it."""

    socket: ClientConnection
    binary: bool

    async def say(self, frame: Frame) -> None:
        await self.socket.send(ormsgpack.packb(frame) if self.binary else json.dumps(frame))

    async def hear(self) -> Frame:
        """The next frame, but for pings."""
        async with asyncio.timeout(20):
            while True:
                data = await self.socket.recv()
                frame = ormsgpack.unpackb(data) if isinstance(data, bytes) else json.loads(data)
                if frame.get("type") != "ping":
                    assert isinstance(data, bytes) == self.binary, "the answer is of the other kind"
                    return frame

    async def until(self, kind: str) -> list[Frame]:
        """The frames up to the first of this type, that one included."""
        frames = [await self.hear()]
        while frames[-1].get("type") != kind:
            frames.append(await self.hear())
        return frames

    async def ask(self, content: object, **fields: object) -> list[Frame]:
        """Ask, and hear the whole answer."""
        await self.say({"role": "user", "content": content, **fields})
        return await self.until("message")

    async def refused(self, frame: Frame) -> Frame:
        """Say something that is wrong; the error frame."""
        await self.say(frame)
        error = await self.hear()
        assert error["type"] == "error"
        assert error["message"] == error["error"]
        return error


@asynccontextmanager
async def talking(port: int, *, binary: bool = True, path: str = "/chat", **options: Any) -> AsyncGenerator[Talk]:
    options = {"max_size": None, "open_timeout": 30, "close_timeout": 10, "ping_interval": None, **options}
    async with connect(f"ws://127.0.0.1:{port}{path}", proxy=None, **options) as socket:
        yield Talk(socket, binary)


def words(frames: list[Frame]) -> str:
    return "".join(frame["content"] for frame in frames if frame["type"] == "chunk")


def types(frames: list[Frame]) -> list[str]:
    """In order; neighbours that are the same counted once."""
    kinds = [frame["type"] for frame in frames]
    return [kind for index, kind in enumerate(kinds) if index == 0 or kinds[index - 1] != kind]
