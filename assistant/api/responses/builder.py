"""A response while it is made, and its events."""

import time
from typing import Any, Final, Literal

from assistant.api.answers import OwnAnswer
from assistant.api.middleware.errors import error_fields
from assistant.api.responses import answers
from assistant.api.responses.input import ResponseInput
from assistant.api.responses.thoughts import sealed
from assistant.api.responses.wire import AllowedFunctions, FunctionTool, NamedFunction, ResponseToolChoice
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
        self.message_id, self.reasoning_id = f"msg_{self._number}", f"rs_{self._number}"
        self.created = int(time.time())
        self.begun = answers.ResponseObject.model_validate(
            {"id": self.id, "status": "in_progress", "created_at": self.created, "model": asked.model, **_echoed(asked)}
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
                output_tokens_details=answers.OutputDetails(reasoning_tokens=counted.reasoning_tokens),
                total_tokens=counted.prompt_tokens + counted.completion_tokens,
            )
            self._finished = self.begun.model_copy(
                update={
                    "status": "incomplete" if reason else "completed",
                    "completed_at": None if reason else int(time.time()),
                    "incomplete_details": reason,
                    "output": self._output(end),
                    "usage": usage,
                    "nanobot": OwnAnswer.model_validate(end) if end.effects or end.pending else None,
                }
            )
        return self._finished

    def failed(self, error: NanobotError) -> answers.ResponseObject:
        """With one of the few codes that OpenAI's response objects know."""
        code = "invalid_prompt" if error.status == 400 else "rate_limit_exceeded" if error.status == 429 else "server_error"
        return self.begun.model_copy(update={"status": "failed", "error": answers.ResponseFailure(code=code, message=error.message)})

    def message(self, *content: answers.OutputTextPart, status: Literal["in_progress", "completed", "incomplete"]) -> answers.OutputMessage:
        return answers.OutputMessage(id=self.message_id, status=status, content=list(content))

    def reasoning(self, text: str, kept: str | None = None) -> answers.OutputReasoning:
        """`kept`: what the provider wants back."""
        summary = [answers.SummaryPart(text=text)] if text else []
        return answers.OutputReasoning(id=self.reasoning_id, summary=summary, encrypted_content=kept)

    def _output(self, end: TurnFinished) -> list[answers.OutputItem]:
        """The thoughts, the text, and after it the calls of the client's functions."""
        answer = end.answers[0] if end.answers else None
        text, thoughts = (answer.text, answer.reasoning) if answer else (end.text, end.reasoning)
        calls = answer.tool_calls if answer else ()
        kept = sealed(answer) if answer else None
        scores = answer.logprobs if isinstance(answer, Scored) and isinstance(answer.logprobs, dict) else {}
        part = answers.OutputTextPart.model_validate({"text": text, "logprobs": scores.get("content") or []})
        said: list[answers.OutputItem] = [self.reasoning(thoughts, kept)] if thoughts or kept else []
        if text or not calls:
            said.append(self.message(part, status="incomplete" if end.finish_reason in _INCOMPLETE else "completed"))
        for index, call in enumerate(calls):
            said.append(answers.OutputCall(id=f"fc_{self._number}{index}", call_id=call.id, name=call.name, arguments=call.arguments))
        return said


def _echoed(asked: ResponseInput) -> dict[str, Any]:
    """The options of a request as its response shows them."""
    request, sampling = asked.request, asked.chat.sampling
    wanted = request.text.format if request.text else None
    shown = {"format": {"type": "text"} if wanted is None else wanted.model_dump(by_alias=True, exclude_none=True)}
    return {
        "instructions": request.instructions,
        "previous_response_id": request.previous_response_id,
        "store": asked.keeps,
        "tools": [tool for tool in request.tools or () if isinstance(tool, FunctionTool)],
        "tool_choice": _choice(request.tool_choice),
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "temperature": 1 if sampling.temperature is None else sampling.temperature,
        "top_p": 1 if sampling.top_p is None else sampling.top_p,
        "presence_penalty": sampling.presence_penalty or 0,
        "frequency_penalty": sampling.frequency_penalty or 0,
        "top_logprobs": request.top_logprobs or 0,
        "max_output_tokens": sampling.max_tokens,
        "max_tool_calls": request.max_tool_calls,
        "text": {**shown, "verbosity": request.text.verbosity if request.text else None},
        "reasoning": {"effort": sampling.reasoning_effort, "summary": request.reasoning.summary if request.reasoning else None},
        "truncation": request.truncation or "disabled",
        "service_tier": request.service_tier or "default",
        "user": request.user,
        "safety_identifier": request.safety_identifier,
        "prompt_cache_key": request.prompt_cache_key,
        "prompt_cache_retention": request.prompt_cache_retention,
        "metadata": request.metadata or {},
        "notices": list(asked.notices),
    }


def _choice(choice: ResponseToolChoice | None) -> Any:
    """As sent, without the tools that are left out."""
    if not isinstance(choice, AllowedFunctions):
        return choice or "auto"
    return {"mode": choice.mode, "tools": [tool for tool in choice.tools if isinstance(tool, NamedFunction)]}


def interrupted(body: Item) -> Item:
    """A response whose end was not stored: it began, and will never end."""
    error: Item = {"code": "server_error", "message": "The server stopped before the answer was kept."}
    return {**body, "status": "failed", "error": error}


class ResponseEvents:
    """created, in_progress; the thoughts, the text and each call of a function as items that are added, grow and are done; then completed, incomplete
    or failed. Events are numbered, and an item's place is that in which it was added: thoughts that begin after the text come behind it, whole."""

    def __init__(self, draft: ResponseBuilder) -> None:
        self._draft = draft
        self._numbered = 2  # created and in_progress, which `begin` numbers
        self._places: dict[str, int] = {}
        """Of the items that were added, by their ids."""

    def begin(self) -> bytes:
        """Called when the stream begins, after its first words became events: their numbers allow for these two."""
        created = answers.ResponseStateEvent(sequence_number=0, type="response.created", response=self._draft.begun)
        return _encoded(created) + _encoded(created.model_copy(update={"sequence_number": 1, "type": "response.in_progress"}))

    def text(self, text: str, index: int = 0) -> bytes:
        return self._open() + self._event(answers.OutputTextDeltaEvent, **self._content(), delta=text)

    def thought(self, text: str, index: int = 0) -> bytes:
        if self._draft.message_id in self._places and self._draft.reasoning_id not in self._places:
            return b""  # `end` sends them
        return self._think(self._draft.reasoning(text)) + self._event(answers.SummaryDeltaEvent, **self._summary(), delta=text)

    def end(self, finished: TurnFinished) -> bytes:
        response = self._draft.finished(finished)
        items = sorted(response.output, key=lambda item: self._places.get(item.id, len(self._places)))
        sent: list[bytes] = []
        for item in items:
            match item:
                case answers.OutputReasoning():
                    sent += self._thoughts_done(item)
                case answers.OutputMessage():
                    sent += self._message_done(item)
                case answers.OutputCall():
                    sent += self._call(item)
            sent.append(
                self._event(answers.OutputItemEvent, type="response.output_item.done", output_index=self._places[item.id], item=item)
            )
        return b"".join([*sent, self._event(answers.ResponseStateEvent, type=f"response.{response.status}", response=response)])

    def failure(self, error: NanobotError) -> bytes:
        """The failed response, and behind it the error: official clients raise the error, and would take the response for an answer."""
        fields = error_fields(error)
        failed = self._event(answers.ResponseStateEvent, type="response.failed", response=self._draft.failed(error))
        return failed + self._event(
            answers.FailureEvent, code=fields["code"], message=fields["message"], param=fields["param"], error=fields
        )

    def _content(self) -> dict[str, Any]:
        return {**self._where(self._draft.message_id), "content_index": 0}

    def _summary(self) -> dict[str, Any]:
        return {**self._where(self._draft.reasoning_id), "summary_index": 0}

    def _where(self, item_id: str) -> dict[str, Any]:
        return {"item_id": item_id, "output_index": self._places[item_id]}

    def _add(self, item: answers.OutputItem) -> bytes:
        place = self._places[item.id] = len(self._places)
        return self._event(answers.OutputItemEvent, type="response.output_item.added", output_index=place, item=item)

    def _open(self) -> bytes:
        if self._draft.message_id in self._places:
            return b""
        part = answers.OutputTextPart(text="")
        added = self._add(self._draft.message(status="in_progress"))
        return added + self._event(answers.ContentPartEvent, type="response.content_part.added", **self._content(), part=part)

    def _think(self, item: answers.OutputReasoning) -> bytes:
        if item.id in self._places:
            return b""
        added, part = self._add(self._draft.reasoning("")), answers.SummaryPart(text="")
        if not item.summary:  # only what the provider wants back
            return added
        return added + self._event(answers.SummaryPartEvent, type="response.reasoning_summary_part.added", **self._summary(), part=part)

    def _thoughts_done(self, item: answers.OutputReasoning) -> list[bytes]:
        came = item.id in self._places
        sent = [self._think(item)]
        for part in item.summary:
            sent += [
                b"" if came else self._event(answers.SummaryDeltaEvent, **self._summary(), delta=part.text),
                self._event(answers.SummaryDoneEvent, **self._summary(), text=part.text),
                self._event(answers.SummaryPartEvent, type="response.reasoning_summary_part.done", **self._summary(), part=part),
            ]
        return sent

    def _message_done(self, item: answers.OutputMessage) -> list[bytes]:
        (part,) = item.content
        return [
            self.text(part.text) if part.text and item.id not in self._places else self._open(),
            self._event(answers.OutputTextDoneEvent, **self._content(), text=part.text, logprobs=part.logprobs),
            self._event(answers.ContentPartEvent, type="response.content_part.done", **self._content(), part=part),
        ]

    def _call(self, item: answers.OutputCall) -> list[bytes]:
        """Calls come whole, the arguments in one delta."""
        return [
            self._add(item.model_copy(update={"status": "in_progress", "arguments": ""})),
            self._event(answers.ArgumentsDeltaEvent, **self._where(item.id), delta=item.arguments),
            self._event(answers.ArgumentsDoneEvent, **self._where(item.id), arguments=item.arguments, name=item.name),
        ]

    def _event(self, event: type[answers.AnyEvent], **fields: Any) -> bytes:
        self._numbered += 1
        return _encoded(event(sequence_number=self._numbered - 1, **fields))


def _encoded(event: answers.AnyEvent) -> bytes:
    return f"event: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()
