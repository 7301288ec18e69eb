"""Whether what was answered is what the server's own description says of it, on whichever client's behalf it was asked."""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from assistant.api.openapi import data_of
from tests.flow.openapi_check import check, fits

from .conversation import Exchange

Document = Mapping[str, Any]
_ERROR = {"$ref": "#/components/schemas/ErrorAnswer"}


def check_exchange(exchange: Exchange, document: Document) -> None:
    """Fails with what of the answer is not described: its status, its kind, a field, an event, a header that is on every answer."""
    at = f"{exchange.method} {exchange.target} {exchange.status}"
    assert exchange.answer["x-request-id"], f"{at}: no x-request-id"
    assert re.fullmatch(r"\d+", exchange.answer["openai-processing-ms"] or ""), f"{at}: no openai-processing-ms"
    path = _described(exchange.path, document)
    if path is None or exchange.method.lower() not in document["paths"][path]:
        check(json.loads(exchange.body), _ERROR, document, at)
        return
    declared = document["paths"][path][exchange.method.lower()]["responses"]
    assert str(exchange.status) in declared, f"{at} is not described"
    content = declared[str(exchange.status)]["content"]
    assert exchange.kind in content, f"{at}: {exchange.kind} is not described"
    if exchange.kind == "application/json":
        check(json.loads(exchange.body), content[exchange.kind]["schema"], document, at)
    if exchange.kind == "text/event-stream":
        schema = data_of(content[exchange.kind])
        assert schema is not None, f"{at}: its events are not described"
        _check_events(exchange.events, schema, document, at)


def check_form(example: Any, answer: Any, at: str = "$") -> None:
    """Fails where something that an example shows is not in the answer, or of another type; the answer may hold more."""
    assert type(answer) is type(example), f"{at}: {answer!r}"
    if isinstance(example, dict):
        for name, value in cast("dict[str, Any]", example).items():
            assert name in answer, f"{at}.{name} is not there"
            check_form(value, answer[name], f"{at}.{name}")
    if isinstance(example, list):
        check_form(example[0], answer[0], f"{at}[0]")


def _check_events(events: list[str], schema: Document, document: Document, at: str) -> None:
    """Each is as described, and the last one is `[DONE]`, a failure, or the end of a response."""
    assert events, f"{at}: a stream without events"
    *chunks, last = events
    if last != "[DONE]":
        said = json.loads(last)
        assert fits(said, _ERROR, document) or said.get("type") in _ENDS, f"{at}: the stream ends with {last}"
        chunks = events
    for number, chunk in enumerate(chunks):
        check(json.loads(chunk), schema, document, f"{at}, event {number}")


_ENDS = ("response.completed", "response.incomplete", "error")


def _described(path: str, document: Document) -> str | None:
    """The path of the description that this one is an instance of; one without parameters first."""
    if path in document["paths"]:
        return path
    for template in document["paths"]:
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return template
    return None
