"""Items as they are kept and listed: each with an id, and its files by theirs."""

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import TypeAdapter

from assistant.api.responses.files import Place, Sent
from assistant.api.responses.talk import words_of
from assistant.api.responses.wire import FunctionCall, InputFile, InputImage, InputItem, InputMessage, InputPart, Refusal
from assistant.contracts.ids import new_id
from assistant.contracts.messages import Json
from assistant.contracts.responses import Item, KeptResponse

_ITEMS: TypeAdapter[list[InputItem]] = TypeAdapter(list[InputItem])
_MOST_RECALLED: Final = 8_192
"""Items: four times what one request may hold."""


def kept_items(items: Sequence[InputItem], files: Mapping[Place, Sent]) -> tuple[Item, ...]:
    """What `recalled` reads again."""
    return tuple([_item(item, index, files) for index, item in enumerate(items)])


def recalled(chain: Sequence[KeptResponse]) -> list[InputItem]:
    """What was said in these responses, inputs and outputs, as if the client sent it again: of as many as hold no more than _MOST_RECALLED
    items, the latest at least. Takes its time: call it in a thread."""
    said: list[Item] = []
    for response in reversed(chain):
        output = response.body.get("output")
        items = [*response.input, *([item for item in output if isinstance(item, dict)] if isinstance(output, list) else [])]
        if said and len(said) + len(items) > _MOST_RECALLED:
            break
        said += reversed(items)
    return _ITEMS.validate_python(said[::-1])


def _item(item: InputItem, index: int, files: Mapping[Place, Sent]) -> Item:
    if isinstance(item, FunctionCall):
        called: Item = {"call_id": item.call_id, "name": item.name, "arguments": item.arguments}
        return {"id": new_id("fc"), "type": "function_call", "status": "completed", **called}
    if not isinstance(item, InputMessage):
        output: Item = {"call_id": item.call_id, "output": words_of(item, "output")}
        return {"id": new_id("fco"), "type": "function_call_output", "status": "completed", **output}
    kind = "output_text" if item.role == "assistant" else "input_text"
    parts = item.content if not isinstance(item.content, str) else ()
    content: list[Json] = [_part(part, files.get((index, place))) for place, part in enumerate(parts)]
    if isinstance(item.content, str):
        content = [_text(kind, item.content)]
    return {"id": new_id("msg"), "type": "message", "status": "completed", "role": item.role, "content": content}


def _part(part: InputPart, sent: Sent | None) -> Json:
    if isinstance(part, InputImage):
        return {"type": "input_image", "detail": "auto", "image_url": None, "file_id": sent.id if sent else None}
    if isinstance(part, InputFile):
        return {"type": "input_file", "filename": sent.upload.name if sent else part.filename, "file_id": sent.id if sent else None}
    return {"type": "refusal", "refusal": part.refusal} if isinstance(part, Refusal) else _text(part.type, part.text)


def _text(kind: str, text: str) -> Item:
    return {"type": kind, "text": text, **({"annotations": [], "logprobs": []} if kind == "output_text" else {})}
