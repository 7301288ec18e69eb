"""The events of a response that is streamed, in the order that OpenAI documents. Fulfils `chat.stream.Spoken`."""

import orjson

from assistant.api.middleware.errors import error_fields
from assistant.api.responses.draft import Draft, text_part
from assistant.contracts.errors import NanobotError
from assistant.contracts.messages import Json
from assistant.contracts.responses import Item
from assistant.contracts.turns import TurnFinished

_BEGINNING = ("response.created", "response.in_progress")


class ResponseEvents:
    """created, in_progress; then what is said, as an item that is added, grows and is done; then each call of a function likewise; then
    completed, incomplete or failed. Events are numbered."""

    def __init__(self, draft: Draft) -> None:
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
