"""What is said over one /chat socket: frames in, turns, frames out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import cast

from starlette.requests import ClientDisconnect
from starlette.types import Message, Send

from assistant.access.principals import Principal
from assistant.api.body.spool import Spool
from assistant.api.sockets import answers
from assistant.api.sockets.client_tools import ClientCalls, ClientTool, read_manifest
from assistant.api.sockets.codec import Frame, decode, encode
from assistant.api.sockets.jobs import COMMANDS, SocketJobs
from assistant.api.sockets.questions import Question, SocketServices, read_message, read_question
from assistant.api.sockets.wire import ClientMessage
from assistant.contracts.access import Admission
from assistant.contracts.errors import InvalidRequest, NanobotError, TurnCancelled
from assistant.contracts.turns import MAIN, TextDelta, ToolFinished, ToolStarted, TurnEvent, TurnFailed, TurnFinished
from assistant.contracts.util import new_id
from assistant.turns.handle import RunningTurn

_COMMANDS = {"chat_message": "message"}
"""What envelopes call the types of frames, where that differs."""


@dataclass(slots=True, kw_only=True)
class _Answer:
    """The answer that is being given."""

    admission: Admission
    stop: Callable[[], None]
    turn: RunningTurn | None
    """None: a job gives it, which needs no listener."""
    ends_with_client: bool
    stopped: bool = False
    """Whether the client asked for its end, and is to be told of it."""


class SocketConversation:
    """The state of one socket. Frames are taken one after another; a turn's answer goes out beside that.

    A frame that is wrong gets an `error` frame and costs nothing else. A new message stops the turn that runs, which is not heard of any more.
    A turn whose client is gone keeps its place among those that may run, and its tokens count, as with an HTTP request.
    """

    __slots__ = (
        "_answer", "_binary", "_calls", "_door", "_fixed", "_group", "_jobs", "_leaving", "_pinged", "_pinger", "_said", "_send", "_thread",
        "_tools", "_who", "gone",
    )  # fmt: skip

    def __init__(self, door: SocketServices, who: Principal, send: Send, group: asyncio.TaskGroup) -> None:
        """`group`: of the socket's own tasks; what goes wrong in one of them ends the socket."""
        self._door = door
        self._who = who
        self._send = send
        self._group = group
        self.gone = False
        """Whether there is nobody to tell anything any more."""
        self._binary = True
        self._fixed: bool | None = None
        """What `set_mode` chose, in place of the kind of the last frame."""
        self._jobs = SocketJobs(door, who, self._say, group)
        self._thread = ""
        """Of messages that name none: made for the first of them."""
        self._tools: tuple[ClientTool, ...] = ()
        self._calls = ClientCalls()
        self._answer: _Answer | None = None
        self._said: asyncio.Task[None] | None = None
        """What passes the answer on."""
        self._leaving = False
        self._pinged: asyncio.Task[None] | None = None
        self._pinger = self._next_ping()

    async def hear(self, message: Message) -> None:
        """Take a frame."""
        self._binary = message.get("bytes") is not None if self._fixed is None else self._fixed
        try:
            await self._dispatch(_opened(await decode(message)))
        except NanobotError as error:
            await self._say(answers.error(error))

    async def leave(self) -> None:
        """The server is about to end: what runs is still said, then the socket is closed."""
        self._leaving = True
        if self._answer is None:
            await self._close()

    def end(self) -> None:
        """The client is gone, or must go. Its turn goes on, unless the configuration says otherwise, and `group` waits for it."""
        self.gone = True
        self._pinger.cancel()
        self._calls.leave()
        self._jobs.leave()
        if self._answer is None or self._said is None:
            return
        if self._answer.ends_with_client:
            self._answer.stop()
        elif self._answer.turn is None:
            self._said.cancel()

    async def _dispatch(self, frame: Frame) -> None:
        match frame.get("type", "message"):
            case "message":
                await self._ask(frame)
            case "stop":
                await self._stop()
            case "ping":
                await self._say(answers.pong())
            case "pong":
                pass
            case "client_tools_manifest":
                taken = self._door.turns.facts(MAIN).tools
                self._tools = read_manifest(frame, self._calls, taken=taken, timeout=self._door.settings.sockets.tool_seconds)
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
        message = read_message(frame)
        self._thread = self._thread or new_id("thread")
        thread = message.thread_id or self._thread
        if message.workflow_id:
            await self._run_workflow(message, thread)
            return
        self._who.require("chat")  # /predict opens for keys that lack it
        door = self._door
        spool = Spool(door.spool_folder, door.settings.limits)
        try:
            question = await read_question(message, door, self._who, thread, self._tools, spool)
            await self._silence()
            admission = await door.keeper.admit(self._who)
            try:
                await admission.reserve(question.tokens)
                turn = question.start(door, admission)
            except BaseException:  # a fault of ours, too, would keep the place for an hour
                await admission.end()
                raise
            spool.hand_over()
        finally:
            if spool.holds_files:
                await asyncio.to_thread(spool.remove)
        ends = question.ends_with_client or door.settings.on_disconnect == "cancel"
        answer = self._answer = _Answer(admission=admission, stop=turn.cancel, turn=turn, ends_with_client=ends)
        self._said = self._group.create_task(self._tell(answer, _heard(turn, question, answer)))

    async def _run_workflow(self, message: ClientMessage, thread: str) -> None:
        await self._silence()
        admission = await self._door.keeper.admit(self._who)
        try:
            job = await self._jobs.start(message)
        except BaseException:  # as above
            await admission.end()
            raise

        def stop() -> None:
            self._group.create_task(self._jobs.cancel(job))

        answer = self._answer = _Answer(admission=admission, stop=stop, turn=None, ends_with_client=False)
        self._said = self._group.create_task(self._tell(answer, self._jobs.heard(job, thread)))

    async def _stop(self) -> None:
        if self._answer is None:
            await self._say(answers.stopped())
        else:
            self._answer.stopped = True
            self._answer.stop()

    async def _silence(self) -> None:
        """The turn that runs is stopped, and nothing is said of it any more."""
        answer, said = self._answer, self._said
        if answer is None or said is None:
            return
        answer.stop()
        said.cancel()
        await asyncio.wait([said])
        self._answer = None
        await answer.admission.end()  # a task that never began has not
        if answer.stopped:
            await self._say(answers.stopped())

    async def _tell(self, answer: _Answer, heard: AsyncIterator[list[Frame]]) -> None:
        """Pass on what is heard, to its end."""
        try:
            async for frames in heard:
                for frame in frames:
                    await self._say(frame)
        except NanobotError as error:
            if not answer.stopped:
                await self._say(answers.error(error))
        finally:
            self._answer = None
            if answer.turn is not None:
                answer.admission.broke_off(answer.turn.took)  # does nothing where the turn had its end
            await answer.admission.end()
        if answer.stopped:
            await self._say(answers.stopped())
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
        return asyncio.get_running_loop().call_later(self._door.settings.sockets.ping_seconds, self._ping)

    def _ping(self) -> None:
        """Behind a reader who is slow, pings don't queue up."""
        self._pinger = self._next_ping()
        if self._pinged is None or self._pinged.done():
            self._pinged = self._group.create_task(self._say(answers.ping()))


def _opened(frame: Frame) -> Frame:
    """What is in an envelope, or the frame itself."""
    if "command" not in frame:
        return frame
    command, data = frame["command"], frame.get("data", {})
    if not isinstance(command, str):
        raise InvalidRequest("'command' must be a string.", param="command")
    if not isinstance(data, dict):
        raise InvalidRequest("'data' must be an object.", param="data")
    return {**cast("Frame", data), "type": _COMMANDS.get(command, command), "command": command}


async def _heard(turn: RunningTurn, question: Question, answer: _Answer) -> AsyncIterator[list[Frame]]:
    async for batch in turn.events():
        if isinstance(batch[-1], TurnFinished | TurnFailed):
            await answer.admission.end()  # before the last word: whoever hears it may ask again at once
        yield _frames(batch, question, stopped=answer.stopped)


def _frames(batch: list[TurnEvent], question: Question, *, stopped: bool) -> list[Frame]:
    """Words that were said in one go are one chunk."""
    frames: list[Frame] = []
    words: list[str] = []
    for event in batch:
        if isinstance(event, TextDelta):
            words.append(event.text)
            continue
        if words:
            frames.append(answers.chunk("".join(words)))
            words.clear()
        frames += _about(event, question, stopped=stopped)
    return [*frames, answers.chunk("".join(words))] if words else frames


def _about(event: ToolStarted | ToolFinished | TurnFinished | TurnFailed, question: Question, *, stopped: bool) -> list[Frame]:
    thread = question.thread
    match event:
        case ToolStarted():
            return [answers.tool_call(event, thread)]
        case ToolFinished():
            return [answers.tool_result(event, thread)]
        case TurnFinished():
            provider = question.provider
            return [answers.chunk("", done=True), answers.message(event.text, thread=thread, provider=provider, model=event.model)]
        case TurnFailed(error=TurnCancelled()) if stopped:
            return []  # the client is told that what it asked for was done
        case TurnFailed():
            return [answers.error(event.error)]
