"""A chat request in either form, checked and made into what a turn needs."""

from dataclasses import dataclass
from typing import cast

from pydantic import ValidationError
from starlette.types import Receive, Scope

from assistant.api.body.json_body import read_json
from assistant.api.body.multipart import read_form
from assistant.api.body.spool import Spool
from assistant.api.chat.conversation import check_said, conversation, one_message
from assistant.api.chat.route import Known, Named, Route, ToAgent, ToModel, headers_of, route
from assistant.api.chat.wire import ChatOptions, ChatRequest
from assistant.api.chat.wishes import Wishes, wishes_of
from assistant.api.complaints import complaint
from assistant.api.middleware.scope import header
from assistant.api.settings import ApiLimits
from assistant.contracts.errors import UnsupportedMediaType
from assistant.contracts.messages import Json
from assistant.contracts.models import Sampling
from assistant.contracts.turns import Asked, Earlier, Upload, Words

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_WHOLE_NUMBERS = ("max_tokens", "max_completion_tokens", "seed", "n")
_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatInput:
    """What was asked, and of whom. Files lie in the spool that was given."""

    route: Route
    said: tuple[Earlier, ...]
    """The conversation; where an agent or a workflow answers, the last word is the user's."""
    instructions: tuple[str, ...]
    sampling: Sampling
    stream: bool
    include_usage: bool
    wishes: Wishes
    """Of a registered model; agents and workflows take none."""


async def read_chat(scope: Scope, receive: Receive, spool: Spool, limits: ApiLimits, known: Known) -> ChatInput:
    """Raises UnsupportedMediaType, InvalidRequest and its kin, ModelNotFound, RequestTooLarge, FileTooLarge, RequestTimeout;
    ClientDisconnect if the client left before its request was whole.
    """
    content_type = header(scope, b"content-type") or b""
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type == b"application/json":
        return await _from_json(scope, await read_json(scope, receive, limits.json_bytes), spool, limits, known)
    if media_type == b"multipart/form-data":
        form = await read_form(scope, receive, content_type, spool, limits)
        return _from_form(scope, form.fields, form.files, known)
    raise UnsupportedMediaType


async def _from_json(scope: Scope, body: dict[str, Json], spool: Spool, limits: ApiLimits, known: Known) -> ChatInput:
    try:
        request = ChatRequest.model_validate(body)
    except ValidationError as error:
        raise complaint(error.errors(include_url=False)) from None
    chosen = _route(scope, request, known)
    wishes = wishes_of(request, chosen)
    keeps = isinstance(chosen, ToAgent) and not chosen.takes_history
    talk = await (one_message if keeps else conversation)(request.messages, spool, limits)
    if not isinstance(chosen, ToModel):
        talk.check_asked()
    response_format = cast("dict[str, Json] | None", body.get("response_format"))
    return ChatInput(
        route=chosen,
        said=talk.said,
        instructions=talk.instructions,
        sampling=sampling_of(request, response_format),
        stream=request.stream is True,
        include_usage=request.stream_options is not None and request.stream_options.include_usage is True,
        wishes=wishes,
    )


def _from_form(scope: Scope, fields: dict[str, str], files: tuple[Upload, ...], known: Known) -> ChatInput:
    try:
        options = ChatOptions.model_validate(_typed(fields))
    except ValidationError as error:
        raise complaint(error.errors(include_url=False)) from None
    chosen = _route(scope, options, known)
    wishes = wishes_of(options, chosen)
    message = fields.get("message", "")
    content = (*([Words(text=message)] if message else []), *files)
    check_said(content, "message")
    return ChatInput(
        route=chosen,
        said=(Asked(content=content),),
        instructions=(),
        sampling=sampling_of(options, None),
        stream=options.stream is True,
        include_usage=False,
        wishes=wishes,
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


def _route(scope: Scope, options: ChatOptions, known: Known) -> Route:
    """Who answers."""
    agent, session = headers_of(scope)
    named = Named(model=options.model, session_id=options.session_id, user=options.user, agent_header=agent, session_header=session)
    return route(named, known)


def sampling_of(options: ChatOptions, response_format: dict[str, Json] | None) -> Sampling:
    """How the answer is to be drawn. `response_format`: the object as it was sent, which holds more than its model."""
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
