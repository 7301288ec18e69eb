"""Both directions of a socket: what a client sends, with its files in the spool, and the frames that it gets (NodeTool's)."""

import asyncio
import time
from typing import Annotated, Any, Final, Literal, cast

import orjson
from pydantic import Discriminator, Field, Tag

from assistant.api.answers import own_of_waiting
from assistant.api.body.spool import Spool
from assistant.api.chat.read import check_said, take_in_part
from assistant.api.chat.wire import FileData, FilePart, ImagePart, ImageUrl, TextPart, WireModel, content_tag, part_tag
from assistant.api.sockets.codec import Frame
from assistant.contracts.errors import InvalidRequest, NanobotError
from assistant.contracts.turns import ToolFinished, ToolStarted, Upload, UserText
from assistant.contracts.util import display_name

MAX_TOOLS: Final = 64
MAX_MANIFEST_BYTES: Final = 256 * 1024
_MOST_PARTS: Final = 256
_TOOL_NAME: Final = r"^[a-zA-Z0-9_-]{1,64}$"


class SocketImage(WireModel):
    """NodeTool's form of an image."""

    uri: str | None = None
    """A data URL."""
    data: bytes | str | None = None
    """The bytes, or their base64."""


class SocketImagePart(WireModel):
    type: Literal["image_url", "image"]
    image_url: ImageUrl | None = None
    image: SocketImage | None = None


class SocketFile(WireModel):
    file_data: bytes | str | None = None
    """The bytes, their base64, or a data URL."""
    filename: str | None = None
    file_id: str | None = None


class SocketFilePart(WireModel):
    type: Literal["file"]
    file: SocketFile


def _socket_part_tag(part: object) -> str | None:
    return "#image_url" if (tag := part_tag(part)) == "#image" else tag


SocketPart = Annotated[
    Annotated[TextPart, Tag("#text")] | Annotated[SocketImagePart, Tag("#image_url")] | Annotated[SocketFilePart, Tag("#file")],
    Discriminator(_socket_part_tag),
]
SocketContent = Annotated[
    Annotated[str, Tag("#text")] | Annotated[list[SocketPart], Field(max_length=_MOST_PARTS), Tag("#parts")], Discriminator(content_tag)
]


class ClientMessage(WireModel):
    """A message of the user."""

    role: Literal["user"] = "user"
    content: SocketContent
    model: str | None = None
    provider: str | None = None
    """Ignored: the model's id implies it."""
    thread_id: str | None = None
    workflow_id: str | None = None
    """The workflow that answers."""
    params: dict[str, Any] | None = None
    """Inputs of the workflow, in addition to the content."""
    tools: Annotated[list[str], Field(max_length=1024)] | None = None
    """The names of our tools that the agent may use; None: all."""


class ManifestTool(WireModel):
    name: str = Field(pattern=_TOOL_NAME)
    description: str = Field(default="", max_length=4096)
    parameters: dict[str, Any] | None = None
    """A JSON Schema of an object; None: no parameters."""


class Manifest(WireModel):
    """The tools that the client runs; it replaces the manifest before."""

    tools: list[ManifestTool] = Field(max_length=MAX_TOOLS)


class ClientToolResult(WireModel):
    tool_call_id: str
    result: Any = None
    ok: bool = True
    error: str | None = None


async def take_in(content: SocketContent, spool: Spool) -> tuple[UserText | Upload, ...]:
    """The parts in order, files in the spool. Raises InvalidRequest and its kin, each with the part's path."""
    parts = [TextPart(type="text", text=content)] if isinstance(content, str) else content
    taken = tuple([await _part(part, f"content.{index}", index, spool) for index, part in enumerate(parts)])
    check_said(taken, "content")
    return taken


async def _part(part: SocketPart, at: str, index: int, spool: Spool) -> UserText | Upload:
    name = f"image-{index + 1}"
    match part:
        case TextPart():
            plain = part
        case SocketFilePart(file=SocketFile(file_data=bytes(data), filename=given)):
            return await asyncio.to_thread(_keep, data, display_name(given or "", f"file-{index + 1}"), f"{at}.file.file_data", spool)
        case SocketFilePart():
            plain = FilePart.model_validate(part.model_dump())
        case SocketImagePart(image_url=ImageUrl() as url):
            plain = ImagePart(type="image_url", image_url=url)
        case SocketImagePart(image=SocketImage(data=bytes(data))):
            return await asyncio.to_thread(_keep, data, name, f"{at}.image.data", spool)
        case SocketImagePart(image=SocketImage(data=str(data))):
            plain = FilePart(type="file", file=FileData(file_data=data, filename=name))
        case SocketImagePart(image=SocketImage(uri=uri)):
            plain = ImagePart(type="image_url", image_url=ImageUrl(url=uri or ""))
        case _:
            raise InvalidRequest(f"'{at}' holds no image.", param=at)
    return await take_in_part(plain, at, index, spool)


def _keep(data: bytes, name: str, param: str, spool: Spool) -> Upload:
    """Blocks."""
    file = spool.open(name, param)
    file.write(data)
    return file.finish()


def chunk(text: str, *, done: bool = False) -> Frame:
    return {"type": "chunk", "node_id": None, "content_type": "text", "content": text, "content_metadata": {}, "done": done}


def tool_call(event: ToolStarted, thread: str) -> Frame:
    return {"type": "tool_call", "tool_call_id": event.call_id, "name": event.name, "args": _object(event.arguments), "thread_id": thread}


def tool_result(event: ToolFinished, thread: str) -> Frame:
    """A call that waits for a person's yes is in the frame's `nanobot`: as in that of `message`, but at once."""
    told = {"tool_call_id": event.call_id, "name": event.name, "result": event.text, "thread_id": thread}
    return {**_own(own_of_waiting(event.pending) if event.pending else b""), "type": "tool_result", **told}


def message(
    text: str,
    *,
    thread: str,
    provider: str | None = None,
    model: str | None = None,
    workflow: str | None = None,
    own: bytes = b"",
) -> Frame:
    """`provider` and `model` for a model's answer, `workflow` for a workflow's. `own`: `answers.own_answer`, in the frame's `nanobot`."""
    return {
        **_own(own),
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


def beat(kind: Literal["ping", "pong"]) -> Frame:
    return {"type": kind, "ts": time.time()}


def _own(own: bytes) -> Frame:
    return {"nanobot": orjson.loads(own)} if own else {}


def _object(arguments: str) -> dict[str, object]:
    """The arguments; none if they are no object: then the call fails, and its result says why."""
    try:
        value: object = orjson.loads(arguments or "{}")
    except ValueError:
        return {}
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
