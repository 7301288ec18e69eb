"""Items of a response's input: collected into messages, and recalled from the store."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from assistant.api.body.spool import Spool, decode_to_disk
from assistant.api.chat.read import check_said, encoded_file, encoded_image
from assistant.api.responses import wire
from assistant.api.responses.answers import OutputCall, OutputTextPart
from assistant.contracts.errors import InvalidRequest, NoSuchFile, RequestTooLarge, UnsupportedContent
from assistant.contracts.messages import AssistantMessage, Json, ToolCall, ToolMessage
from assistant.contracts.turns import Earlier, HistoryMessage, Upload, UserText
from assistant.contracts.util import new_id
from assistant.store.responses import Item, KeptResponse

PartPath = tuple[int, int]
"""Of a file: which item, and which of its parts."""


@dataclass(frozen=True, slots=True)
class SentFiles:
    """A file of a request, and the id that it is kept by."""

    id: str
    upload: Upload


async def take_files(items: Sequence[wire.InputItem], spool: Spool) -> dict[PartPath, SentFiles]:
    """All files of a request's own input. Raises InvalidRequest and its kin, each with the part's path."""
    found: dict[PartPath, SentFiles] = {}
    for place, part in _files(items):
        found[place] = SentFiles(new_id("file"), await _take(part, f"input.{place[0]}.content.{place[1]}", place[1], spool))
    return found


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
        if isinstance(item, wire.InputMessage) and item.role == "user" and not isinstance(item.content, str):
            for index, part in enumerate(item.content):
                if isinstance(part, wire.InputImage | wire.InputFile):
                    yield (item_index, index), part


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


class ItemCollector:
    """Collects items into messages. Consecutive calls and texts of the assistant are one message, as models expect them.

    `at`: the path of an item, for errors. Each method raises InvalidRequest for an item that is out of place. `continues`: outputs that come first
    may answer calls that a session has.
    """

    def __init__(self, *, continues: bool = False) -> None:
        self._continues = continues
        self.instructions: list[str] = []
        self._said: list[Earlier] = []
        self._texts: list[str] = []
        self._calls: list[ToolCall] = []
        """The assistant's message that is being collected, with the texts."""
        self._waiting: dict[str, str] = {}

    @property
    def said(self) -> tuple[Earlier, ...]:
        self._close()
        return tuple(self._said)

    def message(self, message: wire.InputMessage, content: tuple[UserText | Upload, ...], at: str) -> None:
        """`content`: a user's, with its files."""
        match message.role:
            case "user":
                self.check_answered(at)
                check_said(content, f"{at}.content")
                self._say(HistoryMessage(content=content))
            case "assistant":
                self._texts.append(words_of(message, f"{at}.content"))
            case _:
                text = words_of(message, f"{at}.content")
                self.instructions += [text] if text.strip() else []

    def call(self, call: wire.FunctionCall, at: str) -> None:
        if call.call_id in self._waiting:
            raise InvalidRequest("Two calls have the same id.", param=f"{at}.call_id")
        self._calls.append(ToolCall(id=call.call_id, name=call.name, arguments=call.arguments))
        self._waiting[call.call_id] = call.name

    def output(self, output: wire.FunctionOutput, at: str) -> None:
        known = self.waits_for(output)
        if not known and not (self._continues and all(isinstance(each, ToolMessage) for each in self.said)):
            raise InvalidRequest("This answers no call that was made before and has no output yet.", param=f"{at}.call_id")
        text = words_of(output, f"{at}.output")
        name = self._waiting.pop(output.call_id, "")
        self._say(ToolMessage(id=new_id("msg"), call_id=output.call_id, name=name, text=text, from_client=True))

    def waits_for(self, output: wire.FunctionOutput) -> bool:
        return output.call_id in self._waiting

    def check_answered(self, at: str) -> None:
        """Raises InvalidRequest where a call has no output yet."""
        if self._waiting:
            raise InvalidRequest(f"The function call '{next(iter(self._waiting))[:64]}' has no function_call_output.", param=at)

    def _say(self, said: Earlier) -> None:
        self._close()
        self._said.append(said)

    def _close(self) -> None:
        if not self._texts and not self._calls:
            return
        text, calls = "\n".join(filter(None, self._texts)), tuple(self._calls)
        self._said.append(AssistantMessage(id=new_id("msg"), text=text, tool_calls=calls, finish_reason="tool_calls" if calls else "stop"))
        self._texts.clear()
        self._calls.clear()


def words_of(item: wire.InputMessage | wire.FunctionOutput, param: str) -> str:
    """The text of an item that holds nothing else. Raises UnsupportedContent for one with files."""
    content = item.content if isinstance(item, wire.InputMessage) else item.output
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for index, part in enumerate(content):
        if isinstance(part, wire.InputText | wire.OutputText):
            texts.append(part.text)
        elif isinstance(part, wire.RefusalPart):
            texts.append(part.refusal)
        else:
            raise UnsupportedContent("Only a user's message may hold images or files.", param=f"{param}.{index}.type")
    return "\n".join(texts)


_ITEMS: TypeAdapter[list[wire.InputItem]] = TypeAdapter(list[wire.InputItem])
_MOST_RECALLED: Final = 8_192
"""Items: four times what one request may hold."""


def kept_items(items: Sequence[wire.InputItem], files: Mapping[PartPath, SentFiles]) -> tuple[Item, ...]:
    """The items to be stored, which `recalled` reads again."""
    return tuple([_item(item, index, files) for index, item in enumerate(items)])


def recalled(chain: Sequence[KeptResponse]) -> list[wire.InputItem]:
    """The inputs and outputs of these responses, as if the client sent them again: of the latest, and of earlier ones up to _MOST_RECALLED
    items. Slow: call it in a thread."""
    said: list[Item] = []
    for response in reversed(chain):
        output = response.body.get("output")
        items = [*response.input, *([item for item in output if isinstance(item, dict)] if isinstance(output, list) else [])]
        if said and len(said) + len(items) > _MOST_RECALLED:
            break
        said += reversed(items)
    return _ITEMS.validate_python(said[::-1])


def _item(item: wire.InputItem, index: int, files: Mapping[PartPath, SentFiles]) -> Item:
    if isinstance(item, wire.FunctionCall):
        return OutputCall(id=new_id("fc"), call_id=item.call_id, name=item.name, arguments=item.arguments).model_dump()
    if isinstance(item, wire.FunctionOutput):
        output: Item = {"call_id": item.call_id, "output": words_of(item, "output")}
        return {"id": new_id("fco"), "type": "function_call_output", "status": "completed", **output}
    content: list[Json] = (
        [_text("output_text" if item.role == "assistant" else "input_text", item.content)]
        if isinstance(item.content, str)
        else [_part(part, files.get((index, place))) for place, part in enumerate(item.content)]
    )
    return {"id": new_id("msg"), "type": "message", "status": "completed", "role": item.role, "content": content}


def _part(part: wire.InputPart, sent: SentFiles | None) -> Json:
    if isinstance(part, wire.InputImage):
        return {"type": "input_image", "detail": "auto", "image_url": None, "file_id": sent.id if sent else None}
    if isinstance(part, wire.InputFile):
        return {"type": "input_file", "filename": sent.upload.name if sent else part.filename, "file_id": sent.id if sent else None}
    return {"type": "refusal", "refusal": part.refusal} if isinstance(part, wire.RefusalPart) else _text(part.type, part.text)


def _text(kind: str, text: str) -> Item:
    return OutputTextPart(text=text).model_dump() if kind == "output_text" else {"type": kind, "text": text}
