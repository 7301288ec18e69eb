"""A server's connection: opened at its first use by a task of its own, kept while it is used, and opened again when it broke."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeVar, cast

from assistant.contracts.errors import NanobotError, ToolFailed, traceback_location
from assistant.contracts.records import record
from assistant.contracts.sandbox import Sandbox, SandboxCommand
from assistant.contracts.util import backoff
from assistant.store.mcp import RemoteTool

if TYPE_CHECKING:
    from assistant.mcp.grants import Grants
    from assistant.mcp.wire import Connection

T = TypeVar("T")
log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 20.0
"""Until a server must have answered, with its tools listed."""
_GATHER: Final = (0.2, 30.0)
"""Seconds that further notices of a changed list are waited for: at first, and after doubling with each list, at most."""
_STUCK: Final = 2
"""Calls in a row without an answer after which a connection is opened anew."""


@record
class Program:
    """A server that is a program."""

    sandbox: Sandbox
    command: SandboxCommand


@record
class HttpServer:
    """A server at an address."""

    name: str
    url: str
    headers: Mapping[str, str]
    grants: "Grants"


@record
class Listing:
    """What a server offers: its tools, how many more were left out, and "resources" and "prompts" where it has some."""

    tools: tuple[RemoteTool, ...]
    left_out: int
    offers: tuple[str, ...]


class ServerLost(Exception):
    """The connection is of no more use. `ran`: whether the call may have run; `why`: in words for the model."""

    def __init__(self, why: str, *, ran: bool) -> None:
        super().__init__(why)
        self.why = why
        self.ran = ran


class _Life:
    """A connection from its beginning to its end."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self.opened.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may be that no call waits any more
        self.task: asyncio.Task[None] | None = None
        self.woken = asyncio.Event()
        self.changed = self.over = False
        self.calls = 0

    def list_changed(self) -> None:
        self.changed = True
        self.woken.set()

    def end(self) -> None:
        self.over = True
        self.woken.set()


class Link:
    """One server. `target`: what to connect to, asked each time. `seen`: told what the server lists, before any call is made."""

    def __init__(
        self,
        name: str,
        target: Callable[[], Awaitable[Program | HttpServer]],
        seen: Callable[[Listing], Awaitable[None]],
        *,
        idle: float,
    ) -> None:
        self._name = name
        self._target = target
        self._seen = seen
        self._idle = idle
        self._life: _Life | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._stuck = 0
        self._not_before = 0.0
        self.fault = ""
        """Why it could not be connected; empty: it could, or was not tried."""

    def begin(self) -> None:
        """Connect in the background, where it is time to."""
        if self._life is None and self._wait() <= 0:
            self._open()

    def forgive(self) -> None:
        """Try again at once: something was changed that may help."""
        self._not_before = 0.0

    @property
    def resting(self) -> bool:
        """Whether it failed, and is not tried again yet."""
        return self._life is None and self._wait() > 0

    async def connected(self) -> "Connection":
        """Raises ToolFailed with the reason where it can't be connected, or could not a moment ago."""
        return await asyncio.shield((await self._alive()).opened)

    async def call(self, make: "Callable[[Connection], Awaitable[T]]", *, again: bool) -> T:
        """What `make` makes of the connection; once more by a new one where the first broke before the call ran, or where the call may run `again`.
        Raises ToolFailed."""
        for last in (False, True):
            life = await self._alive()
            life.calls += 1
            try:
                result = await make(await asyncio.shield(life.opened))
            except ServerLost as lost:
                self._drop(life)
                if lost.ran and not again:
                    raise ToolFailed(f"{lost.why} It is not known whether the call ran: look before you repeat it.") from None
                if last:
                    raise ToolFailed(lost.why) from None
            except asyncio.CancelledError:
                self._stuck += 1
                if self._stuck >= _STUCK and life.opened.done():
                    self._drop(life)
                raise
            else:
                self._stuck = 0
                return result
            finally:
                life.calls -= 1
        raise AssertionError("the second try returns or raises")

    async def close(self) -> None:
        """End the connection, and the program. Safe to call twice."""
        if self._life is not None:
            if self._life.task is not None and not self._life.opened.done():
                self._life.task.cancel()
            self._drop(self._life)
        if self._tasks:
            _, slow = await asyncio.wait(self._tasks, timeout=4)
            for task in slow:
                task.cancel()
            if slow:
                await asyncio.wait(slow, timeout=1)

    def _wait(self) -> float:
        return self._not_before - asyncio.get_running_loop().time()

    async def _alive(self) -> _Life:
        if self._life is not None:
            return self._life
        if (seconds := self._wait()) > 0:
            raise ToolFailed(f"{self.fault} It is tried again in {seconds:.0f} s; do without it, or say so.")
        return self._open()

    def _open(self) -> _Life:
        self._life = life = _Life()
        life.task = task = asyncio.create_task(self._serve(life), name=f"mcp {self._name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return life

    def _drop(self, life: _Life) -> None:
        life.end()
        if self._life is life:
            self._life = None
        self._stuck = 0

    async def _serve(self, life: _Life) -> None:
        """The task of a connection: what is opened is closed by the same task."""
        try:
            wire = await asyncio.to_thread(import_module, "assistant.mcp.wire")  # its libraries take most of a second
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(CONNECT_SECONDS):
                    connection = await stack.enter_async_context(wire.connect(await self._target(), life.list_changed, life.end))
                    await self._seen(await connection.listing())
                self._failures, self.fault = 0, ""
                life.opened.set_result(connection)
                await self._watch(life, connection)
        except Exception as error:  # noqa: BLE001 - whatever a server does, it ends its own connection only
            self._failed(life, error)
        finally:
            self._drop(life)
            if not life.opened.done():
                life.opened.set_exception(ToolFailed(self.fault or f"The MCP server {self._name} was closed."))

    async def _watch(self, life: _Life, connection: "Connection") -> None:
        gather, longest = _GATHER
        while not life.over:
            try:
                async with asyncio.timeout(self._idle):
                    await life.woken.wait()
            except TimeoutError:
                if not life.calls:
                    return
                continue
            life.woken.clear()
            if life.changed and not life.over:
                await asyncio.sleep(gather)
                gather = min(2 * gather, longest)
                life.changed = False
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._seen(await connection.listing())

    def _failed(self, life: _Life, error: Exception) -> None:
        told = _words(error)
        if told is None:
            log.error("mcp.bug server=%s error=%s", self._name, traceback_location(error))
        if life.opened.done():
            log.warning("mcp.lost server=%s", self._name)
            return
        self._failures += 1
        self._not_before = asyncio.get_running_loop().time() + backoff(self._failures)
        self.fault = f"The MCP server {self._name} can't be used: {told or f'a fault ({type(error).__name__}), the log has it'}."
        log.warning("mcp.not_connected server=%s failures=%d", self._name, self._failures)


def _words(error: BaseException) -> str | None:
    """What went wrong, for people; None: a fault of this program, or one that nothing is known of."""
    if isinstance(error, BaseExceptionGroup):
        inner = cast("tuple[BaseException, ...]", error.exceptions)  # pyright: ignore[reportUnknownMemberType]
        told = [words for each in inner if (words := _words(each))]
        return told[0] if told else None
    if isinstance(error, TimeoutError):
        return f"it did not answer within {CONNECT_SECONDS:g} s"
    if isinstance(error, ServerLost):
        return error.why
    if isinstance(error, ToolFailed):
        told = str(error).rstrip(".")
        return f"it {rest}" if (rest := told.removeprefix("The MCP server ")) != told else told
    if isinstance(error, NanobotError):
        return error.message.rstrip(".")
    if isinstance(error, ImportError):
        return "the package mcp is not installed"
    words = getattr(import_module("assistant.mcp.wire"), "words")  # noqa: B009 - loaded by now, and its types are heavy
    return words(error)
