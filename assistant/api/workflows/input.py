"""What a run is given, as JSON or as a form with files."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import Receive, Scope

from assistant.api.body.base64_files import EncodedFile, decode_to_disk, parse_data_url
from assistant.api.body.json_body import announced_length, read_json
from assistant.api.body.multipart import Form, read_form
from assistant.api.body.spool import Spool
from assistant.api.middleware.scope import header
from assistant.api.settings import ApiLimits
from assistant.contracts.errors import InvalidRequest, UnsupportedMediaType
from assistant.contracts.messages import Json
from assistant.contracts.names import display_name
from assistant.contracts.turns import Upload
from assistant.contracts.workflows import WorkflowInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Files lie in the spool that was given."""

    params: Mapping[str, Json]
    files: Mapping[str, Upload]
    """By the name of their input."""


async def read_params(scope: Scope, receive: Receive, spool: Spool, limits: ApiLimits, workflow: WorkflowInfo) -> Given:
    """Raises UnsupportedMediaType, InvalidRequest and its kin, RequestTooLarge, FileTooLarge, RequestTimeout, ClientDisconnect."""
    file_inputs = _file_inputs(workflow)
    content_type = header(scope, b"content-type")
    media_type = (content_type or b"").partition(b";")[0].strip().lower()
    if media_type == b"application/json":
        return await given_params(await read_json(scope, receive, limits.json_bytes), spool, limits, workflow)
    if content_type is not None and media_type == b"multipart/form-data":
        form = await read_form(scope, receive, content_type, spool, limits, named=frozenset(file_inputs))
        return Given(params={**form.fields}, files=_by_input(form, file_inputs))
    if content_type is None and header(scope, b"transfer-encoding") is None and not announced_length(scope):
        return Given(params={}, files={})  # a bare POST: a workflow may need nothing
    raise UnsupportedMediaType


async def given_params(body: dict[str, Json], spool: Spool, limits: ApiLimits, workflow: WorkflowInfo) -> Given:
    """Of an object, from which files are taken out. Raises InvalidRequest and its kin, FileTooLarge."""
    files = {name: await _decoded(name, body.pop(name), spool, limits) for name in _file_inputs(workflow) if body.get(name) is not None}
    return Given(params=body, files=files)


def _file_inputs(workflow: WorkflowInfo) -> list[str]:
    return [spec.name for spec in workflow.inputs if spec.type == "file"]


async def _decoded(name: str, value: Json, spool: Spool, limits: ApiLimits) -> Upload:
    data = value.get("file_data") if isinstance(value, dict) else value
    shown = value.get("filename") if isinstance(value, dict) else None
    if not isinstance(data, str) or not isinstance(shown, str | None):
        raise InvalidRequest(f'\'{name}\' is a file: send {{"filename": …, "file_data": its base64 or a data URL}}, or a form.', param=name)
    param = f"{name}.file_data" if isinstance(value, dict) else name
    _, start = parse_data_url(data, param) if data[:5].lower() == "data:" else ("", 0)
    file = EncodedFile(text=data, start=start, name=display_name(shown or "", name), param=param)
    return await asyncio.to_thread(decode_to_disk, file, spool, limits.file_bytes)


def _by_input(form: Form, file_inputs: list[str]) -> dict[str, Upload]:
    """Files sent by their input's name; those sent as `files` go to the inputs that are left, in order."""
    found: dict[str, Upload] = {}
    unnamed: list[Upload] = []
    for upload in form.files:
        if upload.param not in file_inputs:
            unnamed.append(upload)
        elif upload.param in found:
            raise InvalidRequest(f"'{upload.param}' was sent twice.", param=upload.param)
        else:
            found[upload.param] = upload
    free = [name for name in file_inputs if name not in found]
    if len(unnamed) > len(free):
        takes = ", ".join(file_inputs) or "none"
        raise InvalidRequest(f"There are more files than the workflow takes: {takes}.", param="files")
    return {**found, **dict(zip(free, unnamed, strict=False))}
