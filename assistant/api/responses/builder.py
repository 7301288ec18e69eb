"""A response while it is made, and its events."""

import time
from typing import Any, Final, Literal

from assistant.api.middleware.errors import error_fields
from assistant.api.responses import answers
from assistant.api.responses.input import ResponseInput
from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import FinishReason
from assistant.contracts.models import Scored
from assistant.contracts.turns import TurnFinished
from assistant.store.responses import Item

_INCOMPLETE: Final[dict[FinishReason, answers.Incomplete]] = {
    "length": answers.Incomplete(reason="max_output_tokens"),
    "content_filter": answers.Incomplete(reason="content_filter"),
}
"""Why an answer ends early, by the model's finish reason."""


class ResponseBuilder:
    """Builds a response. Its ids come from the turn's id, so that a log line can be matched with an answer."""

    def __init__(self, turn_id: str, asked: ResponseInput) -> None:
        self._number = turn_id.removeprefix("turn_")
        self.id = f"resp_{self._number}"
        self.message_id = f"msg_{self._number}"
        request, sampling = asked.request, asked.chat.sampling
        wanted = request.text.format if request.text else None
        self.created = int(time.time())
        self.begun = answers.ResponseObject.model_validate(
            {
                "id": self.id,
                "status": "in_progress",
                "created_at": self.created,
                "model": asked.model,
                "instructions": request.instructions,
                "previous_response_id": request.previous_response_id,
                "store": asked.keeps,
                "tools": request.tools or (),
                "tool_choice": request.tool_choice or "auto",
                "parallel_tool_calls": request.parallel_tool_calls is not False,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_logprobs": request.top_logprobs or 0,
                "max_output_tokens": sampling.max_tokens,
                "text": {"format": {"type": "text"} if wanted is None else wanted.model_dump(by_alias=True, exclude_none=True)},
                "reasoning": {"effort": sampling.reasoning_effort},
                "truncation": request.truncation or "disabled",
                "user": request.user,
                "metadata": request.metadata or {},
            }
        )
        self._finished: answers.ResponseObject | None = None

    def finished(self, end: TurnFinished) -> answers.ResponseObject:
        """The whole response, always the same object: it is stored, and then sent."""
        if self._finished is None:
            reason, counted = _INCOMPLETE.get(end.finish_reason), end.usage
            usage = answers.ResponseUsage(
                input_tokens=counted.prompt_tokens,
                input_tokens_details=answers.InputDetails(cached_tokens=counted.cached_tokens),
                output_tokens=counted.completion_tokens,
                total_tokens=counted.prompt_tokens + counted.completion_tokens,
            )
            self._finished = self.begun.model_copy(
                update={
                    "status": "incomplete" if reason else "completed",
                    "completed_at": None if reason else int(time.time()),
                    "incomplete_details": reason,
                    "output": self._output(end),
                    "usage": usage,
                }
            )
        return self._finished

    def failed(self, error: NanobotError) -> answers.ResponseObject:
        """With one of the few codes that OpenAI's response objects know."""
        code = "invalid_prompt" if error.status == 400 else "rate_limit_exceeded" if error.status == 429 else "server_error"
        return self.begun.model_copy(update={"status": "failed", "error": answers.ResponseFailure(code=code, message=error.message)})

    def message(self, *content: answers.OutputTextPart, status: Literal["in_progress", "completed", "incomplete"]) -> answers.OutputMessage:
        return answers.OutputMessage(id=self.message_id, status=status, content=list(content))

    def _output(self, end: TurnFinished) -> list[answers.OutputMessage | answers.OutputCall]:
        """The text, and after it the calls of the client's functions."""
        answer = end.answers[0] if end.answers else None
        text = answer.text if answer else end.text
        calls = answer.tool_calls if answer else ()
        scores = answer.logprobs if isinstance(answer, Scored) and isinstance(answer.logprobs, dict) else {}
        part = answers.OutputTextPart.model_validate({"text": text, "logprobs": scores.get("content") or []})
        said: list[answers.OutputMessage | answers.OutputCall] = (
            [self.message(part, status="incomplete" if end.finish_reason in _INCOMPLETE else "completed")] if text or not calls else []
        )
        for index, call in enumerate(calls):
            said.append(answers.OutputCall(id=f"fc_{self._number}{index}", call_id=call.id, name=call.name, arguments=call.arguments))
        return said


def interrupted(body: Item) -> Item:
    """A response whose end was not stored: it began, and will never end."""
    error: Item = {"code": "server_error", "message": "The server stopped before the answer was kept."}
    return {**body, "status": "failed", "error": error}


class ResponseEvents:
    """created, in_progress; the text as an item that is added, grows and is done; each call of a function likewise; then completed, incomplete
    or failed. Events are numbered."""

    def __init__(self, draft: ResponseBuilder) -> None:
        self._draft = draft
        self._numbered = 2  # created and in_progress, which `begin` numbers
        self._opened = False
        """Whether the message was added."""
        self._where: dict[str, Any] = {"item_id": draft.message_id, "output_index": 0, "content_index": 0}

    def begin(self) -> bytes:
        """Called when the stream begins, after its first words became events: their numbers allow for these two."""
        created = answers.ResponseStateEvent(sequence_number=0, type="response.created", response=self._draft.begun)
        return _encoded(created) + _encoded(created.model_copy(update={"sequence_number": 1, "type": "response.in_progress"}))

    def text(self, text: str, index: int = 0) -> bytes:
        return self._open() + self._event(answers.OutputTextDeltaEvent, **self._where, delta=text)

    def end(self, finished: TurnFinished) -> bytes:
        response = self._draft.finished(finished)
        sent: list[bytes] = []
        for place, item in enumerate(response.output):
            sent += self._message_done(item) if isinstance(item, answers.OutputMessage) else self._call(place, item)
        return b"".join([*sent, self._event(answers.ResponseStateEvent, type=f"response.{response.status}", response=response)])

    def failure(self, error: NanobotError) -> bytes:
        """The failed response, and behind it the error: official clients raise the error, and would take the response for an answer."""
        fields = error_fields(error)
        failed = self._event(answers.ResponseStateEvent, type="response.failed", response=self._draft.failed(error))
        return failed + self._event(
            answers.FailureEvent, code=fields["code"], message=fields["message"], param=fields["param"], error=fields
        )

    def _open(self) -> bytes:
        if self._opened:
            return b""
        self._opened = True
        item = self._draft.message(status="in_progress")
        return self._event(answers.OutputItemEvent, type="response.output_item.added", output_index=0, item=item) + self._event(
            answers.ContentPartEvent, type="response.content_part.added", **self._where, part=answers.OutputTextPart(text="")
        )

    def _message_done(self, item: answers.OutputMessage) -> list[bytes]:
        (part,) = item.content
        return [
            self.text(part.text) if part.text and not self._opened else self._open(),
            self._event(answers.OutputTextDoneEvent, **self._where, text=part.text, logprobs=part.logprobs),
            self._event(answers.ContentPartEvent, type="response.content_part.done", **self._where, part=part),
            self._event(answers.OutputItemEvent, type="response.output_item.done", output_index=0, item=item),
        ]

    def _call(self, place: int, item: answers.OutputCall) -> list[bytes]:
        """Calls come whole, the arguments in one delta."""
        added = item.model_copy(update={"status": "in_progress", "arguments": ""})
        where: dict[str, Any] = {"item_id": item.id, "output_index": place}
        return [
            self._event(answers.OutputItemEvent, type="response.output_item.added", output_index=place, item=added),
            self._event(answers.ArgumentsDeltaEvent, **where, delta=item.arguments),
            self._event(answers.ArgumentsDoneEvent, **where, arguments=item.arguments, name=item.name),
            self._event(answers.OutputItemEvent, type="response.output_item.done", output_index=place, item=item),
        ]

    def _event(self, event: type[answers.AnyEvent], **fields: Any) -> bytes:
        self._numbered += 1
        return _encoded(event(sequence_number=self._numbered - 1, **fields))


def _encoded(event: answers.AnyEvent) -> bytes:
    return f"event: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()
