"""Answers a POST that is sent again with its first answer, without doing it again."""

from collections import deque
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.api.idempotency.exchange import LONGEST_KEY, Fingerprint, First, FirstAnswers, IdempotencyInfo, Recording, asked
from assistant.api.middleware.errors import FailedAfterActing, error_answer, has_body
from assistant.api.middleware.request import known_principal
from assistant.api.openapi import WHY
from assistant.contracts.errors import AnswerInterrupted, NanobotError
from assistant.store.idempotency import IdempotencyStore

_READ_AHEAD: Final = 64 * 1024
"""Bytes of a body that are taken in before the routes are asked; more is looked at while they take it in."""


class IdempotencyMiddleware:
    """Gives a POST that comes again what its first time was given, without doing it again.

    Known by an `Idempotency-Key`: for 24 hours, any repeat gets the first answer, marked `Idempotency-Replayed: true`; one that comes while the
    first is being answered waits and gets the same as it comes. Without a key, a repeat that an official client sends by itself
    (`x-stainless-retry-count` from 1 on) joins the request of the same words that it sent last, for 15 minutes.
    What was refused, or failed before it acted, is not kept. All other requests pass by.
    """

    def __init__(self, app: ASGIApp, store: IdempotencyStore, *, patience: float) -> None:
        self._app = app
        self._answers = FirstAnswers(store, patience=patience)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = known_principal(scope)
        wants = asked(scope) if principal is not None and scope["type"] == "http" and scope["method"] == "POST" else None
        if principal is None or wants is None:
            await self._app(scope, receive, send)
            return
        visit = _Exchange(self._answers, principal.id, wants, scope, receive, send)
        await visit.look_ahead()
        if visit.joined is None:
            await visit.answer(self._app, scope)
        if visit.joined is not None:
            await visit.joined.play(send)


class _Joined(Exception):
    """The last of the body has come, and the request is a repeat: whoever takes it in is to let go of it."""


class _Exchange:
    """One request: its body is looked at on its way to the routes, which are given the end of it only if the request is the first."""

    def __init__(self, answers: FirstAnswers, owner: str, wants: IdempotencyInfo, scope: Scope, receive: Receive, send: Send) -> None:
        self.joined: Recording | None = None
        self._first: First | None = None
        self._answers = answers
        self._owner = owner
        self._asked = wants
        self._receive = receive
        self._send = send
        self._fingerprint = Fingerprint(scope)
        self._ahead: deque[Message] = deque()
        self._whole = not has_body(scope)
        self._size = 0

    async def look_ahead(self) -> None:
        """Take in a body that is small. Raises what reading it raises."""
        try:
            if self._whole:
                await self._meet()
            while not self._whole and self._size <= _READ_AHEAD:
                self._ahead.append(await self._look())
        except _Joined:
            return

    async def answer(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._take, self._pass_on)
        except _Joined:
            return
        except FailedAfterActing as failed:
            if first := self._settled():
                first.recording.load(error_answer(failed.error, acted=True))
                await self._answers.keep(first)
            raise
        except NanobotError as error:
            if first := self._settled():
                self._answers.release(first, error_answer(error))
            raise
        finally:
            # Cut off, or a bug: it may have acted. Nobody waits for it any more, and the claim stays, to say so to whoever asks again.
            if first := self._settled():
                first.recording.fail(AnswerInterrupted)
                self._answers.leave(first)

    async def _take(self) -> Message:
        if self.joined is not None:
            raise _Joined
        if self._ahead:
            return self._ahead.popleft()
        if not self._whole:
            return await self._look()
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._first is not None and self._first.recording.listeners:
            await self._first.recording.ended()  # others wait for it
        return message

    async def _look(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body = message.get("body", b"")
        self._size += len(body)
        self._fingerprint.add(body)
        if not message.get("more_body", False):
            self._whole = True
            await self._meet()
        return message

    async def _meet(self) -> None:
        met = await self._answers.meet(self._owner, self._asked, self._fingerprint.finish())
        if isinstance(met, First):
            self._first = met
        else:
            self.joined = met
            raise _Joined

    async def _pass_on(self, message: Message) -> None:
        if self.joined is not None:  # whatever was made of the end of a body that never came
            return
        first = self._first
        if first is not None:
            first.recording.take(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                self._settled()
                if first.recording.worth_keeping:
                    await self._answers.keep(first)
                else:
                    self._answers.release(first, None)
        await self._send(message)

    def _settled(self) -> First | None:
        """What there is to settle; from here on, nothing."""
        first, self._first = self._first, None
        return first


_PARAMETER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Yours, for this request: for 24 hours, a repeat under the same key does nothing new and gets the first answer, marked "
    "`Idempotency-Replayed: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
_REFUSALS: Final = ("400", "409", "422")


def describe_repeats(operation: dict[str, Any]) -> None:
    """Add to a POST's description what holds for its repeats."""
    operation.setdefault("parameters", []).append(_PARAMETER)
    for status in _REFUSALS:
        if status not in operation["responses"]:
            schema = {"$ref": "#/components/schemas/ErrorAnswer"}
            operation["responses"][status] = {"description": WHY[int(status)], "content": {"application/json": {"schema": schema}}}
