"""/v1/files: upload, list, show, fetch, delete. Another owner's files are not there."""

import asyncio
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal

from fastapi import Query, Request, Response

from assistant.api.body.multipart import Form, read_form
from assistant.api.body.spool import Named, Spool
from assistant.api.files.wire import PURPOSES, FileDeleted, FileList, FileObject, Purpose
from assistant.api.middleware.scope import header, principal
from assistant.api.settings import ApiLimits
from assistant.contracts.documents import DocumentReader
from assistant.contracts.errors import InvalidRequest, UnsupportedMediaType
from assistant.contracts.files import FileStore, KeptFile, NoSuchFile
from assistant.contracts.turns import Upload

_ID = re.compile(r"file_[0-9a-f]{28}")
_NEVER_A_PAGE: Final = {
    "content-disposition": "attachment",
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
}
"""What somebody uploaded is handed out as bytes: no browser shows it, or runs it, in this server's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What uploading takes."""

    files: FileStore
    reader: DocumentReader


def files_of(shelf: Shelf | None, owner: str) -> Named | None:
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

    shelf: Shelf
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


def _asked(form: Form) -> tuple[Upload, Purpose]:
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
