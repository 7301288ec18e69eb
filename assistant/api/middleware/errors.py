"""Errors as OpenAI's JSON, and the time in which a body must arrive."""

import asyncio
import logging
import math

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.api.middleware.request import header, request_id
from assistant.contracts.errors import (
    MethodNotAllowed,
    NanobotError,
    ProviderFailed,
    RequestTimeout,
    ShuttingDown,
    Unauthenticated,
    drop_traceback,
    traceback_location,
)
from assistant.contracts.messages import Json
from assistant.store.idempotency import StoredAnswer

log = logging.getLogger(__name__)

_COME_BACK_SECONDS = 2
"""Told with a 503 that knows no better: clients repeat sooner than that by themselves."""


class NotThisMethod(MethodNotAllowed):
    """This path does not take that method."""

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        self.allowed = ", ".join(allowed)
        super().__init__(f"This path does not take {method[:20]}, only {self.allowed}.")


class FailedAfterActing(Exception):
    """A turn failed after a tool had changed something: its answer tells clients not to repeat the request by themselves."""

    def __init__(self, error: NanobotError) -> None:
        super().__init__(error.message)
        self.error = error


class ErrorMiddleware:
    """Turns an error that escapes from `app` into its answer. Nothing else in the API answers one.

    An error that is not a NanobotError is a bug: it is logged with the request's id and the place where it arose, without its text,
    which may quote what somebody wrote, and answered with 500 internal_error.
    """

    def __init__(self, app: ASGIApp, *, passes_on: bool = False) -> None:
        """`passes_on`: whoever cancels a request (another program, with reasons of its own) has it cancelled; else only our server does, at its
        end, and the request is answered with that."""
        self.app = app
        self.passes_on = passes_on

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        started = acted = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watch)
            return
        except ClientDisconnect:
            log.info("api.client_gone request=%s", request_id(scope))
            return
        except NanobotError as known:
            error = known
        except FailedAfterActing as known:
            error, acted = known.error, True
        except asyncio.CancelledError:  # else by the server alone, when the grace of its end is over; there is nobody to pass it on to
            if self.passes_on:
                raise
            error = ShuttingDown()
        except Exception as unknown:  # noqa: BLE001 - the last place where a bug can still become an answer
            error = NanobotError()
            error.__cause__ = unknown
        _note(error, request_id(scope))
        drop_traceback(error)
        if not started:  # else the connection just ends: the server closes it when an answer is left incomplete
            await _answer(error, scope["method"], acted)(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An error before the socket is accepted is an HTTP answer; later, it closes the socket: 1001 where the server ends, 1008 where the key
        does not hold any more, else 1011."""
        accepted = False

        async def watch(message: Message) -> None:
            nonlocal accepted
            accepted = True
            try:
                await send(message)
            except OSError:  # as ASGI says that the other side is gone
                raise ClientDisconnect from None

        try:
            await self.app(scope, receive, watch)
            return
        except ClientDisconnect:
            log.info("api.client_gone request=%s", request_id(scope))
            return
        except NanobotError as known:
            error = known
        except asyncio.CancelledError:
            error = ShuttingDown()
        except Exception as unknown:  # noqa: BLE001 - as above
            error = NanobotError()
            error.__cause__ = unknown
        _note(error, request_id(scope))
        drop_traceback(error)
        if accepted:
            code = 1001 if isinstance(error, ShuttingDown) else 1008 if isinstance(error, Unauthenticated) else 1011
            await send({"type": "websocket.close", "code": code, "reason": error.code})
            return
        answer = _answer(error, "GET", acted=False)
        await send({"type": "websocket.http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
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
    if isinstance(error, ProviderFailed) and not error.retryable:
        headers["x-should-retry"] = "false"
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, NotThisMethod):
        headers["allow"] = error.allowed
    return headers


def error_answer(error: NanobotError, *, acted: bool = False) -> StoredAnswer:
    """The whole answer. `acted`: clients are told not to repeat the request by themselves."""
    body = error_json(error)
    headers = error_headers(error) | {"content-type": "application/json", "content-length": str(len(body))}
    if acted:
        headers["x-should-retry"] = "false"
    return StoredAnswer(status=error.status, headers=tuple([(name.encode(), value.encode()) for name, value in headers.items()]), body=body)


def _answer(error: NanobotError, method: str, acted: bool) -> Response:
    if method == "OPTIONS" and isinstance(error, NotThisMethod):  # it asks just that
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
    """Raises RequestTimeout into whoever waits for a body of which nothing came for `timeout` seconds.

    An answer to a request whose body has not been read to its end is sent at once and whole; then what still comes is thrown away for a moment,
    and the connection is closed. Closing it with bytes unread would reset it, and the sender would lose the answer that says why.
    """

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self.app = app
        self.timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(scope):
            await self.app(scope, receive, send)
            return
        body = _Body(receive, send, self.timeout)
        await self.app(scope, body.receive, body.send)


class _Body:
    __slots__ = ("_pass_on", "_take", "_timeout", "read")

    def __init__(self, take: Receive, pass_on: Send, timeout: float) -> None:
        self._take = take
        self._pass_on = pass_on
        self._timeout = timeout
        self.read = False

    async def receive(self) -> Message:
        if self.read:  # what follows a body is the end of the connection, which may take its time
            return await self._take()
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._take()
        except TimeoutError:
            raise RequestTimeout(f"The request's body stopped coming: nothing arrived for {self._timeout:g} seconds.") from None
        self.read = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if self.read:
            await self._pass_on(message)
        elif message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
            await self._pass_on(message)
        elif message.get("more_body", False):
            await self._pass_on(message)
        else:
            await self._pass_on({**message, "more_body": True})
            await self._drop_the_rest()
            await self._pass_on({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drop_the_rest(self) -> None:
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self.read:
                    self.read = not (await self._take()).get("more_body", False)
        except TimeoutError:
            return


def has_body(scope: Scope) -> bool:
    """Whether a body was announced."""
    return header(scope, b"content-length") not in (None, b"0") or header(scope, b"transfer-encoding") is not None
