"""What POST /v1/responses takes. Fields that are not here are ignored, as OpenAI's own server ignores them."""

from typing import Annotated, Any, Literal, Self, cast

from pydantic import Discriminator, Field, Tag, model_validator

from assistant.api.chat.wire import HASH, WireModel, choice_tag, part_tag
from assistant.contracts.models import ReasoningEffort

_MOST = 2_048
"""Items of an input, and parts of a message."""
_NAME = r"^[a-zA-Z0-9_.-]+$"


class InputText(WireModel):
    type: Literal["input_text"]
    text: str


class InputImage(WireModel):
    type: Literal["input_image"]
    image_url: str | None = Field(default=None, description="A data URL: `data:image/png;base64,…`. PNG, JPEG, GIF or WebP.")
    file_id: str | None = Field(default=None, description="Of a file that was uploaded to /v1/files; in place of image_url.")


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


class RefusalPart(WireModel):
    """What an assistant refused before."""

    type: Literal["refusal"]
    refusal: str


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


class FunctionCall(WireModel):
    """A call of a function of the client's that a model made before."""

    type: Literal["function_call"]
    call_id: str = Field(min_length=1, max_length=256)
    name: str = Field(min_length=1, max_length=128)
    arguments: str


class FunctionOutput(WireModel):
    type: Literal["function_call_output"]
    call_id: str = Field(min_length=1, max_length=256, description="Which call it answers.")
    output: Parts = Field(description="A text, or parts of text.")


def _item_tag(item: object) -> str | None:
    kind = cast("dict[str, object]", item).get("type", "message") if isinstance(item, dict) else getattr(item, "type", None)
    return HASH + kind if isinstance(kind, str) else None


InputItem = Annotated[
    Annotated[InputMessage, Tag("#message")]
    | Annotated[FunctionCall, Tag("#function_call")]
    | Annotated[FunctionOutput, Tag("#function_call_output")],
    Discriminator(_item_tag),
]
Input = Annotated[
    Annotated[str, Tag("#text")] | Annotated[list[InputItem], Field(min_length=1, max_length=_MOST), Tag("#list")], Discriminator(_list_tag)
]


class FunctionTool(WireModel):
    type: Literal["function"] = Field(description="The only kind: other tools are OpenAI's own.")
    name: str = Field(min_length=1, max_length=128, pattern=_NAME)
    description: str | None = None
    parameters: dict[str, Any] | None = Field(default=None, description="A JSON Schema of an object; null: no arguments.")
    strict: bool | None = None


class NamedFunction(WireModel):
    type: Literal["function"]
    name: str


ResponseToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("#word")] | Annotated[NamedFunction, Tag("#tool")], Discriminator(choice_tag)
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


class Reasoning(WireModel):
    effort: ReasoningEffort | None = None


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
    tools: list[FunctionTool] | None = Field(
        default=None,
        max_length=128,
        description="The client's own. An agent uses them beside its own, and its answer may end with calls of them.",
    )
    tool_choice: ResponseToolChoice | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    max_output_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None = Field(default=None, max_length=16)
    include: list[str] | None = Field(
        default=None, max_length=32, description="`message.output_text.logprobs`, of a registered model whose provider has them."
    )
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    truncation: Literal["auto", "disabled"] | None = Field(
        default=None, description='"auto" of an agent only: it leaves out the oldest where a conversation is too long.'
    )
    background: bool | None = Field(default=None, description="Only false.")
    conversation: Any = Field(default=None, description="Not supported: send session_id or previous_response_id.")
    prompt: Any = Field(default=None, description="Not supported.")
