"""Messages made of parts. Immutable: a session only gains messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from assistant.contracts.documents import MediaType

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
FinishReason = Literal["stop", "length", "content_filter", "tool_calls"]
CutOff = Literal["interrupted", "failed", "cancelled", "timeout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Text as sent: any Unicode but lone surrogates."""

    text: str
    quoted: bool = False
    """The sender passed it on (a quote, a forwarded message, a webhook's text): material, not the sender's own wish."""
    chosen: bool = False
    """The text of a button that the sender pressed: their wish, not their words. It names no one the assistant may write to."""
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture, decoded, upright, without metadata, scaled down. Its bytes are stored by `attachment_id`, of a picture in a document by that
    document's id and the picture's number: "att_1/3". `name` is for display only."""

    attachment_id: str
    name: str
    media_type: MediaType
    width: int
    """Pixels, as sent to the model."""
    height: int
    size: int
    """Bytes, as received."""
    original: str
    """The received picture in words: "PNG, 4032×3024"."""
    kind: Literal["image"] = "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file whose text, or the beginning of it, is part of the message. All of it is stored by `attachment_id`; `name` is for display only."""

    attachment_id: str
    name: str
    format: str
    """"pdf", "docx", "xlsx", "pptx", "text", "html" …: what the bytes are, whatever the name says."""
    size: int
    """Bytes, as received."""
    facts: tuple[str, ...] = ()
    """Counts in words: ("12 pages",), ("3 sheets", "1,204 rows")."""
    text: str = ""
    """Markdown: what the model reads. Fixed when the message is accepted, so that the prompt stays the same from turn to turn."""
    missing: str = ""
    """What is missing here and how to get it, for the model; empty: `text` is all."""
    kind: Literal["document"] = "document"


Part = Text | Image | Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, as counted by the provider (by characters / 4 where it counts none)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Of `prompt_tokens`, those that the provider read from its cache."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The model's call of a tool. `arguments` is the model's own text: JSON if all went well."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage:
    id: str
    parts: tuple[Part, ...]
    role: Literal["user"] = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantMessage:
    id: str
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    """The model that answered, as its provider calls it."""
    cut_off: CutOff | None = None
    """Why the answer is incomplete; None: it is whole."""
    role: Literal["assistant"] = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolMessage:
    id: str
    call_id: str
    name: str
    text: str
    ok: bool = True
    role: Literal["tool"] = "tool"


Message = UserMessage | AssistantMessage | ToolMessage
Images = Mapping[str, bytes]
"""The bytes of the images of a request, by `Image.attachment_id`."""


def describe(part: Image | Document) -> str:
    """One line that names an attachment: "report.pdf (pdf, 12 pages, 48.2 kB)"."""
    facts = (part.original,) if isinstance(part, Image) else (part.format, *part.facts)
    return f"{part.name} ({', '.join([*facts, human_size(part.size)])})"


def human_size(size: int) -> str:
    """Bytes in words: "812 bytes", "48.2 kB", "3.1 MB" (powers of ten)."""
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.1f} kB" if size < 999_950 else f"{size / 1_000_000:.1f} MB"
