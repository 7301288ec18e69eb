"""Messages made of parts. Immutable: a session only gains messages."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Final, Literal, NoReturn

from pydantic import GetPydanticSchema
from pydantic_core.core_schema import dict_schema, no_info_after_validator_function

from assistant.contracts.documents import DocumentPicture, MediaType
from assistant.contracts.effects import Effect, PendingApproval
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
FinishReason = Literal["stop", "length", "content_filter", "tool_calls"]


class _NoExtras(dict[str, Json]):
    """A dict, so that orjson and pydantic write it as fast as any other, which takes no entry."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("The empty extras are shared by all messages: make a dict of your own.")

    __setitem__ = __ior__ = setdefault = update = _refuse  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]


NO_EXTRAS: Final[Mapping[str, Json]] = _NoExtras()
"""The empty ones that all messages share: an empty dict for each would be 64 bytes."""


def no_extras() -> Mapping[str, Json]:
    return NO_EXTRAS


Extras = Annotated[
    Mapping[str, Json],
    GetPydanticSchema(lambda _source, _handler: no_info_after_validator_function(lambda given: given or NO_EXTRAS, dict_schema())),
]
"""Fields that are kept as they came, and never looked into."""
CutOff = Literal["interrupted", "failed", "cancelled", "timeout"]


@record
class Text:
    """Text as sent: any Unicode but lone surrogates."""

    text: str
    quoted: bool = False
    """The sender passed it on (a quote, a forwarded message, a webhook's text): material, not the sender's own wish."""
    chosen: bool = False
    """The text of a button that the sender pressed: their wish, not their words. It names no one the assistant may write to."""
    recalled: bool = False
    """What memory found for the message, always `quoted`: no part of what the sender said."""
    author: str = ""
    """In a group, who wrote it: "telegram:42"; empty: the person whose session it is."""
    provenance: Provenance | None = None
    """Where it came from, if not from its author; None: theirs, or a stranger's where it is `quoted`."""
    heard: str = ""
    """The attachment of the recording in which it was heard: the author's own words, which may be misheard. Of a `quoted` one: the recording of which
    it says why nothing was heard. Empty: it was written."""
    kind: Literal["text"] = "text"


@record
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
    """Bytes, as received; 0: not known."""
    original: str
    """The received picture in words: "PNG, 4032×3024"."""
    bare: bool = False
    """Sent as received, without the line that names it."""
    detail: str = ""
    """OpenAI's word for how closely the model looks; empty: left to it."""
    missing: str = ""
    """What a model that does not see it is told, such as why its words were not read."""
    kind: Literal["image"] = "image"


@record
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


@record
class Verbatim(Text):
    """A client's part for a registered model, in the words of OpenAI's chat completions: `value` goes there as it is; never stored.

    `text`: its words; empty where it is no text. `{"type": "tokens", "tokens": […]}` is the whole prompt of a completion.
    """

    value: Extras


Part = Text | Image | Document


@record
class Usage:
    """Tokens, as counted by the provider (by characters / 4 where it counts none)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Of `prompt_tokens`, those that the provider read from its cache."""
    reasoning_tokens: int = 0
    """Of `completion_tokens`, those of thoughts; 0 too where the provider does not say."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
        )

    @staticmethod
    def total(usages: Sequence["Usage"]) -> "Usage":
        """Their sum; what one alone says."""
        return usages[0] if len(usages) == 1 else sum(usages, Usage())


@record
class BilledUsage(Usage):
    """Of a provider that tells what it bills."""

    billed: int
    """Nanodollars."""


@record
class ToolCall:
    """The model's call of a tool. `arguments` is the model's own text: JSON if all went well."""

    id: str
    name: str
    arguments: str
    extras: Extras = field(default_factory=no_extras)
    """The provider's own fields of a call, by the wire's names (Gemini's `extra_content`); they go back to it alone, unchanged."""


@record
class UserMessage:
    id: str
    parts: tuple[Part, ...]
    extras: Extras = field(default_factory=no_extras)
    """A client's further fields for a registered model: `name` …"""
    role: Literal["user"] = "user"


@record
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
    reasoning: str = ""
    """Thoughts in words. They are no part of what was said: chats never show them, API clients get them as `reasoning_content`."""
    provider: str = ""
    """The provider that answered, by its name in the configuration: whose `extras` these are, and those of the calls."""
    extras: Extras = field(default_factory=no_extras)
    """What that provider wants back with this step, unchanged, by the wire's names: `reasoning_details`, `reasoning_content`, thinking blocks."""
    role: Literal["assistant"] = "assistant"


@record
class ToolMessage:
    id: str
    call_id: str
    name: str
    text: str
    ok: bool = True
    from_client: bool = False
    """Whether a tool of the client made it: the words are the client's."""
    effects: tuple[Effect, ...] = ()
    """What the call changed, as its tool reported; no provider sees it."""
    images: tuple[Image, ...] = ()
    """Pictures that belong to it: a model that takes pictures sees them behind the results of the step."""
    provenance: Provenance | None = None
    """Whose words it holds; None: not known (of a client's tool, or stored before that was noted)."""
    pending: PendingApproval | None = None
    """What the call waits for; it has not run."""
    role: Literal["tool"] = "tool"


Message = UserMessage | AssistantMessage | ToolMessage
Images = Mapping[str, bytes]
"""The bytes of the images of a request, by `Image.attachment_id`."""


def describe(part: Image | Document) -> str:
    """One line that names an attachment: "report.pdf (pdf, 12 pages, 48.2 kB)"."""
    facts = (part.original,) if isinstance(part, Image) else (part.format, *part.facts)
    return f"{part.name} ({', '.join([*facts, *([human_size(part.size)] if part.size else [])])})"


def picture_id(document: str, picture: DocumentPicture) -> str:
    """What the bytes of a document's picture are known by. `document`: its attachment's id; its digest where it is not stored."""
    return f"{document}/{picture.number}"


def picture_part(name: str, identity: str, picture: DocumentPicture) -> Image:
    """`name`: the document's."""
    about = f", {picture.label}" if picture.label else ""
    return Image(
        attachment_id=identity,
        name=f"{name}: picture {picture.number}{about}",
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        size=len(picture.data),
        original=f"{picture.width}×{picture.height}",
    )


def human_size(size: int) -> str:
    """Bytes in words: "812 bytes", "48.2 kB", "3.1 MB" (powers of ten)."""
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.1f} kB" if size < 999_950 else f"{size / 1_000_000:.1f} MB"
