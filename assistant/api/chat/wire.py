"""What POST /v1/chat/completions takes. Fields that are not here are ignored, as OpenAI's own server ignores them."""

from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, model_validator

from assistant.api.openapi import FILE, Form
from assistant.contracts.models import ReasoningEffort

HASH = "#"
"""Begins the tags of unions, which pydantic puts into an error's path and clients must not see there."""
_MOST = 2_048
"""Messages of a request, and parts of a message: OpenAI's own bound. It also bounds how many faults a validator may find."""


_NOT_OURS: Final = {"not": {"enum": ["function", "allowed_tools"]}}
"""Kinds of tools and of choices that have a form of their own."""


class WireModel(BaseModel):
    """Types are taken as written: "1" is not a number and "yes" not a truth."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class TextPart(WireModel):
    type: Literal["text"]
    text: str


class ImageUrl(WireModel):
    url: str = Field(
        description="A data URL: `data:image/png;base64,…`. Of a registered model also a web address, which its provider fetches."
    )
    detail: str | None = Field(default=None, description="How closely a registered model looks: `low`, `high`, `auto` …")


class ImagePart(WireModel):
    type: Literal["image_url"]
    image_url: ImageUrl


class FileData(WireModel):
    file_data: str | None = Field(default=None, description="The file as a data URL or as plain base64.")
    filename: str | None = Field(default=None, description="What the file is called: for display only.")
    file_id: str | None = Field(default=None, description="Of a file that was uploaded to /v1/files; in place of file_data.")


class FilePart(WireModel):
    type: Literal["file"]
    file: FileData


class AudioData(WireModel):
    data: str | None = Field(default=None, description="The recording as plain base64, or as a data URL.")
    format: str | None = Field(default=None, description="`wav`, `mp3` …: for its name; what it is, its bytes say.")


class AudioPart(WireModel):
    """What the user says. An agent reads the words, where `voice.transcriber` is configured; a registered model gets it as it is."""

    type: Literal["input_audio"]
    input_audio: AudioData = AudioData()


class RefusalPart(WireModel):
    """What an assistant refused before."""

    type: Literal["refusal"]
    refusal: str


_PARTS: Final = ("text", "image_url", "file", "input_audio", "refusal")


class OtherPart(WireModel):
    """Another kind of part (`video_url` …): a registered model gets it as it is, where its provider speaks OpenAI's wire."""

    type: Annotated[str, WithJsonSchema({"type": "string", "not": {"enum": list(_PARTS)}})]


def _chat_part_tag(part: object) -> str | None:
    tag = part_tag(part)
    return tag if tag is None or tag.removeprefix(HASH) in _PARTS else "#other"


def part_tag(part: object) -> str | None:
    kind = cast("dict[str, object]", part).get("type") if isinstance(part, dict) else getattr(part, "type", None)
    return HASH + kind if isinstance(kind, str) else None


def content_tag(content: object) -> str:
    return "#parts" if isinstance(content, list | tuple) else "#text"


ContentPart = Annotated[
    Annotated[TextPart, Tag("#text")]
    | Annotated[ImagePart, Tag("#image_url")]
    | Annotated[FilePart, Tag("#file")]
    | Annotated[AudioPart, Tag("#input_audio")]
    | Annotated[RefusalPart, Tag("#refusal")]
    | Annotated[OtherPart, Tag("#other")],
    Discriminator(_chat_part_tag),
]
Content = Annotated[
    Annotated[str, Tag("#text")] | Annotated[list[ContentPart], Field(max_length=_MOST), Tag("#parts")], Discriminator(content_tag)
]


class CalledFunction(WireModel):
    name: str = Field(min_length=1, max_length=128)
    arguments: str


class WireToolCall(WireModel):
    id: str = Field(min_length=1, max_length=256)
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(WireModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content | None = None
    tool_calls: list[WireToolCall] | None = Field(default=None, max_length=128, description="Of an assistant's message.")
    tool_call_id: str | None = Field(default=None, description="Of a tool's message: which call it answers.")


class StreamOptions(WireModel):
    include_usage: bool | None = Field(default=None, description="Ends the stream with a chunk that holds the usage.")
    include_steps: bool | None = Field(default=None, description="Of an agent: a chunk for each call of a tool, as it begins and ends.")


class JsonSchemaFormat(WireModel):
    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")


class ResponseFormat(WireModel):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("json_schema is missing: this type needs it")
        return self


class FunctionSpec(WireModel):
    name: str = Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_.-]+$")
    description: str | None = None
    parameters: dict[str, Any] | None = Field(default=None, description="A JSON Schema of an object; absent: no arguments.")
    strict: bool | None = None


class WireTool(WireModel):
    type: Literal["function"]
    function: FunctionSpec


class OtherTool(WireModel):
    """A tool that is no function: it runs at OpenAI, or takes no JSON. It is left out, with a notice; a `tool_choice` of one is refused."""

    type: Annotated[
        str, Field(min_length=1, max_length=64), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 64, **_NOT_OURS})
    ]


def tool_tag(tool: object) -> str | None:
    kind = cast("dict[str, object]", tool).get("type") if isinstance(tool, dict) else getattr(tool, "type", None)
    return None if not isinstance(kind, str) else "#function" if kind == "function" else "#other"


AnyTool = Annotated[Annotated[WireTool, Tag("#function")] | Annotated[OtherTool, Tag("#other")], Discriminator(tool_tag)]


class ChosenFunction(WireModel):
    name: str


class ChosenTool(WireModel):
    type: Literal["function"]
    function: ChosenFunction


AnyChosenTool = Annotated[Annotated[ChosenTool, Tag("#function")] | Annotated[OtherTool, Tag("#other")], Discriminator(tool_tag)]


class AllowedToolList(WireModel):
    mode: Literal["auto", "required"]
    tools: list[AnyChosenTool] = Field(max_length=128)


class AllowedTools(WireModel):
    """Of the tools, those that may be called now."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedToolList


def choice_tag(choice: object) -> str | None:
    if isinstance(choice, str):
        return "#word"
    kind = cast("dict[str, object]", choice).get("type") if isinstance(choice, dict) else getattr(choice, "type", None)
    if not isinstance(kind, str):
        return None
    return HASH + kind if kind in ("function", "allowed_tools") else "#other"


WireChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("#word")]
    | Annotated[ChosenTool, Tag("#function")]
    | Annotated[AllowedTools, Tag("#allowed_tools")]
    | Annotated[OtherTool, Tag("#other")],
    Discriminator(choice_tag),
]

StopSequence = Annotated[str, Field(min_length=1)]


StopSequences = Annotated[
    Annotated[StopSequence, Tag("#text")] | Annotated[list[StopSequence], Field(max_length=4), Tag("#parts")], Discriminator(content_tag)
]


class ChatOptions(WireModel):
    """All that a request says besides its message. The same in JSON and in a form."""

    model: str | None = Field(
        default=None, description="Who answers, of those that /v1/models lists; absent: the default agent, the first there."
    )
    session_id: str | None = Field(
        default=None,
        description="Which conversation this belongs to; absent: the default agent's shared one, 'default'; for other agents, none.",
    )
    user: str | None = Field(default=None, description="With an agent: whose conversation this belongs to, where no session_id is given.")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    max_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1, description="Beats max_tokens.")
    stop: StopSequences | None = None
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    reasoning_effort: ReasoningEffort | None = None
    response_format: ResponseFormat | None = None
    n: int | None = Field(default=None, ge=1, le=128, description="How many answers. Of an agent, only 1.")
    tools: list[AnyTool] | None = Field(
        default=None,
        max_length=128,
        description="The client's own functions. An agent uses them beside its own, and its answer may end with calls of them. "
        "Other kinds of tools are left out with a notice.",
    )
    tool_choice: WireChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[Any] | None, WithJsonSchema({"anyOf": [{"type": "array", "maxItems": 0}, {"type": "null"}]})] = Field(
        default=None, description="Not supported: send tools."
    )
    logprobs: bool | None = Field(default=None, description="Of a registered model whose provider has them.")
    top_logprobs: int | None = Field(default=None, ge=0, le=20, description="Needs logprobs.")
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)


class ChatRequest(ChatOptions):
    """To the default agent: one user message, after any number of system or developer messages that hold for this request only; or the results of
    the client's tools that its last answer called. To `agent:<id>` or a model: the whole conversation."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=_MOST)


CHAT_FORM: Final = Form(
    name="ChatForm",
    description="The same as multipart/form-data: `message`, files, and options as text.",
    of=ChatOptions,
    without=frozenset({
        "stream_options", "response_format", "tools", "tool_choice", "parallel_tool_calls", "functions", "logprobs", "top_logprobs",
    }),
    fields={
        "message": {"type": "string", "default": "", "description": "What the user says. May be empty where there are files."},
        "files": {"type": "array", "items": FILE, "default": [], "description": "Files; `file`, `files[0]`, `image`, `document` … mean the same."},
        "stream": {"type": "boolean", "default": False, "description": '"true", "1", "yes", "on", or "false", "0", "no", "off".'},
        "stop": {"type": "string", "minLength": 1, "description": "One sequence."},
    },
)  # fmt: skip
