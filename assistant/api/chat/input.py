"""A chat request in either form, checked and made into what a turn needs."""

from dataclasses import dataclass
from typing import cast

from pydantic import ValidationError
from starlette.types import Receive, Scope

from assistant.api.body.json_body import read_json
from assistant.api.body.multipart import read_form
from assistant.api.body.spool import Spool
from assistant.api.chat.content import take_in, words_only
from assistant.api.chat.wire import ChatMessage, ChatOptions, ChatRequest
from assistant.api.complaints import complaint
from assistant.api.middleware.scope import header
from assistant.api.session_keys import session_key
from assistant.api.settings import ApiLimits
from assistant.contracts.errors import InvalidRequest, ModelNotFound, UnsupportedMediaType
from assistant.contracts.messages import Json
from assistant.contracts.models import Sampling
from assistant.contracts.turns import Upload, Words

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_WHOLE_NUMBERS = ("max_tokens", "max_completion_tokens", "seed", "n")
_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_ONE_MESSAGE = (
    "Send exactly one user message per request: the server keeps the conversation itself. "
    "To go on with one, send the same 'session_id' again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatInput:
    """What was asked. Files lie in the spool that was given."""

    session: str
    content: tuple[Words | Upload, ...]
    instructions: tuple[str, ...]
    sampling: Sampling
    stream: bool
    include_usage: bool


async def read_chat(scope: Scope, receive: Receive, spool: Spool, limits: ApiLimits, model: str) -> ChatInput:
    """`model`: the only id that a request may name. Raises UnsupportedMediaType, InvalidRequest and its kin, ModelNotFound,
    RequestTooLarge, FileTooLarge, RequestTimeout; ClientDisconnect if the client left before its request was whole.
    """
    content_type = header(scope, b"content-type") or b""
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type == b"application/json":
        return await _from_json(await read_json(scope, receive, limits.json_bytes), spool, limits, model)
    if media_type == b"multipart/form-data":
        form = await read_form(scope, receive, content_type, spool, limits)
        return _from_form(form.fields, form.files, model)
    raise UnsupportedMediaType


async def _from_json(body: dict[str, Json], spool: Spool, limits: ApiLimits, model: str) -> ChatInput:
    try:
        request = ChatRequest.model_validate(body)
    except ValidationError as error:
        raise complaint(error.errors(include_url=False)) from None
    session = _check_options(request, model)
    *before, _ = request.messages
    at = f"messages.{len(before)}.content"
    instructions = _instructions(before)
    content = await take_in(_user_message(request.messages).content, at, spool, limits)
    _check_said(content, at)
    response_format = cast("dict[str, Json] | None", body.get("response_format"))
    return ChatInput(
        session=session,
        content=content,
        instructions=instructions,
        sampling=_sampling(request, response_format),
        stream=request.stream is True,
        include_usage=request.stream_options is not None and request.stream_options.include_usage is True,
    )


def _from_form(fields: dict[str, str], files: tuple[Upload, ...], model: str) -> ChatInput:
    try:
        options = ChatOptions.model_validate(_typed(fields))
    except ValidationError as error:
        raise complaint(error.errors(include_url=False)) from None
    session = _check_options(options, model)
    message = fields.get("message", "")
    content = (*([Words(text=message)] if message else []), *files)
    _check_said(content, "message")
    return ChatInput(
        session=session,
        content=content,
        instructions=(),
        sampling=_sampling(options, None),
        stream=options.stream is True,
        include_usage=False,
    )


def _typed(fields: dict[str, str]) -> dict[str, object]:
    """A form's options with the types that they have in JSON. Text that is not of its type stays text, for the validator to refuse."""
    typed: dict[str, object] = dict(fields)
    for name in _WHOLE_NUMBERS:
        if name in fields:
            typed[name] = _number(fields[name], int)
    for name in _NUMBERS:
        if name in fields:
            typed[name] = _number(fields[name], float)
    if (word := fields.get("stream", "").strip().lower()) in _TRUE | _FALSE:
        typed["stream"] = word in _TRUE
    return typed


def _number(text: str, kind: type[int] | type[float]) -> int | float | str:
    try:
        return kind(text) if len(text) <= 40 and text.isascii() and "_" not in text else text
    except ValueError:
        return text


def _check_options(options: ChatOptions, model: str) -> str:
    """The session's key, once everything that holds for JSON and forms alike was checked."""
    if options.model is not None and options.model != model:
        raise ModelNotFound(f"There is no model '{options.model[:100]}' here. Leave 'model' out, or send '{model}'.", param="model")
    if options.n is not None and options.n > 1:
        raise InvalidRequest("'n' must be 1: one answer is given per request.", param="n")
    if options.tools:
        raise InvalidRequest("Tools of the client are not supported yet: the assistant uses tools of its own.", param="tools")
    if options.functions:
        raise InvalidRequest("Functions of the client are not supported: the assistant uses tools of its own.", param="functions")
    if options.logprobs:
        raise InvalidRequest("'logprobs' is not supported.", param="logprobs")
    return session_key(options.session_id)


def _instructions(messages: list[ChatMessage]) -> tuple[str, ...]:
    for index, message in enumerate(messages):
        if message.role not in ("system", "developer"):
            raise InvalidRequest(_ONE_MESSAGE, param=f"messages.{index}.role")
    texts = [words_only(message.content, f"messages.{index}.content") for index, message in enumerate(messages)]
    return tuple([text for text in texts if text.strip()])


def _user_message(messages: list[ChatMessage]) -> ChatMessage:
    last = messages[-1]
    if last.role == "user":
        return last
    if last.role in ("system", "developer"):
        raise InvalidRequest(f"The last message must be the user's. {_ONE_MESSAGE}", param="messages")
    raise InvalidRequest(_ONE_MESSAGE, param=f"messages.{len(messages) - 1}.role")


def _check_said(content: tuple[Words | Upload, ...], param: str) -> None:
    if not any(isinstance(part, Upload) or part.text.strip() for part in content):
        raise InvalidRequest("The message is empty: it needs text or a file.", param=param)


def _sampling(options: ChatOptions, response_format: dict[str, Json] | None) -> Sampling:
    stop = options.stop
    return Sampling(
        temperature=options.temperature,
        top_p=options.top_p,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        max_tokens=options.max_completion_tokens if options.max_completion_tokens is not None else options.max_tokens,
        stop=() if stop is None else (stop,) if isinstance(stop, str) else tuple(stop),
        seed=options.seed,
        reasoning_effort=options.reasoning_effort,
        response_format=response_format,
    )
