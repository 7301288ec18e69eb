"""What /v1/deliveries takes and answers. A field that is not here is refused: a message that goes out is not the place for guessing."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from assistant.api.body.form_schema import fields_without_null
from assistant.contracts.outbox import DeliveryState
from assistant.contracts.sending import MAX_CHARS, ButtonsAsked

_LONGEST_ID: Final = 256
_ID_SCHEMA: Final = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": _LONGEST_ID}, {"type": "number"}]}
Id = Annotated[str, Field(strict=False, coerce_numbers_to_str=True, min_length=1, max_length=_LONGEST_ID), WithJsonSchema(_ID_SCHEMA)]
_EITHER_TEXT: Final[list[JsonValue]] = [{"required": ["text"]}, {"required": ["content"]}]
Binary = Annotated[str, Field(json_schema_extra={"format": "binary"})]


class DeliveryRequest(BaseModel):
    """A message to a chat. `text` (or `content`, nanobot's word) is Markdown."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, json_schema_extra={"anyOf": _EITHER_TEXT})

    channel: Annotated[str, Field(min_length=1, max_length=32)] = Field(description="telegram, discord, webhook, apprise …")
    chat_id: Id = Field(description="The chat, by the platform's own id.")
    thread_id: Id | None = Field(default=None, description="A forum topic or thread within the chat.")
    text: Annotated[str, Field(max_length=MAX_CHARS)] | None = None
    content: Annotated[str, Field(max_length=MAX_CHARS)] | None = Field(default=None, description="Another name for text.")
    buttons: ButtonsAsked | None = Field(default=None, description="Rows of buttons; a button is its text, or an object with text and url.")
    at: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="When to send it, if not now: ISO 8601 with an offset, within a year."
    )


class DeliveryForm(BaseModel):
    """The same as multipart/form-data, with files."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=fields_without_null)

    channel: str = Field(min_length=1, max_length=32)
    chat_id: str = Field(min_length=1, max_length=_LONGEST_ID)
    thread_id: str | None = Field(default=None, max_length=_LONGEST_ID)
    text: str | None = Field(default=None, max_length=MAX_CHARS)
    content: str | None = Field(default=None, max_length=MAX_CHARS, description="Another name for text.")
    buttons: str | None = Field(default=None, description="As JSON.")
    at: str | None = Field(default=None, max_length=64)
    files: list[Binary] = Field(default=[], description="What goes out with it.")
    file: list[Binary] = Field(default=[], description="Another name for files.")
    more: list[Binary] = Field(default=[], alias="files[]", description="Another name for files.")


class DeliveryMedia(BaseModel):
    name: str
    media_type: str
    size: int


class DeliveryPart(BaseModel):
    """One message on the platform: long texts go out as several."""

    message_id: str | None
    """The platform's own id of it; null while it is not sent, or where the platform gives none."""
    sent_at: str | None


class DeliveryTrouble(BaseModel):
    code: str
    message: str


class DeliveryAnswer(BaseModel):
    """A message and what became of it. Times are UTC, by ISO 8601."""

    id: str
    object: Literal["delivery"]
    state: DeliveryState
    detail: str = Field(description="What is true of it now, in words.")
    channel: str
    chat_id: str
    thread_id: str | None
    text: str
    media: list[DeliveryMedia]
    attempts: int
    due: str | None = Field(description="When it is tried next; null unless it is queued.")
    error: DeliveryTrouble | None = Field(description="Why it is not sent (yet).")
    maybe_duplicate: bool = Field(description="A part was sent again though an earlier try may have arrived.")
    parts: list[DeliveryPart] = Field(description="Empty until it is first tried.")
    created_at: str
    expires_at: str
    ended_at: str | None


class DeliveryList(BaseModel):
    object: Literal["list"]
    data: list[DeliveryAnswer]
    has_more: bool
