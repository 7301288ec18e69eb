"""/v1/files: upload, list, read, delete."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from assistant.api.answers import Answer, ListAnswer, Seconds, known_id
from assistant.api.body.multipart import MultipartForm, read_form
from assistant.api.body.spool import FileLookup, spooled
from assistant.api.file_answers import saved_answer
from assistant.api.middleware.request import header, principal
from assistant.api.openapi import FILE, endpoint, errors, takes
from assistant.api.settings import ApiLimits
from assistant.contracts.documents import DocumentReader
from assistant.contracts.errors import InvalidRequest, NoSuchFile, UnsupportedMediaType
from assistant.contracts.records import record
from assistant.contracts.turns import Upload
from assistant.store.attachments import FileStore

Purpose = Literal["assistants", "batch", "evals", "fine-tune", "user_data", "vision"]
PURPOSES: Final[tuple[Purpose, ...]] = get_args(Purpose)


class FileForm(BaseModel):
    file: Annotated[str, Field(json_schema_extra={"format": "binary"})] = Field(
        description="One file, of a type that messages may hold: it is read at once, so that one that can't be is refused here."
    )
    purpose: Purpose = Field(description="Yours to find it by; it changes nothing.")


class FileObject(Answer):
    id: str
    object: Literal["file"] = "file"
    bytes: int = Field(validation_alias="size")
    created_at: Seconds = Field(validation_alias="at")
    filename: str = Field(validation_alias="name")
    purpose: str
    status: Literal["processed"] = "processed"


class FileList(ListAnswer[FileObject]):
    first_id: str | None
    last_id: str | None


class FileDeleted(Answer):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


@record
class FileService:
    """What uploading takes."""

    files: FileStore
    reader: DocumentReader


def files_of(service: FileService | None, owner: str) -> FileLookup | None:
    """What a request of this owner may name, for its Spool."""
    if service is None:
        return None
    files = service.files

    async def find(file_id: str) -> tuple[str, Path] | None:
        file = await files.get(owner, file_id)
        path = None if file is None else await files.path(owner, file_id)
        return None if file is None or path is None else (file.name, path)

    return find


_PATH: Final = "/v1/files"
_ONE: Final = _PATH + "/{file_id}"
_BYTES: Final = {"description": "The file.", "content": {"application/octet-stream": {"schema": FILE}}}
_known = partial(known_id, prefix="file", missing=NoSuchFile, param="file_id")


@record
class FileEndpoints:
    service: FileService
    limits: ApiLimits
    spool_folder: Path

    @endpoint("POST", _PATH, "Upload a file", scope="files", responses=errors(400, 401, 408, 413, 415, 503), extra=takes(form=FileForm))
    async def create(self, request: Request) -> FileObject:
        """Upload a file. It is kept until it is deleted, and named in messages by its id."""
        owner = principal(request.scope).person
        content_type = header(request.scope, b"content-type") or b""
        if content_type.partition(b";")[0].strip().lower() != b"multipart/form-data":
            raise UnsupportedMediaType("Send the file as multipart/form-data.")
        async with spooled(self.spool_folder, self.limits) as spool:
            upload, purpose = _asked(await read_form(request.scope, request.receive, content_type, spool))
            read = await self.service.reader.read(upload)
            return FileObject.model_validate(await self.service.files.keep(owner, upload, read, purpose))

    @endpoint("GET", _PATH, "List files", scope="files", responses=errors(400, 401, 503))
    async def index(
        self,
        request: Request,
        purpose: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
        order: Literal["asc", "desc"] = "desc",
        after: Annotated[str | None, Query(max_length=64)] = None,
    ) -> FileList:
        """The latest first, or (`order=asc`) the oldest; `after`: the id of the last one of the page before."""
        owner = principal(request.scope).person
        found = await self.service.files.list(owner, purpose=purpose, limit=limit + 1, after=after, oldest_first=order == "asc")
        first, last = (found[0].id, found[:limit][-1].id) if found else (None, None)
        return FileList.page(found, limit, FileObject.model_validate, first_id=first, last_id=last)

    @endpoint("GET", _ONE, "Show a file", scope="files", responses=errors(401, 404, 503))
    async def show(self, request: Request, file_id: str) -> FileObject:
        file = await self.service.files.get(principal(request.scope).person, _known(file_id))
        if file is None:
            raise NoSuchFile(param="file_id")
        return FileObject.model_validate(file)

    @endpoint(
        "GET", _ONE + "/content", "Fetch a file", scope="files", responses={200: _BYTES, **errors(401, 404, 503)}, response_class=Response
    )
    async def content(self, request: Request, file_id: str) -> Response:
        """The bytes as they were uploaded, to be saved under their name: never shown as a page."""
        owner = principal(request.scope).person
        file = await self.service.files.get(owner, _known(file_id))
        path = None if file is None else await self.service.files.path(owner, file_id)
        if file is None or path is None:
            raise NoSuchFile(param="file_id")
        try:
            return saved_answer(file.name, await asyncio.to_thread(path.read_bytes))
        except FileNotFoundError:  # it was deleted just now
            raise NoSuchFile(param="file_id") from None

    @endpoint("DELETE", _ONE, "Delete a file", scope="files", responses=errors(401, 404, 503))
    async def delete(self, request: Request, file_id: str) -> FileDeleted:
        """Remove it. Sessions in which it was sent keep what they hold."""
        if not await self.service.files.delete(principal(request.scope).person, _known(file_id)):
            raise NoSuchFile(param="file_id")
        return FileDeleted(id=file_id)


def _asked(form: MultipartForm) -> tuple[Upload, Purpose]:
    if len(form.files) != 1:
        raise InvalidRequest("Send one file, as 'file'.", param="file")
    if any(name.startswith("expires_after") for name in form.fields):
        raise InvalidRequest("Files are kept until they are deleted: 'expires_after' is not supported.", param="expires_after")
    for purpose in PURPOSES:
        if purpose == form.fields.get("purpose"):
            return replace(form.files[0], param="file"), purpose
    raise InvalidRequest(f"'purpose' must be one of {', '.join(PURPOSES)}.", param="purpose")
