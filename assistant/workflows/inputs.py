"""The inputs of a run: checked against the workflow's; their files are read and stored."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import orjson

from assistant.contracts.documents import DocumentReader, ReadDocument
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import Json
from assistant.contracts.turns import Upload
from assistant.contracts.workflows import JOB_SESSION, InputSpec, InputType
from assistant.store.attachments import AttachmentStore
from assistant.workflows.definition import Definition, fits
from assistant.workflows.references import MAX_CHARS

MAX_TEXT: Final = 200_000
"""Characters of a text, and of a file's text within templates; a prompt gets the whole file."""
_A: Final[dict[InputType, str]] = {
    "text": "a text", "number": "a number", "integer": "a whole number", "boolean": "true or false", "json": "a value", "file": "a file",
}  # fmt: skip
_BOOLEANS: Final = {**dict.fromkeys(("true", "1", "yes", "on"), True), **dict.fromkeys(("false", "0", "no", "off"), False)}


@dataclass(frozen=True, slots=True)
class InputIntake:
    """Accepts the inputs of a run."""

    reader: DocumentReader
    attachments: AttachmentStore

    async def take(
        self, job_id: str, owner: str, definition: Definition, params: Mapping[str, Json], files: Mapping[str, Upload]
    ) -> dict[str, Json]:
        """The given inputs, as they are stored with the job.

        Raises InvalidRequest (`param`: the input), UnreadableFile and its subclasses, StoreUnavailable. A file is read before it is stored.
        """
        taken = check_params(definition, params, files)
        return taken | {name: await self._file(job_id, owner, upload) for name, upload in files.items()}

    async def _file(self, job_id: str, owner: str, upload: Upload) -> Json:
        read = await self.reader.read(upload, words=True)  # a step sees no pictures
        attachment = await self.attachments.keep(owner, f"{JOB_SESSION}{job_id}", upload, read)
        is_document = isinstance(read, ReadDocument)
        text = read.text if is_document else read.words or ""
        if len(text) > MAX_TEXT:
            text = f"{text[:MAX_TEXT]}\n[The first {MAX_TEXT:,} of {len(text):,} characters.]"
        kind = read.format if is_document else read.media_type.removeprefix("image/")
        return {"name": upload.name, "format": kind, "size": upload.size, "text": text, "attachment": attachment}


def check_params(definition: Definition, params: Mapping[str, Json], files: Mapping[str, Upload]) -> dict[str, Json]:
    """The given values, each of its input's type. Raises InvalidRequest."""
    known = definition.inputs
    for name in (*params, *files):
        if name not in known:
            asks = f"it takes {', '.join(known)}" if known else "it takes none"
            raise InvalidRequest(f"Workflow {definition.id} has no input '{name[:64]}': {asks}.", param=name[:64])
    for name in files:
        if known[name].type != "file":
            raise InvalidRequest(f"'{name}' is {_A[known[name].type]}, not a file.", param=name)
    taken = {name: _typed(known[name], value) for name, value in params.items() if value is not None}
    for spec in known.values():
        if spec.required and spec.name not in taken and spec.name not in files:
            about = f" ({spec.description.rstrip('.')})" if spec.description else ""
            raise InvalidRequest(f"Workflow {definition.id} needs '{spec.name}', {_A[spec.type]}{about}.", param=spec.name)
    if len(orjson.dumps(taken)) > MAX_CHARS:
        raise InvalidRequest(f"The inputs are larger than {MAX_CHARS:,} characters together.")
    return taken


def _typed(spec: InputSpec, value: Json) -> Json:
    """Forms and the command line give texts: those that can be read as the input's type are."""
    if spec.type == "file":
        raise InvalidRequest(f"'{spec.name}' is a file: send one.", param=spec.name)
    if isinstance(value, str) and spec.type != "text":
        value = _from_text(spec, value)
    if not fits(value, spec.type):
        raise InvalidRequest(f"'{spec.name}' must be {_A[spec.type]}.", param=spec.name)
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise InvalidRequest(f"'{spec.name}' has {len(value):,} characters; {MAX_TEXT:,} are the most.", param=spec.name)
    return value


def _from_text(spec: InputSpec, text: str) -> Json:
    if spec.type == "boolean":
        return _BOOLEANS.get(text.strip().lower(), text)
    if spec.type in ("number", "integer", "json"):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(text)
    return text
