"""Every error that a caller can meet.

    NanobotError                      500 server_error            internal_error
    ├── InvalidRequest                400 invalid_request_error   invalid_value
    │   ├── InvalidJson               400                         invalid_json
    │   ├── UnreadableFile            400                         unreadable_file
    │   ├── UnsupportedContent        400                         unsupported_content
    │   ├── ContextLengthExceeded     400                         context_length_exceeded
    │   ├── InvalidAddress            400                         invalid_address
    │   ├── NoPreviousResponse (in api.responses.input) 400       previous_response_not_found
    │   └── InvalidWorkflow (in workflows) 400                    invalid_workflow
    ├── Unauthenticated               401 invalid_request_error   invalid_api_key
    ├── Forbidden                     403 permission_error        insufficient_scope
    │   └── ForbiddenOrigin           403                         forbidden_origin
    ├── NotFound                      404 invalid_request_error   not_found
    │   ├── ModelNotFound             404                         model_not_found
    │   ├── SessionNotFound           404                         session_not_found
    │   ├── DeliveryNotFound          404                         delivery_not_found
    │   ├── NoSuchFile (in files)     404                         file_not_found
    │   ├── ResponseNotFound (in responses) 404                   response_not_found
    │   └── WorkflowNotFound, JobNotFound (in workflows) 404      workflow_not_found, job_not_found
    ├── MethodNotAllowed              405 invalid_request_error   method_not_allowed
    ├── RequestTimeout                408 invalid_request_error   request_timeout
    ├── SessionBusy                   409 conflict_error          session_busy
    ├── DeliveryConflict              409 conflict_error          delivery_conflict
    ├── RepeatConflict (in repeats)   409 conflict_error
    │   ├── AnswerInProgress          409                         idempotency_in_progress
    │   ├── AnswerInterrupted         409                         idempotency_interrupted
    │   └── AnswerNotKept             409                         idempotency_answer_not_kept
    ├── JobConflict, JobCancelled (in workflows) 409 conflict_error job_conflict, job_cancelled
    ├── RequestTooLarge               413 invalid_request_error   request_too_large
    │   └── FileTooLarge              413                         file_too_large
    ├── UnsupportedMediaType          415 invalid_request_error   unsupported_media_type
    │   └── UnsupportedFileType       415                         unsupported_file_type
    ├── MisdirectedHost               421 invalid_request_error   misdirected_host
    ├── IdempotencyMismatch           422 invalid_request_error   idempotency_key_reused
    ├── JobFailed (in workflows)      422 workflow_error          job_failed
    ├── RateLimited                   429 rate_limit_error        rate_limit_exceeded
    │   └── NotAdmitted (in contracts.access) 429                 rate_limit_exceeded
    ├── TurnCancelled                 499 server_error            turn_cancelled
    ├── ProviderFailed                502 server_error            provider_error
    │   ├── ProviderOverloaded        503                         provider_overloaded
    │   └── ProviderTimeout           504                         provider_timeout
    ├── StoreUnavailable              503 server_error            store_unavailable
    ├── AccessUnavailable             503 server_error            access_unavailable
    ├── ShuttingDown                  503 server_error            shutting_down
    ├── ServerOverloaded              503 server_error            server_overloaded
    ├── NotOpen (in api.mounted)      503 server_error            not_open
    └── TurnTimeout                   504 server_error            turn_timeout

    ToolFailed                        never leaves the toolbox: its words go to the model

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

    def __init__(self, message: str | None = None, *, param: str | None = None, retry_after: float | None = None) -> None:
        """`param`: the dotted path of the request field that is wrong. `retry_after`: seconds, when the sender should wait."""
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.param = param
        self.retry_after = retry_after
        super().__init__(self.message)


class InvalidRequest(NanobotError):
    """The request is not valid."""

    status, type, code = 400, "invalid_request_error", "invalid_value"


class InvalidJson(InvalidRequest):
    """The body is not valid JSON."""

    code = "invalid_json"


class UnreadableFile(InvalidRequest):
    """A file could not be read."""

    code = "unreadable_file"


class UnsupportedContent(InvalidRequest):
    """This kind of content is not supported."""

    code = "unsupported_content"


class ContextLengthExceeded(InvalidRequest):
    """The message is longer than the model's context. Send less, or choose a model with a larger context."""

    code = "context_length_exceeded"


class InvalidAddress(InvalidRequest):
    """There can't be such an address on this channel."""

    code = "invalid_address"


class Unauthenticated(NanobotError):
    """A valid API key is needed: send it as 'Authorization: Bearer <key>'."""

    status, type, code = 401, "invalid_request_error", "invalid_api_key"


class Forbidden(NanobotError):
    """This key may not do that."""

    status, type, code = 403, "permission_error", "insufficient_scope"


class ForbiddenOrigin(Forbidden):
    """Requests from this web page are not allowed. Add its origin to api.allowedOrigins in the configuration if they should be."""

    code = "forbidden_origin"


class NotFound(NanobotError):
    """There is nothing here."""

    status, type, code = 404, "invalid_request_error", "not_found"


class ModelNotFound(NotFound):
    """There is no such model. GET /v1/models lists those there are."""

    code = "model_not_found"


class SessionNotFound(NotFound):
    """There is no such session."""

    code = "session_not_found"


class DeliveryNotFound(NotFound):
    """There is no such delivery."""

    code = "delivery_not_found"


class MethodNotAllowed(NanobotError):
    """This path does not take that method."""

    status, type, code = 405, "invalid_request_error", "method_not_allowed"


class RequestTimeout(NanobotError):
    """The request did not arrive in time."""

    status, type, code = 408, "invalid_request_error", "request_timeout"


class SessionBusy(NanobotError):
    """Too many messages are waiting in this session. Wait for its answers, or use another session_id."""

    status, type, code = 409, "conflict_error", "session_busy"


class DeliveryConflict(NanobotError):
    """The delivery is in a state in which that can't be done."""

    status, type, code = 409, "conflict_error", "delivery_conflict"


class RequestTooLarge(NanobotError):
    """The request is too large."""

    status, type, code = 413, "invalid_request_error", "request_too_large"


class FileTooLarge(RequestTooLarge):
    """A file is too large."""

    code = "file_too_large"


class UnsupportedMediaType(NanobotError):
    """Send JSON with 'Content-Type: application/json', or an upload with 'Content-Type: multipart/form-data'."""

    status, type, code = 415, "invalid_request_error", "unsupported_media_type"


class UnsupportedFileType(UnsupportedMediaType):
    """This type of file is not supported."""

    code = "unsupported_file_type"


class MisdirectedHost(NanobotError):
    """This server does not answer to that Host. Add it to api.allowedHosts in the configuration if it should."""

    status, type, code = 421, "invalid_request_error", "misdirected_host"


class IdempotencyMismatch(NanobotError):
    """This Idempotency-Key was used with another request. Use a new key for a new request."""

    status, type, code = 422, "invalid_request_error", "idempotency_key_reused"


class RateLimited(NanobotError):
    """Too many requests. Wait, then try again."""

    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"


class TurnCancelled(NanobotError):
    """The turn was stopped before it ended."""

    status, code = 499, "turn_cancelled"


class ProviderFailed(NanobotError):
    """The model's provider failed to answer."""

    status, code = 502, "provider_error"

    def __init__(
        self, message: str | None = None, *, param: str | None = None, retry_after: float | None = None, retryable: bool = True
    ) -> None:
        """`retryable`: whether the same request may succeed later (a 500, a cut connection) or not (a refused key, an unknown model)."""
        super().__init__(message, param=param, retry_after=retry_after)
        self.retryable = retryable


class ProviderOverloaded(ProviderFailed):
    """The model's provider has no capacity now. Try again later."""

    status, code = 503, "provider_overloaded"


class ProviderTimeout(ProviderFailed):
    """The model's provider did not answer in time."""

    status, code = 504, "provider_timeout"


class StoreUnavailable(NanobotError):
    """The store can't be written now. Nothing was accepted; try again later."""

    status, code = 503, "store_unavailable"


class AccessUnavailable(NanobotError):
    """Who asks can't be found out now: whoever knows does not answer. Try again later."""

    status, code = 503, "access_unavailable"


class ShuttingDown(NanobotError):
    """The server is shutting down. Try again in a moment."""

    status, code = 503, "shutting_down"


class ServerOverloaded(NanobotError):
    """The server has as many connections as it takes. Try again in a moment."""

    status, code = 503, "server_overloaded"


class TurnTimeout(NanobotError):
    """The turn did not end in time (api.timeout). What was said is kept in the session."""

    status, code = 504, "turn_timeout"


class ToolFailed(Exception):
    """A tool could not do what the model asked. `str(error)` is written for the model: what was wrong and what it can do instead."""


def traceback_location(bug: BaseException) -> str:
    """Where an error arose, for the log: its type and the frames, without its text, which may quote what somebody wrote."""
    return f"{type(bug).__qualname__} at\n{''.join(traceback.format_tb(bug.__traceback__))}"


def drop_traceback(error: BaseException) -> None:
    """Say that an error has been told to whoever had to know, so that what its frames hold goes with them.

    A frame that knows an error that knows the frame is a cycle: a refused body of 25 MB would stay until the collector comes, which counts
    objects and not bytes.
    """
    link: BaseException | None = error
    while link is not None:
        before = link.__cause__ or link.__context__
        link.__traceback__ = link.__context__ = link.__cause__ = None
        link = before
