"""The conversation over one socket: frames in, turns, frames out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, cast

from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import Message, Receive, Scope, Send

from assistant.access.principals import Principal
from assistant.api.answers import own_answer
from assistant.api.body.spool import spooled
from assistant.api.complaints import validated
from assistant.api.middleware.request import principal
from assistant.api.server.websockets import LEAVE
from assistant.api.sockets import wire
from assistant.api.sockets.client_tools import ClientCalls, ClientTool, read_manifest
from assistant.api.sockets.codec import Frame, decode, encode
from assistant.api.sockets.jobs import COMMANDS, SocketJobs
from assistant.api.sockets.questions import Question, SocketServices, read_question
from assistant.api.sockets.wire import ClientMessage
from assistant.contracts.access import Admission
from assistant.contracts.access import Scope as AccessScope
from assistant.contracts.errors import InvalidRequest, NanobotError, NotFound, TurnCancelled
from assistant.contracts.turns import (
    MAIN,
    HistoryMessage,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnEvent,
    TurnFailed,
    TurnFinished,
)
from assistant.contracts.util import new_id
from assistant.turns.direct import DirectRequest
from assistant.turns.handle import RunningTurn
from assistant.turns.prompt import estimated_tokens


@dataclass(slots=True, kw_only=True)
class _Answer:
    """The answer that is being sent."""

    admission: Admission
    stop: Callable[[], None]
    turn: RunningTurn | None
    """None: a job answers, which needs no listener."""
    ends_with_client: bool
    stopped: bool = False
    """Whether the client stopped it, and gets `generation_stopped`."""


class SocketConversation:
    """The state of one socket. Frames are handled one after another, while a turn's answer is sent.

    A wrong frame gets an `error` frame, and nothing else changes. A new message stops the running turn, and nothing more of its answer is sent.
    A turn whose client is gone still counts against the limits, as with an HTTP request.
    """

    __slots__ = (
        "_answer", "_binary", "_calls", "_fixed", "_group", "_jobs", "_leaving", "_pinged", "_pinger", "_send", "_sender", "_services", "_thread",
        "_tools", "_who", "gone",
    )  # fmt: skip

    def __init__(self, services: SocketServices, who: Principal, send: Send, group: asyncio.TaskGroup) -> None:
        """`group`: the socket's tasks; an error in one of them ends the socket."""
        self._services = services
        self._who = who
        self._send = send
        self._group = group
        self.gone = False
        """Whether the client is gone."""
        self._binary = True
        self._fixed: bool | None = None
        """What `set_mode` chose; None: frames are sent in the mode of the client's last one."""
        self._jobs = SocketJobs(services, who, self._say, group)
        self._thread = ""
        """For messages that name none."""
        self._tools: tuple[ClientTool, ...] = ()
        self._calls = ClientCalls()
        self._answer: _Answer | None = None
        self._sender: asyncio.Task[None] | None = None
        """The task that sends the answer."""
        self._leaving = False
        self._pinged: asyncio.Task[None] | None = None
        self._pinger = self._next_ping()

    async def hear(self, message: Message) -> None:
        """Handle a frame."""
        self._binary = message.get("bytes") is not None if self._fixed is None else self._fixed
        try:
            await self._dispatch(_opened(await decode(message)))
        except NanobotError as error:
            await self._say(wire.error(error))

    async def leave(self) -> None:
        """The server shuts down: finish the running answer, then close the socket."""
        self._leaving = True
        if self._answer is None:
            await self._close()

    def end(self) -> None:
        """The client is gone, or is cut off. Its turn still runs, unless configured otherwise, and `group` waits for it."""
        self.gone = True
        self._pinger.cancel()
        self._calls.leave()
        self._jobs.leave()
        if self._answer is None or self._sender is None:
            return
        if self._answer.ends_with_client:
            self._answer.stop()
        elif self._answer.turn is None:
            self._sender.cancel()

    async def _dispatch(self, frame: Frame) -> None:
        match frame.get("type", "message"):
            case "message":
                await self._ask(frame)
            case "stop":
                await self._stop()
            case "ping":
                await self._say(wire.beat("pong"))
            case "pong":
                pass
            case "client_tools_manifest":
                taken = self._services.chat.turns.facts(MAIN).tools
                self._tools = read_manifest(frame, self._calls, taken=taken, timeout=self._services.settings.sockets.tool_seconds)
            case "tool_result":
                self._calls.settle(frame)
            case "set_mode":
                await self._set_mode(frame.get("mode"))
            case str(name) if name in COMMANDS:
                await self._jobs.command(name, frame)
            case str() if "command" in frame:
                await self._say({"error": "Unknown command"})
            case str(other):
                raise InvalidRequest(f"There is no frame of the type '{other[:64]}' here.", param="type")
            case _:
                raise InvalidRequest("'type' must be a string.", param="type")

    async def _ask(self, frame: Frame) -> None:
        message = validated(ClientMessage, frame)
        self._thread = self._thread or new_id("thread")
        thread = message.thread_id or self._thread
        if message.workflow_id:
            await self._run_workflow(message, thread)
            return
        self._who.require("chat")  # /predict opens for keys that lack it
        services = self._services
        async with spooled(services.spool_folder, services.settings.limits) as spool:
            question = await read_question(message, services, self._who, thread, self._tools, spool)
            await self._silence()
            admission = await services.authenticator.admit(self._who)
            try:
                sampling = question.turn.ask.sampling if isinstance(question.turn, DirectRequest) else question.turn.sampling
                await admission.reserve(estimated_tokens([HistoryMessage(content=question.content)], (), sampling))
                turn = services.chat.start(question.turn, admission)
            except BaseException:  # a bug, too, would otherwise count as a running request for an hour
                await admission.end()
                raise
            spool.hand_over()
        # A registered model's answer is stored nowhere: without its client it has no reader.
        ends = isinstance(question.turn, DirectRequest) or services.settings.on_disconnect == "cancel"
        answer = self._answer = _Answer(admission=admission, stop=turn.cancel, turn=turn, ends_with_client=ends)
        self._sender = self._group.create_task(self._answer_with(answer, _turn_frames(turn, question, answer)))

    async def _run_workflow(self, message: ClientMessage, thread: str) -> None:
        await self._silence()
        admission = await self._services.authenticator.admit(self._who)
        try:
            job = await self._jobs.start(message)
        except BaseException:  # as above
            await admission.end()
            raise

        def stop() -> None:
            self._group.create_task(self._jobs.cancel(job))

        answer = self._answer = _Answer(admission=admission, stop=stop, turn=None, ends_with_client=False)
        self._sender = self._group.create_task(self._answer_with(answer, self._jobs.frames(job, thread)))

    async def _stop(self) -> None:
        if self._answer is None:
            await self._say(wire.stopped())
        else:
            self._answer.stopped = True
            self._answer.stop()

    async def _silence(self) -> None:
        """Stop the running answer; nothing more of it is sent."""
        answer, sender = self._answer, self._sender
        if answer is None or sender is None:
            return
        answer.stop()
        sender.cancel()
        await asyncio.wait([sender])
        self._answer = None
        await answer.admission.end()  # the task may not have started
        if answer.stopped:
            await self._say(wire.stopped())

    async def _answer_with(self, answer: _Answer, frames: AsyncIterator[list[Frame]]) -> None:
        try:
            async for batch in frames:
                for frame in batch:
                    await self._say(frame)
        except NanobotError as error:
            if not answer.stopped:
                await self._say(wire.error(error))
        finally:
            self._answer = None
            if answer.turn is not None:
                answer.admission.broke_off(answer.turn.took)  # does nothing after the turn's end
            await answer.admission.end()
        if answer.stopped:
            await self._say(wire.stopped())
        if self._leaving:
            await self._close()

    async def _set_mode(self, mode: object) -> None:
        if mode not in ("text", "binary"):
            raise InvalidRequest("'mode' must be one of 'text', 'binary'.", param="mode")
        self._fixed = self._binary = mode == "binary"
        await self._say({"message": f"Mode set to {mode}"})

    async def _say(self, frame: Frame) -> None:
        if not self.gone:
            await self._pass_on(encode(frame, binary=self._binary))

    async def _close(self) -> None:
        await self._pass_on({"type": "websocket.close", "code": 1001, "reason": "the server is shutting down"})

    async def _pass_on(self, message: Message) -> None:
        try:
            await self._send(message)
        except ClientDisconnect:
            self.gone = True

    def _next_ping(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._services.settings.sockets.ping_seconds, self._ping)

    def _ping(self) -> None:
        """Pings do not queue up behind a slow reader."""
        self._pinger = self._next_ping()
        if self._pinged is None or self._pinged.done():
            self._pinged = self._group.create_task(self._say(wire.beat("ping")))


def _opened(frame: Frame) -> Frame:
    """The content of an envelope, or the frame itself."""
    if "command" not in frame:
        return frame
    command, data = frame["command"], frame.get("data", {})
    if not isinstance(command, str):
        raise InvalidRequest("'command' must be a string.", param="command")
    if not isinstance(data, dict):
        raise InvalidRequest("'data' must be an object.", param="data")
    return {**cast("Frame", data), "type": "message" if command == "chat_message" else command, "command": command}


async def _turn_frames(turn: RunningTurn, question: Question, answer: _Answer) -> AsyncIterator[list[Frame]]:
    async for batch in turn.events():
        if isinstance(batch[-1], TurnFinished | TurnFailed):
            await answer.admission.end()  # before the last word: a client that has read it may send the next message at once
        yield _frames(batch, question, stopped=answer.stopped)


def _frames(batch: list[TurnEvent], question: Question, *, stopped: bool) -> list[Frame]:
    """Consecutive words are one chunk."""
    frames: list[Frame] = []
    words: list[str] = []
    for event in batch:
        if isinstance(event, TextDelta):
            words.append(event.text)
            continue
        if isinstance(event, ReasoningDelta):
            continue  # this protocol has no frame for thoughts
        if words:
            frames.append(wire.chunk("".join(words)))
            words.clear()
        frames += _about(event, question, stopped=stopped)
    return [*frames, wire.chunk("".join(words))] if words else frames


def _about(event: ToolStarted | ToolFinished | TurnFinished | TurnFailed, question: Question, *, stopped: bool) -> list[Frame]:
    thread = question.thread
    match event:
        case ToolStarted():
            return [wire.tool_call(event, thread)]
        case ToolFinished():
            return [wire.tool_result(event, thread)]
        case TurnFinished():
            provider = question.provider
            return [
                wire.chunk("", done=True),
                wire.message(event.text, thread=thread, provider=provider, model=event.model, own=own_answer(event)),
            ]
        case TurnFailed(error=TurnCancelled()) if stopped:
            return []  # the client gets `generation_stopped`
        case TurnFailed():
            return [wire.error(event.error)]


_PATHS: Final[dict[str, AccessScope]] = {"/chat": "chat", "/predict": "workflows"}
"""The scope that each needs."""


class SocketRoute(BaseRoute):
    """Every WebSocket: /chat and /predict are conversations in the same frames. Elsewhere the handshake is answered with 404, and with 403 for a
    key without the scope."""

    def __init__(self, services: SocketServices) -> None:
        self.services = services

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if scope["type"] == "websocket" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = _PATHS.get(scope["path"])
        if needed is None:
            raise NotFound("There is no WebSocket at this path: /chat and /predict are.")
        who = principal(scope)
        who.require(needed)
        await converse(self.services, who, receive, send)


async def converse(services: SocketServices, who: Principal, receive: Receive, send: Send) -> None:
    """One socket, from its handshake to its end, and to the end of a turn that it leaves. Raises ClientDisconnect, or what ended it."""
    await receive()
    await send({"type": "websocket.accept"})
    try:
        async with asyncio.TaskGroup() as group:
            conversation = SocketConversation(services, who, send, group)
            try:
                while not conversation.gone and (message := await receive())["type"] != "websocket.disconnect":
                    if message["type"] == LEAVE:
                        await conversation.leave()
                    else:
                        await conversation.hear(message)
            finally:
                conversation.end()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
