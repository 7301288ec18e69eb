"""The frames that the server sends: NodeTool's."""

import time
from typing import cast

import orjson

from assistant.api.sockets.codec import Frame
from assistant.contracts.errors import NanobotError
from assistant.contracts.turns import ToolFinished, ToolStarted


def chunk(text: str, *, done: bool = False) -> Frame:
    return {"type": "chunk", "node_id": None, "content_type": "text", "content": text, "content_metadata": {}, "done": done}


def tool_call(event: ToolStarted, thread: str) -> Frame:
    return {"type": "tool_call", "tool_call_id": event.call_id, "name": event.name, "args": _object(event.arguments), "thread_id": thread}


def tool_result(event: ToolFinished, thread: str) -> Frame:
    return {"type": "tool_result", "tool_call_id": event.call_id, "name": event.name, "result": event.text, "thread_id": thread}


def message(text: str, *, thread: str, provider: str | None = None, model: str | None = None, workflow: str | None = None) -> Frame:
    """`provider` and `model` for a model's answer, `workflow` for a workflow's."""
    return {
        "type": "message",
        "role": "assistant",
        "content": text,
        "thread_id": thread,
        "workflow_id": workflow,
        "provider": provider,
        "model": model,
    }


def error(failure: NanobotError) -> Frame:
    """/chat's clients read `message`, those of /predict `error`."""
    return {"type": "error", "message": failure.message, "error": failure.message, "error_type": failure.code}


def stopped() -> Frame:
    return {"type": "generation_stopped", "message": "The generation was stopped."}


def ping() -> Frame:
    return {"type": "ping", "ts": time.time()}


def pong() -> Frame:
    return {"type": "pong", "ts": time.time()}


def _object(arguments: str) -> dict[str, object]:
    """The arguments; none if they are no object: then the call fails, and its result says why."""
    try:
        value: object = orjson.loads(arguments or "{}")
    except ValueError:
        return {}
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
