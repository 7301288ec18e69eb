"""OpenAI's response object: as it begins, and as it ends."""

import time
from typing import Final

from assistant.api.responses.input import ResponseInput
from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import FinishReason, Json, ToolCall, Usage
from assistant.contracts.models import Scored
from assistant.contracts.responses import Item
from assistant.contracts.turns import TurnFinished

_INCOMPLETE: Final[dict[FinishReason, str]] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer ends early, by what the model said."""


class Draft:
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
