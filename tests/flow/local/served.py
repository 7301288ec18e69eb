"""A live server with local models, and its worker processes."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import openai

import assistant
from tests.doubles.live_server import LiveServer, live_server, offline

STAND_IN = Path(__file__).parents[2] / "doubles" / "llama"
"""A folder with a stand-in for llama-cpp-python, to be put on PYTHONPATH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    server: LiveServer
    http: httpx2.AsyncClient
    client: openai.AsyncOpenAI

    async def chat(self, model: str, text: str, **fields: object) -> httpx2.Response:
        messages = [{"role": "user", "content": text}]
        return await self.http.post("/v1/chat/completions", json={"model": model, "messages": messages, **fields})

    def workers(self) -> list[int]:
        """Ids of the server's running child processes."""
        return children(self.server.process.pid)


def children(parent: int) -> list[int]:
    return sorted(int(status.parent.name) for status in Path("/proc").glob("[0-9]*/status") if _parent(status) == parent)


def is_there(pid: int) -> bool:
    """Whether it runs or is stopped; False for a zombie."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until_gone(*pids: int) -> None:
    async with asyncio.timeout(20):
        while any(map(is_there, pids)):  # noqa: ASYNC110 - there is no event for the end of another process's child
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving_files(folder: Path, models: Mapping[str, Mapping[str, object]], *, stand_in: bool) -> AsyncGenerator[Served]:
    """`folder`: that of the configuration. `stand_in`: replace llama-cpp-python."""
    imports = [str(Path(assistant.__file__).parents[1])]
    env = {"PYTHONPATH": os.pathsep.join([str(STAND_IN), *imports] if stand_in else imports)}
    with live_server(folder, config={**offline(), "shutdown": {"grace": 1}, "models": models}, env=env, forked=False) as server:
        async with (
            httpx2.AsyncClient(base_url=server.url, timeout=60) as http,
            openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60) as client,
        ):
            yield Served(server=server, http=http, client=client)


def _parent(status: Path) -> int:
    try:
        lines = status.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended meanwhile
    return next(int(line.split()[1]) for line in lines if line.startswith("PPid:"))
