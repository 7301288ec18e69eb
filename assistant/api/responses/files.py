"""The files of an input, onto the disk: those that came with the request, and those of the responses that it goes on from."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from assistant.api.body.base64_files import decode_to_disk
from assistant.api.body.spool import Spool
from assistant.api.chat.content import encoded_file, encoded_image
from assistant.api.responses.wire import InputFile, InputImage, InputItem, InputMessage
from assistant.api.settings import ApiLimits
from assistant.contracts.errors import InvalidRequest, RequestTooLarge, UnsupportedContent
from assistant.contracts.files import NoSuchFile
from assistant.contracts.ids import new_id
from assistant.contracts.turns import Upload

Place = tuple[int, int]
"""Of a file: which item, and which of its parts."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file of a request, and the id that it is kept by."""

    id: str
    upload: Upload


async def take_files(items: Sequence[InputItem], spool: Spool, limits: ApiLimits) -> dict[Place, Sent]:
    """All files of a request's own input. Raises InvalidRequest and its kin, each with the part's path."""
    found: dict[Place, Sent] = {}
    for place, part in _files(items):
        found[place] = Sent(new_id("file"), await _take(part, f"input.{place[0]}.content.{place[1]}", place[1], spool, limits))
    return found


async def recall_files(items: Sequence[InputItem], spool: Spool) -> dict[Place, Upload]:
    """The files of earlier responses, the latest first: as many as a request may hold beside its own, and as are still there."""
    found: dict[Place, Upload] = {}
    for place, part in reversed(list(_files(items))):
        if part.file_id is not None:
            try:
                found[place] = await spool.take_named(part.file_id, "previous_response_id")
            except (NoSuchFile, RequestTooLarge, InvalidRequest):
                continue
    return found


def missing(part: InputImage | InputFile) -> str:
    """What the model is told in place of a file that it can't be shown again."""
    name = f" called '{part.filename}'" if isinstance(part, InputFile) and part.filename else ""
    return f"(There was {'an image' if isinstance(part, InputImage) else 'a file'}{name} here, which can't be seen any more.)"


def _files(items: Sequence[InputItem]) -> Iterator[tuple[Place, InputImage | InputFile]]:
    for item_index, item in enumerate(items):
        if isinstance(item, InputMessage) and item.role == "user" and not isinstance(item.content, str):
            for index, part in enumerate(item.content):
                if isinstance(part, InputImage | InputFile):
                    yield (item_index, index), part


async def _take(part: InputImage | InputFile, at: str, index: int, spool: Spool, limits: ApiLimits) -> Upload:
    fields: Mapping[str, str | None] = (
        {"image_url": part.image_url} if isinstance(part, InputImage) else {"file_data": part.file_data, "file_url": part.file_url}
    )
    given = [name for name, value in {**fields, "file_id": part.file_id}.items() if value is not None]
    if len(given) > 1:
        raise InvalidRequest(f"Send '{given[0]}' or '{given[1]}', not both.", param=f"{at}.{given[1]}")
    if part.file_id is not None:
        return await spool.take_named(part.file_id, f"{at}.file_id")
    if isinstance(part, InputImage):
        if part.image_url is None:
            raise InvalidRequest(f"'{at}.image_url' is missing.", param=f"{at}.image_url")
        file = encoded_image(part.image_url, f"{at}.image_url", index)
    elif part.file_url is not None:
        raise UnsupportedContent("Files are not fetched from the web: send the file itself, as file_data.", param=f"{at}.file_url")
    else:
        file = encoded_file(part.file_data, part.filename, f"{at}.file_data", index)
    return await asyncio.to_thread(decode_to_disk, file, spool, limits.file_bytes)
