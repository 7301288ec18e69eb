"""What /v1/files takes and answers, as OpenAI's does."""

from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, Field

Purpose = Literal["assistants", "batch", "evals", "fine-tune", "user_data", "vision"]
PURPOSES: Final[tuple[Purpose, ...]] = get_args(Purpose)


class FileForm(BaseModel):
    file: Annotated[str, Field(json_schema_extra={"format": "binary"})] = Field(
        description="One file, of a type that messages may hold: it is read at once, so that one that can't be is refused here."
    )
    purpose: Purpose = Field(description="Yours to find it by; it changes nothing.")


class FileObject(BaseModel):
    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["processed"]


class FileList(BaseModel):
    object: Literal["list"]
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"]
    deleted: Literal[True]
