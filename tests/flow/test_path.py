"""The law of the path: how many of our files and functions one request enters, so that a newcomer can read them in an afternoon."""

import asyncio
import inspect
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import httpx2
import orjson

from assistant.api.server.serve import serve
from assistant.app.runtime import open_runtime
from assistant.config import load_config
from assistant.store.database import Database
from assistant.store.media import MediaFolder
from tests.doubles.live_server import with_model
from tests.doubles.model_server import ModelServer
from tests.doubles.telegram_api.server import TelegramServer
from tools.message import MessageTool

ROOT = Path(__file__).parents[2]
OURS = tuple(str(ROOT / folder) + "/" for folder in ("assistant", "channels", "tools"))

_NO_FUNCTIONS = frozenset({"<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>", "<module>"})
_MAY_SUSPEND = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR

BESIDE = frozenset({Database._write_soon.__code__})  # pyright: ignore[reportPrivateUsage] - a timer's: before or behind the answer
POST_FILES = 54
POST_FUNCTIONS = 202
MESSAGE_FILES = 40


class Trace:
    """The functions of ours that any thread calls, in order; a coroutine that resumes is not called again. Threads must start within."""

    def __init__(self) -> None:
        self.entered: list[CodeType] = []
        self.left: dict[CodeType, int] = {}
        """For each function, how many had been entered when it was left last."""
        self._suspended: set[FrameType] = set()

    def __enter__(self) -> "Trace":
        threading.setprofile(self._on_event)
        sys.setprofile(self._on_event)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)  # pyright: ignore[reportArgumentType] - typeshed lacks the None that the documentation names

    def clear(self) -> None:
        """Forget the start and the first request: what is measured is warm."""
        self.entered.clear()
        self.left.clear()

    def _on_event(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if not code.co_filename.startswith(OURS) or code.co_name in _NO_FUNCTIONS or code in BESIDE:
            return
        if event == "return":
            self.left[code] = len(self.entered)
            if code.co_flags & _MAY_SUSPEND:
                self._suspended.add(frame)
        elif event == "call" and frame not in self._suspended:
            self.entered.append(code)

    def within(self, function: Callable[..., Any]) -> list[CodeType]:
        """What was entered from the first call of this function to its last return."""
        code = function.__code__
        return self.entered[self.entered.index(code) : self.left[code]]


def files_of(entered: list[CodeType]) -> list[str]:
    return list(dict.fromkeys(code.co_filename.removeprefix(f"{ROOT}/") for code in entered))


def functions_of(entered: list[CodeType]) -> list[str]:
    found = [f"{code.co_filename.removeprefix(f'{ROOT}/')}:{code.co_firstlineno} {code.co_qualname}" for code in entered]
    return list(dict.fromkeys(found))


def listed(entered: list[CodeType]) -> str:
    """For the failure: every function, by file, in the order in which they were entered."""
    files, functions = files_of(entered), functions_of(entered)
    by_file = [
        f"{file}\n" + "\n".join(f"    {each.partition(':')[2]}" for each in functions if each.startswith(f"{file}:")) for file in files
    ]
    return f"{len(files)} files, {len(functions)} functions\n" + "\n".join(by_file)


@asynccontextmanager
async def running(folder: Path, config: dict[str, object]) -> AsyncGenerator[httpx2.AsyncClient]:
    """The whole server in this process, behind a real socket."""
    file = folder / "config.json"
    file.write_bytes(orjson.dumps(config))
    loaded = load_config(file, {"NANOBOT_HOME": str(folder), "HOME": str(folder)}, {"api.port": 0})
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    async with open_runtime(loaded, chat_only=False) as (runtime, app):
        await runtime.start()
        serving = asyncio.create_task(
            serve(app, loaded.config.api, stop=stop, grace=2, on_listening=listening.set_result, finish=lambda: runtime.stop(1))
        )
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{await listening}", timeout=30) as client:
            yield client
        stop.set()
        await serving


async def ask(client: httpx2.AsyncClient, content: str) -> str:
    body = {"messages": [{"role": "user", "content": content}], "session_id": "path"}
    response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    answer: str = response.json()["choices"][0]["message"]["content"]
    return answer


async def warm(client: httpx2.AsyncClient, content: str, trace: Trace, within: Callable[..., Any] | None = None) -> list[CodeType]:
    """What a request enters when it is not the first. Of three, the one with the least, since timers of the server may fire beside one."""
    measured: list[list[CodeType]] = []
    await ask(client, content)
    async with asyncio.timeout(20):
        while MediaFolder.carry.__code__ not in trace.left:  # noqa: ASYNC110 - the last of what is swept behind a start
            await asyncio.sleep(0.01)
    for _ in range(3):
        trace.clear()
        await ask(client, content)
        measured.append(list(trace.entered) if within is None else trace.within(within))
    return min(measured, key=lambda entered: len(set(entered)))


async def test_a_plain_post_enters_few_files_and_functions(tmp_path: Path) -> None:
    async with ModelServer() as model:
        with Trace() as trace:
            async with running(tmp_path, with_model(model.url)) as client:
                entered = await warm(client, "hello", trace)
    assert {"assistant/api/chat/endpoint.py", "assistant/turns/service.py", "assistant/store/sessions.py"} <= {*files_of(entered)}
    assert len(files_of(entered)) <= POST_FILES, listed(entered)
    assert len(functions_of(entered)) <= POST_FUNCTIONS, listed(entered)


async def test_a_message_to_telegram_enters_few_files(tmp_path: Path) -> None:
    message = {"content": "Your *report* is ready.", "channel": "telegram", "chat_id": "123456789"}
    words = "CALLTOOL message " + orjson.dumps(message).decode()
    async with ModelServer() as model, TelegramServer() as telegram:
        channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": ["123456789"]}
        unpaced = {"deliver": {"rateLimits": False}}  # else it waits a second for the chat's turn, and timers of the server fire beside it
        config = {**with_model(model.url), **unpaced, "channels": {"telegram": channel}}
        with Trace() as trace:
            async with running(tmp_path, config) as client:
                entered = await warm(client, words, trace, MessageTool.run)
        assert b"sent (message" in model.bodies[-1]
    assert {"assistant/store/outbox.py", "assistant/delivery/sender.py", "channels/telegram/wire.py"} <= {*files_of(entered)}
    assert len(files_of(entered)) <= MESSAGE_FILES, listed(entered)
