"""A workflow that is talked to: what was said as its inputs, and its outputs as what is answered."""

from collections.abc import Sequence
from typing import Final

import orjson

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import Json
from assistant.contracts.turns import Asked, Earlier, Upload, Words
from assistant.contracts.workflows import WorkflowInfo

_SAID: Final = ("message", "prompt", "text", "input", "question")
"""What the input is called, the first of them that there is, that gets the words of a message; else it is the first that takes text."""


def params_said(workflow: WorkflowInfo, words: str, history: Sequence[Earlier] = ()) -> dict[str, Json]:
    """The inputs that the words of a message are. `history`: what was said before it; the whole conversation goes to a JSON input `messages`."""
    taking = [each.name for each in workflow.inputs if each.type == "text"]
    named = [name for name in _SAID if name in taking] or taking
    said: list[Json] = [*map(_turn, history), {"role": "user", "content": words}]
    told: dict[str, Json] = {each.name: said for each in workflow.inputs if (each.name, each.type) == ("messages", "json")}
    return {**told, **({named[0]: words} if named and words else {})}


def files_said(workflow: WorkflowInfo, uploads: Sequence[Upload]) -> dict[str, Upload]:
    """The files of a message by the file inputs, in order. Raises InvalidRequest where there are more files."""
    taking = [each.name for each in workflow.inputs if each.type == "file"]
    if len(uploads) > len(taking):
        raise InvalidRequest(f"There are more files than the workflow takes: {', '.join(taking) or 'none'}.", param="content")
    return dict(zip(taking, uploads, strict=False))


def words_of(said: Asked) -> str:
    return "\n".join([part.text for part in said.content if isinstance(part, Words)])


def results_text(results: dict[str, Json]) -> str:
    """What a message says of a workflow's outputs: the only one as it is, more of them each under its name."""
    texts = {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in results.items()}
    return next(iter(texts.values())) if len(texts) == 1 else "\n\n".join([f"{name}: {text}" for name, text in texts.items()])


def _turn(said: Earlier) -> Json:
    if isinstance(said, Asked):
        return {"role": "user", "content": words_of(said)}
    return {"role": said.role, "content": said.text}
