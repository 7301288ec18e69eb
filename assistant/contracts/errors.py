"""Every error that a caller can get.

They are in the order of their status; what a class does not set of `status`, `type` and `code` is its parent's. Errors of one part are defined
there: `contracts.access`, `contracts.workflows`, `api.responses.input`, `api.chat_app`.

A class's docstring is its default message. Messages are for the person who reads them: what is wrong, and what to do next.
They never hold a secret or a path of the server.
"""

import traceback
from typing import ClassVar


class NanobotError(Exception):
    """The server failed to do this. The log holds the details under the request's id."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"

    def __init_subclass__(cls, status: int | None = None, type: str | None = None, code: str | None = None) -> None:
        """What a class does not set is its parent's."""
        cls.status, cls.type, cls.code = status or cls.status, type or cls.type, code or cls.code

    def __init__(self, message: str | None = None, *, param: str | None = None, retry_after: float | None = None) -> None:
        """`param`: the dotted path of the request field that is wrong. `retry_after`: seconds, when the sender should wait."""
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.param = param
        self.retry_after = retry_after
        super().__init__(self.message)


class InvalidRequest(NanobotError, status=400, type="invalid_request_error", code="invalid_value"):
    """The request is not valid."""


class InvalidJson(InvalidRequest, code="invalid_json"):
    """The body is not valid JSON."""


class UnreadableFile(InvalidRequest, code="unreadable_file"):
    """A file could not be read."""


class RefusedByProvider(InvalidRequest, code="provider_refused"):
    """The model's provider refused this request."""


class UnsupportedContent(InvalidRequest, code="unsupported_content"):
    """This kind of content is not supported."""


class ContextLengthExceeded(InvalidRequest, code="context_length_exceeded"):
    """The message is longer than the model's context. Send less, or choose a model with a larger context."""

    limit: int | None = None
    """The context in tokens, as the provider's words tell it; None: they do not."""
    counted: int | None = None
    """The tokens that the provider counted in the prompt; None: it does not say."""


class InvalidAddress(InvalidRequest, code="invalid_address"):
    """There can't be such an address on this channel."""


class Unauthenticated(NanobotError, status=401, type="invalid_request_error", code="invalid_api_key"):
    """A valid API key is needed: send it as 'Authorization: Bearer <key>'."""


class Forbidden(NanobotError, status=403, type="permission_error", code="insufficient_scope"):
    """This key may not do that."""


class ForbiddenOrigin(Forbidden, code="forbidden_origin"):
    """Requests from this web page are not allowed. Add its origin to api.allowedOrigins in the configuration if they should be."""


class NotFound(NanobotError, status=404, type="invalid_request_error", code="not_found"):
    """There is nothing here."""


class ModelNotFound(NotFound, code="model_not_found"):
    """There is no such model. GET /v1/models lists those there are."""


class SessionNotFound(NotFound, code="session_not_found"):
    """There is no such session."""


class DeliveryNotFound(NotFound, code="delivery_not_found"):
    """There is no such delivery."""


class NoSuchFile(NotFound, code="file_not_found"):
    """There is no such file. GET /v1/files lists those there are."""


class ResponseNotFound(NotFound, code="response_not_found"):
    """There is no such response."""


class MethodNotAllowed(NanobotError, status=405, type="invalid_request_error", code="method_not_allowed"):
    """This path does not take that method."""


class RequestTimeout(NanobotError, status=408, type="invalid_request_error", code="request_timeout"):
    """The request did not arrive in time."""


class SessionBusy(NanobotError, status=409, type="conflict_error", code="session_busy"):
    """Too many messages are waiting in this session. Wait for its answers, or use another session_id."""


class DeliveryConflict(NanobotError, status=409, type="conflict_error", code="delivery_conflict"):
    """The delivery is in a state in which that can't be done."""


class RepeatConflict(NanobotError, status=409, type="conflict_error", code="idempotency_in_progress"):
    """This request is a repeat of one that can't be answered again."""


class AnswerInProgress(RepeatConflict):
    """The request that this one repeats is still being answered by another process. Repeat it later."""


class AnswerInterrupted(RepeatConflict, code="idempotency_interrupted"):
    """The server broke off while it answered the request that this one repeats. It may have acted: see in its session or its deliveries how far
    it came. Nothing was done now. To ask anew, send it as a new request (with a new Idempotency-Key)."""


class AnswerNotKept(RepeatConflict, code="idempotency_answer_not_kept"):
    """The request that this one repeats was answered, and its answer is not kept: it was too large, or something was forgotten since. Nothing
    was done now. To ask anew, send it as a new request (with a new Idempotency-Key)."""


class RequestTooLarge(NanobotError, status=413, type="invalid_request_error", code="request_too_large"):
    """The request is too large."""


class FileTooLarge(RequestTooLarge, code="file_too_large"):
    """A file is too large."""


class UnsupportedMediaType(NanobotError, status=415, type="invalid_request_error", code="unsupported_media_type"):
    """Send JSON with 'Content-Type: application/json', or an upload with 'Content-Type: multipart/form-data'."""


class UnsupportedFileType(UnsupportedMediaType, code="unsupported_file_type"):
    """This type of file is not supported."""


class MisdirectedHost(NanobotError, status=421, type="invalid_request_error", code="misdirected_host"):
    """This server does not answer to that Host. Add it to api.allowedHosts in the configuration, or send the API key where one is set."""


class IdempotencyMismatch(NanobotError, status=422, type="invalid_request_error", code="idempotency_key_reused"):
    """This Idempotency-Key was used with another request. Use a new key for a new request."""


class RateLimited(NanobotError, status=429, type="rate_limit_error", code="rate_limit_exceeded"):
    """Too many requests. Wait, then try again."""


class TurnCancelled(NanobotError, status=499, code="turn_cancelled"):
    """The turn was stopped before it ended."""


class ProviderFailed(NanobotError, status=502, code="provider_error"):
    """The model's provider failed to answer."""

    def __init__(
        self, message: str | None = None, *, param: str | None = None, retry_after: float | None = None, retryable: bool = True
    ) -> None:
        """`retryable`: whether the same request may succeed later (a 500, a cut connection) or not (a refused key, an unknown model)."""
        super().__init__(message, param=param, retry_after=retry_after)
        self.retryable = retryable


class RequestRefused(ProviderFailed):
    """The model's provider does not take this request. For a client's own request to a registered model, this is a RefusedByProvider."""


class ProviderOverloaded(ProviderFailed, status=503, code="provider_overloaded"):
    """The model's provider has no capacity now. Try again later."""


class ProviderTimeout(ProviderFailed, status=504, code="provider_timeout"):
    """The model's provider did not answer in time."""


class StoreUnavailable(NanobotError, status=503, code="store_unavailable"):
    """The store can't be written now. Nothing was accepted; try again later."""


class AccessUnavailable(NanobotError, status=503, code="access_unavailable"):
    """The caller can't be authenticated now: the identity provider does not answer. Try again later."""


class ShuttingDown(NanobotError, status=503, code="shutting_down"):
    """The server is shutting down. Try again in a moment."""


class ServerOverloaded(NanobotError, status=503, code="server_overloaded"):
    """The server has as many connections as it takes. Try again in a moment."""


class TurnTimeout(NanobotError, status=504, code="turn_timeout"):
    """The turn did not end in time (api.timeout). What was said is kept in the session."""


class ToolFailed(Exception):
    """A tool could not do what the model asked. `str(error)` is written for the model: what was wrong and what it can do instead."""


def traceback_location(bug: BaseException) -> str:
    """Where an error arose, for the log: its type and frames, without its text, which may quote a message."""
    return f"{type(bug).__qualname__} at\n{''.join(traceback.format_tb(bug.__traceback__))}"


def drop_traceback(error: BaseException) -> None:
    """Free what the frames of a handled error hold.

    A frame and its error refer to each other: a refused body of 25 MB would stay until the garbage collector runs, which counts objects, not
    bytes.
    """
    link: BaseException | None = error
    while link is not None:
        before = link.__cause__ or link.__context__
        link.__traceback__ = link.__context__ = link.__cause__ = None
        link = before
