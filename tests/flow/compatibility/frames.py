"""The frames of NodeTool's sockets: which fields each has, of which types."""

from .conversation import Frame

_TEXT, _MAY = (str,), (str, type(None))
_JOB = {"job_id": _TEXT, "workflow_id": _TEXT}
SHAPES: dict[str, dict[str, tuple[type, ...]]] = {
    "chunk": {"node_id": _MAY, "content_type": _TEXT, "content": _TEXT, "content_metadata": (dict,), "done": (bool,)},
    "tool_call": {"tool_call_id": _TEXT, "name": _TEXT, "args": (dict,), "thread_id": _TEXT},
    "tool_result": {"tool_call_id": _TEXT, "name": _TEXT, "result": (object,), "thread_id": _TEXT},
    "message": {"role": _TEXT, "content": _TEXT, "thread_id": _TEXT, "workflow_id": _MAY, "provider": _MAY, "model": _MAY},
    "error": {"message": _TEXT, "error": _TEXT, "error_type": _TEXT},
    "generation_stopped": {"message": _TEXT},
    "ping": {"ts": (int, float)},
    "pong": {"ts": (int, float)},
    "job_update": {**_JOB, "status": _TEXT, "message": _TEXT, "result": (dict, type(None)), "error": _MAY, "traceback": (type(None),)},
    "node_update": {
        **_JOB, "node_id": _TEXT, "node_name": _TEXT, "status": _TEXT, "error": _MAY, "logs": (type(None),), "result": (dict, type(None)),
        "properties": (type(None),),
    },
    "output_update": {
        **_JOB, "node_id": _TEXT, "node_name": _TEXT, "output_name": _TEXT, "value": (object,), "output_type": _TEXT, "metadata": (dict,),
    },
}  # fmt: skip


def check_frame(frame: Frame) -> None:
    """Fails with what does not fit; a field that is not listed does not."""
    assert "type" in frame, f"a direct reply is no part of a chat: {frame}"
    shape = SHAPES[frame["type"]]
    assert set(frame) == {"type", *shape}, f"{frame['type']}: {set(frame) ^ {'type', *shape}}"
    for name, kinds in shape.items():
        assert isinstance(frame[name], kinds), f"{frame['type']}.{name}: {frame[name]!r}"
