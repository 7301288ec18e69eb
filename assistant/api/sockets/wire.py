"""What a client sends over a WebSocket, checked, with its files in the spool."""

import asyncio
from typing import Annotated, Any, Final, Literal, cast

from pydantic import Discriminator, Field, Tag

from assistant.api.body.spool import Spool
from assistant.api.chat.read import take_in_part
from assistant.api.chat.wire import HASH, FileData, FilePart, ImagePart, ImageUrl, TextPart, WireModel
from assistant.api.settings import ApiLimits
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.turns import Upload, UserText
from assistant.contracts.util import display_name

MAX_TOOLS: Final = 64
MAX_MANIFEST_BYTES: Final = 256 * 1024
_MOST_PARTS: Final = 256
_TOOL_NAME: Final = r"^[a-zA-Z0-9_-]{1,64}$"


class SocketImageUrl(WireModel):
    url: str
    """A data URL."""


class SocketImage(WireModel):
    """NodeTool's own form of an image."""

    uri: str | None = None
    """A data URL."""
    data: bytes | str | None = None
    """The bytes, or their base64."""


class SocketImagePart(WireModel):
    type: Literal["image_url", "image"]
    image_url: SocketImageUrl | None = None
    image: SocketImage | None = None


class SocketFile(WireModel):
    file_data: bytes | str | None = None
    """The bytes, their base64, or a data URL."""
    filename: str | None = None
    file_id: str | None = None


class SocketFilePart(WireModel):
    type: Literal["file"]
    file: SocketFile


def _part_tag(part: object) -> str | None:
    kind = cast("dict[str, object]", part).get("type") if isinstance(part, dict) else getattr(part, "type", None)
    return HASH + ("image_url" if kind == "image" else kind) if isinstance(kind, str) else None


def _content_tag(content: object) -> str:
    return "#parts" if isinstance(content, list | tuple) else "#text"


SocketPart = Annotated[
    Annotated[TextPart, Tag("#text")] | Annotated[SocketImagePart, Tag("#image_url")] | Annotated[SocketFilePart, Tag("#file")],
    Discriminator(_part_tag),
]
SocketContent = Annotated[
    Annotated[str, Tag("#text")] | Annotated[list[SocketPart], Field(max_length=_MOST_PARTS), Tag("#parts")], Discriminator(_content_tag)
]


class ClientMessage(WireModel):
    """A message of the user's."""

    role: Literal["user"] = "user"
    content: SocketContent
    model: str | None = None
    provider: str | None = None
    """Not looked at: the model's id says whose it is."""
    thread_id: str | None = None
    workflow_id: str | None = None
    """The workflow that answers."""
    params: dict[str, Any] | None = None
    """Inputs of the workflow, beside what the content says."""
    tools: Annotated[list[str], Field(max_length=1024)] | None = None
    """The names of our tools that may be used; None: all."""


class ManifestTool(WireModel):
    name: str = Field(pattern=_TOOL_NAME)
    description: str = Field(default="", max_length=4096)
    parameters: dict[str, Any] | None = None
    """A JSON Schema of an object; None: there are none."""


class Manifest(WireModel):
    """The tools that the client runs, from now on and in place of those it named before."""

    tools: list[ManifestTool] = Field(max_length=MAX_TOOLS)


class ClientToolResult(WireModel):
    tool_call_id: str
    result: Any = None
    ok: bool = True
    error: str | None = None


async def take_in(content: SocketContent, spool: Spool, limits: ApiLimits) -> tuple[UserText | Upload, ...]:
    """Words as they are, files onto the disk, in order. Raises InvalidRequest and its kin, each with the part's path."""
    parts = [TextPart(type="text", text=content)] if isinstance(content, str) else content
    taken = tuple([await _part(part, f"content.{index}", index, spool, limits) for index, part in enumerate(parts)])
    if not any(isinstance(part, Upload) or part.text.strip() for part in taken):
        raise InvalidRequest("The message is empty: it needs text or a file.", param="content")
    return taken


async def _part(part: SocketPart, at: str, index: int, spool: Spool, limits: ApiLimits) -> UserText | Upload:
    if isinstance(part, TextPart):
        return await take_in_part(part, at, index, spool, limits)
    if isinstance(part, SocketFilePart):
        if isinstance(part.file.file_data, bytes):
            name = display_name(part.file.filename or "", f"file-{index + 1}")
            return await asyncio.to_thread(_keep, part.file.file_data, name, f"{at}.file.file_data", spool)
        return await take_in_part(_file(part.file), at, index, spool, limits)
    if part.image_url is not None:
        return await take_in_part(ImagePart(type="image_url", image_url=ImageUrl(url=part.image_url.url)), at, index, spool, limits)
    if part.image is None:
        raise InvalidRequest(f"'{at}' holds no image.", param=at)
    return await _image(part.image, at, index, spool, limits)


def _file(file: SocketFile) -> FilePart:
    data = file.file_data if isinstance(file.file_data, str) else None
    return FilePart(type="file", file=FileData(file_data=data, filename=file.filename, file_id=file.file_id))


async def _image(image: SocketImage, at: str, index: int, spool: Spool, limits: ApiLimits) -> UserText | Upload:
    if isinstance(image.data, bytes):
        return await asyncio.to_thread(_keep, image.data, f"image-{index + 1}", f"{at}.image.data", spool)
    if image.data is not None:
        file = FileData(file_data=image.data, filename=f"image-{index + 1}")
        return await take_in_part(FilePart(type="file", file=file), at, index, spool, limits)
    return await take_in_part(ImagePart(type="image_url", image_url=ImageUrl(url=image.uri or "")), at, index, spool, limits)


def _keep(data: bytes, name: str, param: str, spool: Spool) -> Upload:
    """Blocks."""
    file = spool.open(name, param)
    file.write(data)
    return file.finish()
