"""Errors as OpenAI's JSON, and the timeout of a body."""

import asyncio
import logging
import math
from contextlib import suppress
from dataclasses import dataclass

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.api.middleware.request import header, state_of
from assistant.contracts.errors import (
    MethodNotAllowed,
    NanobotError,
    ProviderFailed,
    RefusedByProvider,
    RequestTimeout,
    ShuttingDown,
    Unauthenticated,
    drop_traceback,
    traceback_location,
)
from assistant.contracts.ledger import BudgetUsedUp
from assistant.contracts.messages import Json
from assistant.store.idempotency import StoredAnswer

log = logging.getLogger(__name__)

_COME_BACK_SECONDS = 2
"""The Retry-After of a 503 that names none: clients would repeat sooner than that."""


class NotThisMethod(MethodNotAllowed):
    """This path does not take that method."""

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        self.allowed = ", ".join(allowed)
        super().__init__(f"This path does not take {method[:20]}, only {self.allowed}.")


class FailedAfterActing(Exception):
    """A turn failed after a tool had changed something: the answer tells clients not to retry automatically."""

    def __init__(self, error: NanobotError) -> None:
        super().__init__(error.message)
        self.error = error


class ErrorMiddleware:
    """Turns an error that escapes from `app` into its answer. Nothing else in the API answers one.

    An error that is not a NanobotError is a bug: it is logged with the request's id and the place where it arose, without its text
    (which may quote a message), and answered with 500 internal_error.
    """

    def __init__(self, app: ASGIApp, *, passes_on: bool = False) -> None:
        """`passes_on`: another program's server runs this, and its cancellations are passed on; our own server cancels only when it shuts
        down, and the answer says that."""
        self.app = app
        self.passes_on = passes_on

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
            return
        except ClientDisconnect:
            log.info("api.client_gone request=%s", state_of(scope).id)
            return
        except (asyncio.CancelledError, Exception) as raised:
            if self.passes_on and isinstance(raised, asyncio.CancelledError) and scope["type"] == "http":
                raise
            error = raised.error if isinstance(raised, FailedAfterActing) else _known(raised)
            acted = isinstance(raised, FailedAfterActing)
        state = state_of(scope)
        _note(error, state.id)
        drop_traceback(error)
        with suppress(ClientDisconnect):  # it may be gone already
            if scope["type"] == "websocket":
                await _refuse_socket(error, send, accepted=state.started)
            elif not state.started:  # else the connection just ends: the server closes it when an answer is left incomplete
                await _answer(error, scope["method"], acted)(scope, receive, send)


def _known(raised: BaseException) -> NanobotError:
    if isinstance(raised, NanobotError):
        return raised
    if isinstance(raised, asyncio.CancelledError):
        return ShuttingDown()
    error = NanobotError()
    error.__cause__ = raised
    return error


async def _refuse_socket(error: NanobotError, send: Send, *, accepted: bool) -> None:
    """Before the socket is accepted, an HTTP answer; later, a close: 1001 on shutdown, 1008 where the key has ended, else 1011."""
    if accepted:
        code = 1001 if isinstance(error, ShuttingDown) else 1008 if isinstance(error, Unauthenticated) else 1011
        await send({"type": "websocket.close", "code": code, "reason": error.code})
        return
    answer = error_answer(error)
    await send({"type": "websocket.http.response.start", "status": answer.status, "headers": list(answer.headers)})
    await send({"type": "websocket.http.response.body", "body": answer.body})


def error_json(error: NanobotError) -> bytes:
    """The body of an error, and the data of a stream's error event."""
    return orjson.dumps({"error": error_fields(error)})


def error_fields(error: NanobotError) -> dict[str, Json]:
    return {"message": error.message, "type": error.type, "param": error.param, "code": error.code}


def error_headers(error: NanobotError) -> dict[str, str]:
    headers: dict[str, str] = {}
    wait = error.retry_after
    if wait is None and error.status == 503:
        wait = _COME_BACK_SECONDS
    if wait is not None:
        headers["retry-after"] = str(math.ceil(wait))
        headers["retry-after-ms"] = str(math.ceil(wait * 1000))
    if isinstance(error, RefusedByProvider | BudgetUsedUp) or (isinstance(error, ProviderFailed) and not error.retryable):
        headers["x-should-retry"] = "false"
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, NotThisMethod):
        headers["allow"] = error.allowed
    return headers


def error_answer(error: NanobotError, *, acted: bool = False) -> StoredAnswer:
    """The whole answer. `acted`: it tells clients not to repeat the request by themselves."""
    body = error_json(error)
    headers = error_headers(error) | {"content-type": "application/json", "content-length": str(len(body))}
    if acted:
        headers["x-should-retry"] = "false"
    return StoredAnswer(status=error.status, headers=tuple([(name.encode(), value.encode()) for name, value in headers.items()]), body=body)


def _answer(error: NanobotError, method: str, acted: bool) -> Response:
    if method == "OPTIONS" and isinstance(error, NotThisMethod):  # a question for just that
        return Response(status_code=204, headers=error_headers(error))
    answer = error_answer(error, acted=acted)
    response = Response(answer.body, answer.status)
    response.raw_headers = list(answer.headers)
    return response


def _note(error: NanobotError, request: str) -> None:
    if error.status != 500:
        level = logging.WARNING if error.status > 500 else logging.INFO
        log.log(level, "api.refused request=%s status=%d code=%s", request, error.status, error.code)
        return
    log.error("api.bug request=%s error=%s", request, traceback_location(error.__cause__ or error))


LINGER_SECONDS = 2.0


class BodyTimeout:
    """Raises RequestTimeout where a body is read of which nothing came for `timeout` seconds.

    An answer to a request whose body has not been read to its end is sent at once and whole; then the rest of the body is discarded for
    LINGER_SECONDS, and the connection is closed. Closing it over unread bytes would reset it, and the client would lose the answer.
    """

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self.app = app
        self.timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(scope):
            await self.app(scope, receive, send)
            return
        body = _TimedBody(receive, send, self.timeout)
        await self.app(scope, body.receive, body.send)


@dataclass(slots=True)
class _TimedBody:
    _receive: Receive
    _send: Send
    _timeout: float
    _complete: bool = False

    async def receive(self) -> Message:
        if self._complete:  # the only message after a body is the client's disconnect, which may take its time
            return await self._receive()
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout(f"The request's body stopped coming: nothing arrived for {self._timeout:g} seconds.") from None
        self._complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if self._complete or (message["type"] == "http.response.body" and message.get("more_body", False)):
            await self._send(message)
        elif message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})
            await self._discard_rest()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _discard_rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._complete:
                    self._complete = not (await self._receive()).get("more_body", False)


def has_body(scope: Scope) -> bool:
    """Whether a body was announced."""
    return header(scope, b"content-length") not in (None, b"0") or header(scope, b"transfer-encoding") is not None
