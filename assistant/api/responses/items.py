"""Items of a response's input: their files, how they are stored, and how they are found again."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from assistant.api.body.spool import Spool, decode_to_disk
from assistant.api.chat.extras import is_web_address
from assistant.api.chat.read import encoded_file, encoded_image
from assistant.api.responses import wire
from assistant.api.responses.answers import OutputCall, OutputTextPart
from assistant.contracts.errors import InvalidRequest, NoSuchFile, NotFound, RequestTooLarge, UnsupportedContent
from assistant.contracts.messages import Json
from assistant.contracts.turns import Upload
from assistant.contracts.util import new_id
from assistant.store.responses import Item, KeptResponse, ResponseStore

PartPath = tuple[int, int]
"""Of a file: which item, and which of its parts."""


@dataclass(frozen=True, slots=True)
class SentFiles:
    """A file of a request, and the id that it is kept by."""

    id: str
    upload: Upload


async def take_files(items: Sequence[wire.InputItem], spool: Spool, *, links: bool) -> dict[PartPath, SentFiles]:
    """All files of a request's own input. `links`: web addresses of pictures stay what they are. Raises InvalidRequest and its kin, each with the
    part's path."""
    found: dict[PartPath, SentFiles] = {}
    for place, part in _files(items):
        if links and is_link(part):
            continue
        where = "output" if isinstance(items[place[0]], wire.FunctionOutput) else "content"
        found[place] = SentFiles(new_id("file"), await _take(part, f"input.{place[0]}.{where}.{place[1]}", place[1], spool))
    return found


def is_link(part: wire.InputPart) -> bool:
    """Whether it is a picture by its web address."""
    return isinstance(part, wire.InputImage) and part.file_id is None and is_web_address(part.image_url or "")


async def recall_files(items: Sequence[wire.InputItem], spool: Spool) -> dict[PartPath, Upload]:
    """The files of earlier responses, the latest first: as many as a request may hold beside its own, and as are still there."""
    found: dict[PartPath, Upload] = {}
    for place, part in reversed(list(_files(items))):
        if part.file_id is not None:
            try:
                found[place] = await spool.take_named(part.file_id, "previous_response_id")
            except (NoSuchFile, RequestTooLarge, InvalidRequest):
                continue
    return found


def missing(part: wire.InputImage | wire.InputFile) -> str:
    """The text in place of a file that is gone."""
    name = f" called '{part.filename}'" if isinstance(part, wire.InputFile) and part.filename else ""
    return f"(There was {'an image' if isinstance(part, wire.InputImage) else 'a file'}{name} here, which can't be seen any more.)"


def _files(items: Sequence[wire.InputItem]) -> Iterator[tuple[PartPath, wire.InputImage | wire.InputFile]]:
    for item_index, item in enumerate(items):
        for index, part in enumerate(parts_of_item(item)):
            if isinstance(part, wire.InputImage | wire.InputFile):
                yield (item_index, index), part


def parts_of_item(item: wire.InputItem) -> Sequence[wire.InputPart]:
    """The parts of a user's message or of an output; none of one that is a text, and of other items."""
    content = item.content if isinstance(item, wire.InputMessage) and item.role == "user" else getattr(item, "output", "")
    return () if isinstance(content, str) else content


async def _take(part: wire.InputImage | wire.InputFile, at: str, index: int, spool: Spool) -> Upload:
    fields: Mapping[str, str | None] = (
        {"image_url": part.image_url} if isinstance(part, wire.InputImage) else {"file_data": part.file_data, "file_url": part.file_url}
    )
    given = [name for name, value in {**fields, "file_id": part.file_id}.items() if value is not None]
    if len(given) > 1:
        raise InvalidRequest(f"Send '{given[0]}' or '{given[1]}', not both.", param=f"{at}.{given[1]}")
    if part.file_id is not None:
        return await spool.take_named(part.file_id, f"{at}.file_id")
    if isinstance(part, wire.InputImage):
        if part.image_url is None:
            raise InvalidRequest(f"'{at}.image_url' is missing.", param=f"{at}.image_url")
        file = encoded_image(part.image_url, f"{at}.image_url", index)
    elif part.file_url is not None:
        raise UnsupportedContent("Files are not fetched from the web: send the file itself, as file_data.", param=f"{at}.file_url")
    else:
        file = encoded_file(part.file_data, part.filename, f"{at}.file_data", index)
    return await asyncio.to_thread(decode_to_disk, file, spool)


_ITEMS: TypeAdapter[list[wire.InputItem]] = TypeAdapter(list[wire.InputItem])
_MOST_RECALLED: Final = 8_192
"""Items: four times what one request may hold."""


def kept_items(items: Sequence[wire.InputItem], files: Mapping[PartPath, SentFiles], response_id: str) -> tuple[Item, ...]:
    """The items to be stored, which `recalled` reads again. Their ids name the response, as those of its output do."""
    number = response_id.partition("_")[2]
    return tuple([kept for index, item in enumerate(items) if (kept := _item(item, index, files, number)) is not None])


def recalled(chain: Sequence[KeptResponse]) -> list[wire.InputItem]:
    """The inputs and outputs of these responses, as if the client sent them again: of the latest, and of earlier ones up to _MOST_RECALLED
    items. Slow: call it in a thread."""
    said: list[Item] = []
    for response in reversed(chain):
        items = _all(response)
        if said and len(said) + len(items) > _MOST_RECALLED:
            break
        said += reversed(items)
    return _ITEMS.validate_python(said[::-1])


class ItemNotFound(NotFound, code="item_not_found"):
    """There is no such item."""


async def dereferenced(
    items: Sequence[wire.InputItem], chain: Sequence[KeptResponse], store: ResponseStore, owner: str
) -> list[wire.InputItem]:
    """The items, with what is referred to in place of the references: without what `chain` or the items hold already. Raises ItemNotFound."""
    if not any(isinstance(item, wire.ItemReference) for item in items):
        return list(items)
    here: set[str] = {str(item["id"]) for response in chain for item in _all(response) if "id" in item}
    looked: dict[str, dict[Json, Item]] = {}
    found: list[wire.InputItem] = []
    for index, item in enumerate(items):
        if not isinstance(item, wire.ItemReference):
            found.append(item)
            continue
        if item.id in here:
            continue
        made = _ITEM_ID.fullmatch(item.id)
        response = f"resp_{made[1]}" if made else ""
        if made and response not in looked:
            kept = await store.get(owner, response)
            looked[response] = {each.get("id"): each for each in _all(kept)} if kept else {}
        value = looked.get(response, {}).get(item.id)
        if value is None:
            words = "it was never kept ('store': false), deleted, or is another server's. Send the item itself."
            raise ItemNotFound(f"The item '{item.id[:64]}' is not here: {words}", param=f"input.{index}.id")
        here.add(item.id)
        found.append(_ITEMS.validate_python([value])[0])
    return found


def _all(response: KeptResponse) -> list[Item]:
    output = response.body.get("output")
    return [*response.input, *([item for item in output if isinstance(item, dict)] if isinstance(output, list) else [])]


_ITEM_ID: Final = re.compile(r"[a-z]{2,8}_([0-9a-f]{28})(?:\d{1,4}|i\d{1,4})?")
"""Of an item that this server gave out: the number of its response, and its place there."""


def _item(item: wire.InputItem, index: int, files: Mapping[PartPath, SentFiles], number: str) -> Item | None:
    match item:
        case wire.FunctionCall():
            made = OutputCall(id=f"fc_{number}i{index}", call_id=item.call_id, name=item.name, arguments=item.arguments)
            return made.model_dump()
        case wire.CustomCall():
            return {"id": f"ctc_{number}i{index}", "status": "completed", **item.model_dump()}
        case wire.FunctionOutput():
            output: Json = item.output if isinstance(item.output, str) else _parts(item.output, index, files)
            return {"id": f"fco_{number}i{index}", "type": item.type, "status": "completed", "call_id": item.call_id, "output": output}
        case wire.ReasoningItem():
            return {"id": f"rs_{number}i{index}", **item.model_dump(exclude_none=True), "summary": _dumped(item.summary)}
        case wire.InputMessage():
            said = item.content
            kind = "output_text" if item.role == "assistant" else "input_text"
            content: list[Json] = [_text(kind, said)] if isinstance(said, str) else _parts(said, index, files)
            return {"id": f"msg_{number}i{index}", "type": "message", "status": "completed", "role": item.role, "content": content}
        case _:
            return None


def _dumped(summary: Sequence[wire.ReasoningText] | None) -> list[Json]:
    return [part.model_dump() for part in summary or ()]


def _parts(parts: Sequence[wire.InputPart], index: int, files: Mapping[PartPath, SentFiles]) -> list[Json]:
    return [_part(part, files.get((index, place))) for place, part in enumerate(parts)]


def _part(part: wire.InputPart, sent: SentFiles | None) -> Json:
    if isinstance(part, wire.InputImage):
        link = part.image_url if sent is None and is_link(part) else None
        return {"type": "input_image", "detail": part.detail or "auto", "image_url": link, "file_id": sent.id if sent else None}
    if isinstance(part, wire.InputFile):
        return {"type": "input_file", "filename": sent.upload.name if sent else part.filename, "file_id": sent.id if sent else None}
    return {"type": "refusal", "refusal": part.refusal} if isinstance(part, wire.RefusalPart) else _text(part.type, part.text)


def _text(kind: str, text: str) -> Item:
    return OutputTextPart(text=text).model_dump() if kind == "output_text" else {"type": kind, "text": text}
