"""What POST /v1/responses takes. Fields that are not here are ignored, as OpenAI's own server ignores them."""

from typing import Annotated, Any, Final, Literal, Self, cast, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from assistant.api.chat.wire import HASH, OtherTool, RefusalPart, WireModel, choice_tag, part_tag, tool_tag
from assistant.contracts.models import ReasoningEffort

_MOST = 2_048
"""Items of an input, and parts of a message."""
_NAME = r"^[a-zA-Z0-9_.-]+$"


class InputText(WireModel):
    type: Literal["input_text"]
    text: str


class InputImage(WireModel):
    type: Literal["input_image"]
    image_url: str | None = Field(
        default=None,
        description="A data URL: `data:image/png;base64,…`. Of a registered model also a web address, which its provider fetches.",
    )
    file_id: str | None = Field(default=None, description="Of a file that was uploaded to /v1/files; in place of image_url.")
    detail: str | None = Field(default=None, description="How closely a registered model looks: `low`, `high`, `auto` …")


class InputFile(WireModel):
    type: Literal["input_file"]
    file_data: str | None = Field(default=None, description="The file as a data URL or as plain base64.")
    filename: str | None = Field(default=None, description="What the file is called: for display only.")
    file_id: str | None = Field(default=None, description="Of a file that was uploaded to /v1/files; in place of file_data.")
    file_url: str | None = Field(default=None, description="Not supported: files are not fetched from the web.")


class OutputText(WireModel):
    """What an assistant said before."""

    type: Literal["output_text"]
    text: str


def _list_tag(value: object) -> str:
    return "#list" if isinstance(value, list | tuple) else "#text"


InputPart = Annotated[
    Annotated[InputText, Tag("#input_text")]
    | Annotated[InputImage, Tag("#input_image")]
    | Annotated[InputFile, Tag("#input_file")]
    | Annotated[OutputText, Tag("#output_text")]
    | Annotated[RefusalPart, Tag("#refusal")],
    Discriminator(part_tag),
]
Parts = Annotated[
    Annotated[str, Tag("#text")] | Annotated[list[InputPart], Field(max_length=_MOST), Tag("#list")], Discriminator(_list_tag)
]


class InputMessage(WireModel):
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Parts = Field(description="Images and files are a user's; output_text and refusal an assistant's.")


class _Call(WireModel):
    call_id: str = Field(min_length=1, max_length=256)
    name: str = Field(min_length=1, max_length=128)


class FunctionCall(_Call):
    """A call of a function of the client's that a model made before."""

    type: Literal["function_call"]
    arguments: str


class FunctionOutput(WireModel):
    """It may stand anywhere behind its call."""

    type: Literal["function_call_output", "custom_tool_call_output"]
    call_id: str = Field(min_length=1, max_length=256, description="Which call it answers.")
    output: Parts = Field(description="A text, or parts: input_text, input_image, input_file.")


class CustomCall(_Call):
    """A call of a tool that takes plain text, made elsewhere. The model sees it as a function's, with the text as its `input`."""

    type: Literal["custom_tool_call"]
    input: str


class ReasoningText(WireModel):
    type: Literal["summary_text", "reasoning_text"]
    text: str


class ReasoningItem(WireModel):
    """What a model thought before the item that follows. `encrypted_content` of another server can't be read, and is left out."""

    type: Literal["reasoning"]
    summary: list[ReasoningText] | None = Field(default=None, max_length=_MOST)
    content: list[ReasoningText] | None = Field(default=None, max_length=_MOST)
    encrypted_content: str | None = None

    @property
    def text(self) -> str:
        return "\n\n".join([part.text for part in self.content or self.summary or ()])


class ItemReference(WireModel):
    """An item that this server gave out and keeps, by its id."""

    type: Literal["item_reference"] | None = None
    id: str = Field(min_length=1, max_length=256)


class HostedItem(WireModel):
    """What a tool that runs at OpenAI did. It is left out, with a notice."""

    type: Literal[
        "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "computer_call", "computer_call_output",
        "local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output",
        "mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "mcp_call", "tool_search_call", "tool_search_output",
    ]  # fmt: skip


_HOSTED: Final[frozenset[str]] = frozenset(get_args(HostedItem.model_fields["type"].annotation))
_HOSTED_TAG: Final = "#web_search_call and the like"


def _item_tag(item: object) -> str | None:
    fields = cast("dict[str, object]", item) if isinstance(item, dict) else vars(item) if isinstance(item, WireModel) else {}
    kind = fields.get("type")
    if kind is None and "id" in fields and "role" not in fields:
        kind = "item_reference"
    kind = "message" if kind is None and "type" not in fields else kind
    if not isinstance(kind, str):
        return None
    return _HOSTED_TAG if kind in _HOSTED else HASH + ("function_call_output" if kind == "custom_tool_call_output" else kind)


InputItem = Annotated[
    Annotated[InputMessage, Tag("#message")]
    | Annotated[FunctionCall, Tag("#function_call")]
    | Annotated[FunctionOutput, Tag("#function_call_output")]
    | Annotated[CustomCall, Tag("#custom_tool_call")]
    | Annotated[ReasoningItem, Tag("#reasoning")]
    | Annotated[ItemReference, Tag("#item_reference")]
    | Annotated[HostedItem, Tag(_HOSTED_TAG)],
    Discriminator(_item_tag),
]
Input = Annotated[
    Annotated[str, Tag("#text")] | Annotated[list[InputItem], Field(min_length=1, max_length=_MOST), Tag("#list")], Discriminator(_list_tag)
]


class FunctionTool(WireModel):
    type: Literal["function"]
    name: str = Field(min_length=1, max_length=128, pattern=_NAME)
    description: str | None = None
    parameters: dict[str, Any] | None = Field(default=None, description="A JSON Schema of an object; null: no arguments.")
    strict: bool | None = None


ResponseTool = Annotated[Annotated[FunctionTool, Tag("#function")] | Annotated[OtherTool, Tag("#other")], Discriminator(tool_tag)]


class NamedFunction(WireModel):
    type: Literal["function"]
    name: str


class AllowedFunctions(WireModel):
    """Of the tools, those that may be called now."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[Annotated[Annotated[NamedFunction, Tag("#function")] | Annotated[OtherTool, Tag("#other")], Discriminator(tool_tag)]] = (
        Field(max_length=128)
    )


ResponseToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("#word")]
    | Annotated[NamedFunction, Tag("#function")]
    | Annotated[AllowedFunctions, Tag("#allowed_tools")]
    | Annotated[OtherTool, Tag("#other")],
    Discriminator(choice_tag),
]


class TextFormat(WireModel):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = Field(default=None, min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    description: str | None = None
    strict: bool | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if self.type == "json_schema" and (self.json_schema is None or self.name is None):
            raise ValueError("this type needs a name and a schema")
        return self


class TextOptions(WireModel):
    format: TextFormat | None = None
    verbosity: str | None = Field(default=None, max_length=64, description="For a registered model: `low`, `medium` or `high`.")


class Reasoning(WireModel):
    effort: ReasoningEffort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = Field(
        default=None, description="Thoughts come as the provider gives them, whatever is chosen."
    )


class ResponseRequest(WireModel):
    """To the default agent: one user message, in its session. To `agent:<id>` or a model, or with `previous_response_id` or `store: false`: as
    much of a conversation as the client wishes to send."""

    model: str | None = Field(
        default=None, description="Who answers, of those that /v1/models lists; absent: the default agent, the first there."
    )
    input: Input
    instructions: str | None = Field(default=None, description="For this response alone.")
    previous_response_id: str | None = Field(
        default=None, max_length=64, description="The response that this continues: its conversation comes before the input."
    )
    session_id: str | None = Field(default=None, description="With an agent: the session that this belongs to, as for chat completions.")
    user: str | None = Field(default=None, description="With an agent: whose session this belongs to, where no session_id is given.")
    store: bool | None = Field(default=None, description="false: the response is not kept, and no session is taken that is not named.")
    stream: bool | None = None
    tools: list[ResponseTool] | None = Field(
        default=None,
        max_length=128,
        description="The client's own functions. An agent uses them beside its own, and its answer may end with calls of them. "
        "Other kinds of tools, which run at OpenAI, are left out with a notice.",
    )
    tool_choice: ResponseToolChoice | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    max_output_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)
    max_tool_calls: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="Of tools that run at OpenAI, of which there are none here."
    )
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None = Field(default=None, max_length=16)
    include: list[str] | None = Field(
        default=None, max_length=32, description="`message.output_text.logprobs`, of a registered model whose provider has them."
    )
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    truncation: Literal["auto", "disabled"] | None = Field(
        default=None, description='"auto": an agent leaves out the oldest where a conversation is too long; a model refuses it.'
    )
    service_tier: str | None = Field(default=None, max_length=64, description="For a registered model.")
    safety_identifier: str | None = Field(default=None, max_length=256, description="For a registered model.")
    prompt_cache_key: str | None = Field(default=None, max_length=256, description="For a registered model.")
    prompt_cache_retention: str | None = Field(default=None, max_length=64, description="For a registered model.")
    background: bool | None = Field(default=None, description="Only false.")
    conversation: Any = Field(default=None, description="Not supported: send session_id or previous_response_id.")
    prompt: Any = Field(default=None, description="Not supported.")
