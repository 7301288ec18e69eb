"""A session in the words of Anthropic's wire: two sides in turn, each message a list of blocks."""

import base64
from collections.abc import Sequence
from itertools import groupby
from typing import Any, cast

import orjson

from assistant.contracts.messages import Images, Message, ToolCall, UserMessage
from assistant.providers.rendering import assistant_text, image_text, is_shown, part_text

_CACHE_MARK = b',"cache_control":{"type":"ephemeral"}}'


def encode(message: Message, images: Images, *, vision: bool) -> bytes:
    """The blocks of a message as JSON, joined by commas."""
    if message.role == "user":
        return _user_blocks(message, images, vision)
    if message.role == "tool":
        result = {"type": "tool_result", "tool_use_id": message.call_id, "content": message.text}
        return _joined([result if message.ok else {**result, "is_error": True}])
    return _joined([_text(assistant_text(message)), *map(_tool_use, message.tool_calls)])


def _user_blocks(message: UserMessage, images: Images, vision: bool) -> bytes:
    """Each picture is named first."""
    blocks: list[dict[str, Any]] = []
    for part in message.parts:
        if part.kind != "image":
            blocks.append(_text(part_text(part)))
            continue
        shown = is_shown(part, images, vision=vision)
        blocks.append(_text(image_text(part, shown=shown, vision=vision)))
        if shown:
            data = base64.b64encode(images[part.attachment_id]).decode("ascii")
            blocks.append({"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": data}})
    return _joined(blocks)


def side_by_side(messages: Sequence[Message], encoded: Sequence[bytes]) -> list[dict[str, Any]]:
    """The messages of one side in a row as one; a tool's result is the user's side. The last block is marked for the cache."""
    turns: list[dict[str, Any]] = []
    marked = [*encoded[:-1], *(blocks[:-1] + _CACHE_MARK for blocks in encoded[-1:])]
    sides = ["assistant" if message.role == "assistant" else "user" for message in messages]
    for side, group in groupby(zip(sides, marked, strict=True), key=lambda pair: pair[0]):
        turns.append({"role": side, "content": orjson.Fragment(b"[" + b",".join([blocks for _, blocks in group]) + b"]")})
    return turns


def _joined(blocks: Sequence[dict[str, Any]]) -> bytes:
    """Blocks without words are refused by the wire and say nothing: they are left out."""
    kept = [block for block in blocks if block.get("text", "-").strip()]
    return b",".join(map(orjson.dumps, kept or [_text("[No words.]")]))


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call.arguments)}


def _input(arguments: str) -> dict[str, Any]:
    """The arguments as the object that the wire demands; text that is none is shown as it was."""
    try:
        value: object = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        value = None
    return cast(dict[str, Any], value) if isinstance(value, dict) else {"not_json": arguments}
