"""A response while it is made, and its events."""

import time
from typing import Final

import orjson

from assistant.api.middleware.errors import error_fields
from assistant.api.responses.input import ResponseInput
from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import FinishReason, Json, ToolCall, Usage
from assistant.contracts.models import Scored
from assistant.contracts.turns import TurnFinished
from assistant.store.responses import Item

_INCOMPLETE: Final[dict[FinishReason, str]] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer ends early, by what the model said."""


class ResponseBuilder:
    """One response on its way. Its ids come from the turn's, so that a log line and an answer can be brought together."""

    def __init__(self, turn_id: str, asked: ResponseInput) -> None:
        self._number = turn_id.removeprefix("turn_")
        self.id = f"resp_{self._number}"
        self.message_id = f"msg_{self._number}"
        request, sampling = asked.request, asked.chat.sampling
        self.created = int(time.time())
        self._head: Item = {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "model": asked.model,
            "instructions": request.instructions,
            "previous_response_id": request.previous_response_id,
            "store": asked.keeps,
            "tools": [tool.model_dump() for tool in request.tools or ()],
            "tool_choice": _choice(asked),
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_logprobs": request.top_logprobs or 0,
            "max_output_tokens": sampling.max_tokens,
            "text": {"format": _format(asked)},
            "reasoning": {"effort": sampling.reasoning_effort, "summary": None},
            "truncation": request.truncation or "disabled",
            "background": False,
            "user": request.user,
            "metadata": {**(request.metadata or {})},
        }
        self._ended: Item | None = None

    def begun(self) -> Item:
        return self._body("in_progress")

    def finished(self, end: TurnFinished) -> Item:
        """The whole response. Always the same object: it is stored, and then told."""
        if self._ended is None:
            reason = _INCOMPLETE.get(end.finish_reason)
            self._ended = self._body(
                "completed" if reason is None else "incomplete",
                incomplete_details=None if reason is None else {"reason": reason},
                output=[*self.output(end)],
                usage=_usage(end.usage),
            )
        return self._ended

    def failed(self, error: NanobotError) -> Item:
        return self._body("failed", error={"code": _code(error), "message": error.message})

    def output(self, end: TurnFinished) -> list[Item]:
        """What was said, and after it the calls of the client's functions."""
        answer = end.answers[0] if end.answers else None
        text = answer.text if answer else end.text
        calls = answer.tool_calls if answer else ()
        status = "incomplete" if end.finish_reason in _INCOMPLETE else "completed"
        scores = answer.logprobs if isinstance(answer, Scored) and isinstance(answer.logprobs, dict) else {}
        said = [self.message(text, status, scores.get("content") or [])] if text or not calls else []
        return [*said, *[self.call(index, call) for index, call in enumerate(calls)]]

    def message(self, text: str | None, status: str, scores: Json) -> Item:
        """None: nothing is said yet."""
        content: list[Json] = [] if text is None else [text_part(text, scores)]
        return {"id": self.message_id, "type": "message", "status": status, "role": "assistant", "content": content}

    def call(self, index: int, call: ToolCall) -> Item:
        item: Item = {"id": f"fc_{self._number}{index}", "type": "function_call", "status": "completed"}
        return {**item, "call_id": call.id, "name": call.name, "arguments": call.arguments}

    def _body(
        self, status: str, *, error: Json = None, incomplete_details: Json = None, output: list[Json] | None = None, usage: Json = None
    ) -> Item:
        ended: Item = {"status": status, "error": error, "incomplete_details": incomplete_details, "output": output or [], "usage": usage}
        completed_at = int(time.time()) if status == "completed" else None
        return {**self._head, **ended, "completed_at": completed_at}


def text_part(text: str, scores: Json) -> Item:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": scores}


def interrupted(body: Item) -> Item:
    """A response whose end was not stored, as it is shown: it began, and it will never end."""
    error: Item = {"code": "server_error", "message": "The server stopped before the answer was kept."}
    return {**body, "status": "failed", "error": error}


def _code(error: NanobotError) -> str:
    """One of the few that OpenAI's response objects know."""
    return {400: "invalid_prompt", 429: "rate_limit_exceeded"}.get(error.status, "server_error")


def _choice(asked: ResponseInput) -> Json:
    choice = asked.request.tool_choice
    return (choice or "auto") if choice is None or isinstance(choice, str) else choice.model_dump()


def _format(asked: ResponseInput) -> Json:
    wanted = asked.request.text.format if asked.request.text else None
    return {"type": "text"} if wanted is None else wanted.model_dump(by_alias=True, exclude_none=True)


def _usage(counted: Usage) -> Item:
    return {
        "input_tokens": counted.prompt_tokens,
        "input_tokens_details": {"cached_tokens": counted.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": counted.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": counted.prompt_tokens + counted.completion_tokens,
    }


_BEGINNING = ("response.created", "response.in_progress")


class ResponseEvents:
    """created, in_progress; then what is said, as an item that is added, grows and is done; then each call of a function likewise; then
    completed, incomplete or failed. Events are numbered."""

    def __init__(self, draft: ResponseBuilder) -> None:
        self._draft = draft
        self._numbered = len(_BEGINNING)
        self._speaks = False
        """Whether the message was begun."""
        self._where: Item = {"item_id": draft.message_id, "output_index": 0, "content_index": 0}

    def begin(self) -> bytes:
        """Called when the stream begins, which is after its first words were made into events: so these have their numbers from the start."""
        begun = self._draft.begun()
        return b"".join([_event(kind, number, {"response": begun}) for number, kind in enumerate(_BEGINNING)])

    def text(self, text: str, index: int = 0) -> bytes:
        opened = b"" if self._speaks else self._opened()
        return opened + self._event("response.output_text.delta", **self._where, delta=text, logprobs=[])

    def end(self, finished: TurnFinished) -> bytes:
        body = self._draft.finished(finished)
        written: list[bytes] = []
        for place, item in enumerate(self._draft.output(finished)):
            written += self._message_done(item) if item["type"] == "message" else self._call(place, item)
        last = "response.completed" if body["status"] == "completed" else "response.incomplete"
        return b"".join([*written, self._event(last, response=body)])

    def failure(self, error: NanobotError) -> bytes:
        """The response that failed, and behind it the error: official clients raise the latter, and would take the former for an answer."""
        failed, fields = self._event("response.failed", response=self._draft.failed(error)), error_fields(error)
        return failed + self._event("error", code=fields["code"], message=fields["message"], param=fields["param"], error=fields)

    def _opened(self) -> bytes:
        self._speaks = True
        item, part = self._draft.message(None, "in_progress", []), text_part("", [])
        added = self._event("response.output_item.added", output_index=0, item=item)
        return added + self._event("response.content_part.added", **self._where, part=part)

    def _message_done(self, item: Item) -> list[bytes]:
        """`item`: as it is at the end."""
        content = item["content"]
        part = content[0] if isinstance(content, list) else None
        said: Item = part if isinstance(part, dict) else {}
        begun = b"" if self._speaks else self.text(str(said["text"])) if said["text"] else self._opened()
        return [
            begun,
            self._event("response.output_text.done", **self._where, text=said["text"], logprobs=said["logprobs"]),
            self._event("response.content_part.done", **self._where, part=part),
            self._event("response.output_item.done", output_index=0, item=item),
        ]

    def _call(self, place: int, item: Item) -> list[bytes]:
        """Calls come whole, the arguments in one delta."""
        where: Item = {"item_id": item["id"], "output_index": place}
        return [
            self._event("response.output_item.added", output_index=place, item={**item, "status": "in_progress", "arguments": ""}),
            self._event("response.function_call_arguments.delta", **where, delta=item["arguments"]),
            self._event("response.function_call_arguments.done", **where, arguments=item["arguments"], name=item["name"]),
            self._event("response.output_item.done", output_index=place, item=item),
        ]

    def _event(self, kind: str, **fields: Json) -> bytes:
        self._numbered += 1
        return _event(kind, self._numbered - 1, fields)


def _event(kind: str, number: int, fields: Item) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, "sequence_number": number, **fields}) + b"\n\n"
