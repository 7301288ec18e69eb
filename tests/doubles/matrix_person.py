"""A person in an encrypted room, by matrix-nio's own client, as a process: its store would be ours in the same one (peewee's models are bound to one
database). Reads JSON lines: {"say": content}, {"hear": true}; answers each with a line.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.doubles.synapse import Account


class Person:
    """The process, as tests use it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ready(self) -> None:
        await self._answer()

    async def say(self, content: dict[str, Any]) -> None:
        self._ask({"say": content})
        await self._answer()

    async def hear(self) -> dict[str, Any]:
        """The content of the next message of another that can be decrypted."""
        self._ask({"hear": True})
        return await self._answer()

    def _ask(self, what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")

    async def _answer(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(40):
            return json.loads(await self._process.stdout.readline())


@asynccontextmanager
async def person_in(room: str, account: Account, folder: Path) -> AsyncGenerator[Person]:
    command = [sys.executable, "-m", __name__, account.home.url, account.user_id, account.device_id, account.token, room, str(folder)]
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    person = Person(process)
    try:
        await person.ready()
        yield person
    finally:
        process.kill()
        await process.wait()


async def _live(url: str, user: str, device: str, token: str, room: str, folder: str) -> None:
    nio: Any = import_module("nio")
    client = nio.AsyncClient(url, user, store_path=folder, config=nio.AsyncClientConfig(encryption_enabled=True))
    client.restore_login(user, device, token)
    await client.sync(timeout=0, full_state=True)
    await client.keys_upload()
    print("true", flush=True)
    heard: list[Any] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        if "say" in asked:
            await client.room_send(room, "m.room.message", asked["say"], ignore_unverified_devices=True)
            print("true", flush=True)
            continue
        while not heard:
            answer = await client.sync(timeout=3000)
            if client.should_query_keys:
                await client.keys_query()
            news = answer.rooms.join.get(room)
            heard += [event for event in news.timeline.events if event.sender != user and hasattr(event, "body")] if news else []
        print(json.dumps(heard.pop(0).source["content"]), flush=True)


if __name__ == "__main__":
    asyncio.run(_live(*sys.argv[1:]))
