"""The routes of /v1/files, and their description."""

from typing import Any, Final

from fastapi import FastAPI, Response

from assistant.api.files.endpoints import FileEndpoints
from assistant.api.files.wire import FileDeleted, FileList, FileObject
from assistant.api.refusals import errors
from assistant.api.scoped import needs

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
