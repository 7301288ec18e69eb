"""What clients send over /chat. Fields that are not here are ignored."""

from typing import Annotated, Any, Final, Literal, cast

from pydantic import Discriminator, Field, Tag

from assistant.api.chat.wire import HASH, TextPart, Wire

MAX_TOOLS: Final = 64
MAX_MANIFEST_BYTES: Final = 256 * 1024
_MOST_PARTS: Final = 256
_TOOL_NAME: Final = r"^[a-zA-Z0-9_-]{1,64}$"


class SocketImageUrl(Wire):
    url: str
    """A data URL."""


class SocketImage(Wire):
    """NodeTool's own form of an image."""

    uri: str | None = None
    """A data URL."""
    data: bytes | str | None = None
    """The bytes, or their base64."""


class SocketImagePart(Wire):
    type: Literal["image_url", "image"]
    image_url: SocketImageUrl | None = None
    image: SocketImage | None = None


class SocketFile(Wire):
    file_data: bytes | str | None = None
    """The bytes, their base64, or a data URL."""
    filename: str | None = None
    file_id: str | None = None


class SocketFilePart(Wire):
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


class ClientMessage(Wire):
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


class ManifestTool(Wire):
    name: str = Field(pattern=_TOOL_NAME)
    description: str = Field(default="", max_length=4096)
    parameters: dict[str, Any] | None = None
    """A JSON Schema of an object; None: there are none."""


class Manifest(Wire):
    """The tools that the client runs, from now on and in place of those it named before."""

    tools: list[ManifestTool] = Field(max_length=MAX_TOOLS)


class ClientToolResult(Wire):
    tool_call_id: str
    result: Any = None
    ok: bool = True
    error: str | None = None
