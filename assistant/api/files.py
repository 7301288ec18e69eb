"""/v1/files: upload, list, read, delete."""

import asyncio
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, Field

from assistant.api.body.multipart import MultipartForm, read_form
from assistant.api.body.spool import FileLookup, Spool
from assistant.api.middleware.request import header, principal
from assistant.api.openapi import errors, needs
from assistant.api.settings import ApiLimits
from assistant.contracts.documents import DocumentReader
from assistant.contracts.errors import InvalidRequest, NoSuchFile, UnsupportedMediaType
from assistant.contracts.turns import Upload
from assistant.store.files import FileStore, KeptFile

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


_ID = re.compile(r"file_[0-9a-f]{28}")
_NEVER_A_PAGE: Final = {
    "content-disposition": "attachment",
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
}
"""What somebody uploaded is handed out as bytes: no browser shows it, or runs it, in this server's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileService:
    """What uploading takes."""

    files: FileStore
    reader: DocumentReader


def files_of(shelf: FileService | None, owner: str) -> FileLookup | None:
    """What a request of this owner may name, for its Spool."""
    if shelf is None:
        return None
    files = shelf.files

    async def find(file_id: str) -> tuple[str, Path] | None:
        file = await files.get(owner, file_id)
        path = None if file is None else await files.path(owner, file_id)
        return None if file is None or path is None else (file.name, path)

    return find


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEndpoints:
    """The endpoints."""

    shelf: FileService
    limits: ApiLimits
    spool_folder: Path

    async def create(self, request: Request) -> FileObject:
        """Upload a file. It is kept until it is deleted, and named in messages by its id."""
        owner = principal(request.scope).id
        spool = Spool(self.spool_folder, self.limits)
        try:
            content_type = header(request.scope, b"content-type") or b""
            if content_type.partition(b";")[0].strip().lower() != b"multipart/form-data":
                raise UnsupportedMediaType("Send the file as multipart/form-data.")
            upload, purpose = _asked(await read_form(request.scope, request.receive, content_type, spool, self.limits))
            read = await self.shelf.reader.read(upload)
            return _shown(await self.shelf.files.keep(owner, upload, read, purpose))
        finally:
            if spool.holds_files:
                await asyncio.to_thread(spool.remove)

    async def index(
        self,
        request: Request,
        purpose: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
        order: Literal["asc", "desc"] = "desc",
        after: Annotated[str | None, Query(max_length=64)] = None,
    ) -> FileList:
        """The latest first, or (`order=asc`) the oldest; `after`: the id of the last one of the page before."""
        owner = principal(request.scope).id
        found = await self.shelf.files.list(owner, purpose=purpose, limit=limit + 1, after=after, oldest_first=order == "asc")
        data = [_shown(file) for file in found[:limit]]
        first, last = (data[0].id, data[-1].id) if data else (None, None)
        return FileList(object="list", data=data, first_id=first, last_id=last, has_more=len(found) > limit)

    async def show(self, request: Request, file_id: str) -> FileObject:
        file = await self.shelf.files.get(principal(request.scope).id, _known(file_id))
        if file is None:
            raise NoSuchFile(param="file_id")
        return _shown(file)

    async def content(self, request: Request, file_id: str) -> Response:
        """The bytes as they were uploaded, for whoever saves them: never as a page."""
        path = await self.shelf.files.path(principal(request.scope).id, _known(file_id))
        try:
            data = None if path is None else await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:  # it was deleted just now
            data = None
        if data is None:
            raise NoSuchFile(param="file_id")
        return Response(data, headers=_NEVER_A_PAGE, media_type="application/octet-stream")

    async def delete(self, request: Request, file_id: str) -> FileDeleted:
        """Remove it. Sessions in which it was sent keep what they hold."""
        if not await self.shelf.files.delete(principal(request.scope).id, _known(file_id)):
            raise NoSuchFile(param="file_id")
        return FileDeleted(id=file_id, object="file", deleted=True)


def _asked(form: MultipartForm) -> tuple[Upload, Purpose]:
    if len(form.files) != 1:
        raise InvalidRequest("Send one file, as 'file'.", param="file")
    if any(name.startswith("expires_after") for name in form.fields):
        raise InvalidRequest("Files are kept until they are deleted: 'expires_after' is not supported.", param="expires_after")
    for purpose in PURPOSES:
        if purpose == form.fields.get("purpose"):
            return replace(form.files[0], param="file"), purpose
    raise InvalidRequest(f"'purpose' must be one of {', '.join(PURPOSES)}.", param="purpose")


def _known(file_id: str) -> str:
    """Raises NoSuchFile for what can't be the id of one."""
    if not _ID.fullmatch(file_id):
        raise NoSuchFile(param="file_id")
    return file_id


def _shown(file: KeptFile) -> FileObject:
    return FileObject(
        id=file.id,
        object="file",
        bytes=file.size,
        created_at=int(file.at.timestamp()),
        filename=file.name,
        purpose=file.purpose,
        status="processed",
    )


_PATH: Final = "/v1/files"
_ONE: Final = _PATH + "/{file_id}"
_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {"$ref": "#/components/schemas/FileForm"}}}}
}
_BYTES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def add_file_routes(app: FastAPI, files: FileEndpoints) -> None:
    app.add_api_route(
        _PATH,
        files.create,
        methods=["POST"],
        summary="Upload a file",
        response_model=FileObject,
        responses=errors(400, 401, 408, 413, 415, 503),
        openapi_extra=needs("files", _BODY),
    )
    app.add_api_route(
        _ONE + "/content",
        files.content,
        methods=["GET"],
        summary="Fetch a file",
        response_class=Response,
        responses={**_BYTES, **errors(401, 404, 503)},
        openapi_extra=needs("files"),
    )
    for path, summary, endpoint, method, answer, refusals in (
        (_PATH, "List files", files.index, "GET", FileList, errors(400, 401, 503)),
        (_ONE, "Show a file", files.show, "GET", FileObject, errors(401, 404, 503)),
        (_ONE, "Delete a file", files.delete, "DELETE", FileDeleted, errors(401, 404, 503)),
    ):
        app.add_api_route(
            path, endpoint, methods=[method], summary=summary, response_model=answer, responses=refusals, openapi_extra=needs("files")
        )
