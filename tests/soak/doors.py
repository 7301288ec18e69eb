"""The doors of the server, each as one request of a soak."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp

from tests.crash.platforms import DISCORD_CHATS, TELEGRAM_CHATS, Platforms
from tests.flow.socket_client import talking

BEARER: Final = "soak-" * 6
SAME_SESSIONS: Final = 300
_WORKFLOW: Final = """\
inputs:
  message: {}
nodes:
  said: {kind: prompt, prompt: "ECHO {{ inputs.message }}"}
outputs:
  reply: "{{ said.output }}"
"""
_UNANSWERED: Final = 40
"""Messages of a platform that may wait for their answers before another is written."""


class DoorFailed(Exception):
    """A door gave another answer than it should."""


@dataclass(slots=True, kw_only=True)
class Load:
    """What the doors work with. `tag` makes the sessions of a run its own."""

    url: str
    http: aiohttp.ClientSession
    platforms: Platforms
    tag: str = field(default_factory=lambda: uuid4().hex[:8])
    numbers: "count[int]" = field(default_factory=lambda: count(1))
    written: dict[str, int] = field(default_factory=lambda: {"telegram": 0, "discord": 0})

    def same(self) -> str:
        return f"{self.tag}-{next(self.numbers) % SAME_SESSIONS}"

    async def post(self, path: str, body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> bytes:
        data = body if isinstance(body, bytes | aiohttp.FormData) else json.dumps(body).encode()
        kind = {} if isinstance(body, aiohttp.FormData) else {"Content-Type": "application/json"}
        async with self.http.post(f"{self.url}{path}", data=data, headers={**kind, **(headers or {})}) as response:
            answer = await response.read()
            if response.status != status:
                raise DoorFailed(f"{path}: {response.status} {answer[:200].decode(errors='replace')}")
            return answer


def configuration(platforms: Platforms, home: Path) -> dict[str, object]:
    """Every door open; the workflow is written into the workspace."""
    folder = home / "workspace" / "workflows"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "echo.yaml").write_text(_WORKFLOW, encoding="utf-8")
    config = platforms.configuration()
    channels = config["channels"]
    assert isinstance(channels, dict)
    channels["webhook"] = {"enabled": True, "hooks": {"ci": {"bearer": BEARER}}}
    models = {"tuned": {"provider": "custom", "model": "fake-model"}}
    limits = {"deliver": {"rateLimits": False, "receiptWait": 0.5}}
    return {**config, **limits, "models": models, "channels": channels}


def _said(text: str, session: str, **fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], "session_id": session, **fields}


async def _chat(load: Load) -> None:
    await load.post("/v1/chat/completions", _said(f"hello {next(load.numbers)}", load.same()))


async def _chat_new(load: Load) -> None:
    await load.post("/v1/chat/completions", _said("hello", f"{load.tag}-new-{next(load.numbers)}"))


async def _stream(load: Load) -> None:
    answer = await load.post("/v1/chat/completions", _said("hello", load.same(), stream=True))
    if not answer.rstrip().endswith(b"[DONE]"):
        raise DoorFailed(f"a stream without its end: {answer[-200:].decode(errors='replace')}")


async def _cut(load: Load) -> None:
    async with load.http.post(f"{load.url}/v1/chat/completions", json=_said("hello", load.same(), stream=True)) as response:
        await response.content.readany()
        response.close()


async def _registered(load: Load) -> None:
    await load.post("/v1/chat/completions", {"model": "tuned", "messages": [{"role": "user", "content": "hello"}]})


async def _history(load: Load) -> None:
    earlier = [{"role": role, "content": f"line {line}"} for line in range(4) for role in ("user", "assistant")]
    await load.post("/v1/chat/completions", {"model": "agent:main", "messages": [*earlier, {"role": "user", "content": "and?"}]})


async def _responses(load: Load) -> None:
    await load.post("/v1/responses", {"model": "agent:main", "input": f"hello {next(load.numbers)}"})


async def _delivery(load: Load) -> None:
    number = next(load.numbers)
    chat = load.platforms.telegram_chats[number % TELEGRAM_CHATS]
    body = {"channel": "telegram", "chat_id": chat, "text": f"delivery {load.tag}-{number}"}
    for _ in range(2):
        await load.post("/v1/deliveries", body, status=202, headers={"Idempotency-Key": f"{load.tag}-{number}"})


async def _bad(load: Load) -> None:
    await load.post("/v1/chat/completions", b'{"messages": [{"role": "user", ', status=400)


async def _message(load: Load) -> None:
    number = next(load.numbers)
    call = {"content": f"from a turn {load.tag}-{number}", "channel": "telegram", "chat_id": load.platforms.telegram_chats[0]}
    await load.post("/v1/chat/completions", _said(f"CALLTOOL message {json.dumps(call)}", load.same()))


async def _hook(load: Load) -> None:
    body = {"text": "a build ended", "thread_id": f"t{next(load.numbers) % 50}", "external_id": f"{load.tag}-{next(load.numbers)}"}
    await load.post("/hooks/ci", body, status=202, headers={"Authorization": f"Bearer {BEARER}"})


async def _socket(load: Load) -> None:
    async with talking(urlsplit(load.url).port or 0, binary=bool(next(load.numbers) % 2)) as talk:
        await talk.ask("hello", thread_id=load.same())


async def _upload(load: Load) -> None:
    number = next(load.numbers)
    form = aiohttp.FormData()
    form.add_field("message", "read this")
    form.add_field("session_id", load.same())
    if number % 2:
        rows = "\n".join(f"{row},item {row} of {number},{row * 7}" for row in range(300))
        form.add_field("files", rows.encode(), filename=f"list-{number}.csv", content_type="text/csv")
    else:
        page = "".join(f"<h2>{line}</h2><p>{'word ' * 20}{number}</p>" for line in range(60))
        form.add_field("files", page.encode(), filename=f"page-{number}.html", content_type="text/html")
    await load.post("/v1/chat/completions", form)


async def _files(load: Load) -> None:
    number = next(load.numbers)
    form = aiohttp.FormData()
    form.add_field("purpose", "user_data")
    text = "line of a file\n" * 200
    form.add_field("file", f"{text}{number}".encode(), filename=f"kept-{number}.txt", content_type="text/plain")
    file = json.loads(await load.post("/v1/files", form))["id"]
    async with load.http.get(f"{load.url}/v1/files/{file}/content") as response:
        await response.read()
    async with load.http.delete(f"{load.url}/v1/files/{file}") as response:
        if response.status != 200:
            raise DoorFailed(f"DELETE /v1/files: {response.status}")


async def _workflow(load: Load) -> None:
    await load.post("/workflows/echo/run", {"message": "hello"})


async def _deletion(load: Load) -> None:
    session = f"{load.tag}-gone-{next(load.numbers)}"
    await load.post("/v1/chat/completions", _said("hello", session))
    async with load.http.delete(f"{load.url}/v1/sessions/{session}") as response:
        if response.status not in (200, 204):
            raise DoorFailed(f"DELETE /v1/sessions: {response.status}")


async def _telegram(load: Load) -> None:
    if load.written["telegram"] - _answered(load, "telegram") < _UNANSWERED:
        load.written["telegram"] += 1
        load.platforms.say("telegram", next(load.numbers) % TELEGRAM_CHATS, f"ECHO telegram {load.written['telegram']}")


async def _discord(load: Load) -> None:
    if load.written["discord"] - _answered(load, "discord") < _UNANSWERED:
        load.written["discord"] += 1
        load.platforms.say("discord", next(load.numbers) % DISCORD_CHATS, f"ECHO discord {load.written['discord']}")


def _answered(load: Load, channel: str) -> int:
    """Messages that the platform has got: at least its share of the answers, and perhaps what other doors sent."""
    if channel == "telegram":
        return len(load.platforms.telegram.ledger)
    return load.platforms.discord.do(lambda discord: len(discord.world.ledger))


Door = Callable[[Load], Awaitable[None]]
DOORS: Final[dict[str, tuple[Door, int]]] = {
    "chat": (_chat, 67),
    "chat-new": (_chat_new, 37),
    "stream": (_stream, 54),
    "cut": (_cut, 12),
    "registered": (_registered, 20),
    "history": (_history, 15),
    "responses": (_responses, 19),
    "delivery": (_delivery, 19),
    "bad": (_bad, 12),
    "message": (_message, 26),
    "hook": (_hook, 12),
    "socket": (_socket, 11),
    "telegram": (_telegram, 20),
    "discord": (_discord, 12),
    "upload": (_upload, 7),
    "files": (_files, 7),
    "workflow": (_workflow, 5),
    "deletion": (_deletion, 10),
}
"""Each door and its share of a mixed load, as in the first long trial."""
