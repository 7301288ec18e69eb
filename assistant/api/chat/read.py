"""From a request's body to what it asks: the user's message, files, options, history."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import ValidationError
from starlette.types import Receive, Scope

from assistant.api.body.json_body import read_json
from assistant.api.body.multipart import read_form
from assistant.api.body.spool import EncodedFile, Spool, decode_to_disk, parse_data_url
from assistant.api.chat.route import AgentCatalog, ModelOptions, Route, RoutingHints, ToAgent, ToModel, headers_of, options_of, route
from assistant.api.chat.wire import ChatMessage, ChatOptions, ChatRequest, ContentPart, FilePart, ImagePart, TextPart
from assistant.api.complaints import complaint
from assistant.api.middleware.request import header
from assistant.api.settings import ApiLimits
from assistant.contracts.errors import InvalidRequest, UnsupportedContent, UnsupportedMediaType
from assistant.contracts.messages import AssistantMessage, Json, ToolCall, ToolMessage
from assistant.contracts.models import Sampling
from assistant.contracts.turns import Earlier, HistoryMessage, Upload, UserText
from assistant.contracts.util import display_name, new_id

_SUFFIXES = {"jpeg": "jpg", "svg+xml": "svg", "plain": "txt", "markdown": "md", "x-yaml": "yaml"}


async def take_in(
    content: str | Sequence[ContentPart] | None, param: str, spool: Spool, limits: ApiLimits
) -> tuple[UserText | Upload, ...]:
    """Words as they are, files onto the disk, in order. Raises InvalidRequest and its kin, each with the part's path."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (UserText(text=content),)
    return tuple([await take_in_part(part, f"{param}.{index}", index, spool, limits) for index, part in enumerate(content)])


async def take_in_part(part: ContentPart, at: str, index: int, spool: Spool, limits: ApiLimits) -> UserText | Upload:
    """One of them, whose path is `at`."""
    if isinstance(part, TextPart):
        return UserText(text=part.text)
    if isinstance(part, FilePart) and part.file.file_id is not None:
        return await _named(part.file.file_id, part, at, spool)
    file = _image(part, at, index) if isinstance(part, ImagePart) else _file(part, at, index)
    return await asyncio.to_thread(decode_to_disk, file, spool, limits.file_bytes)


def words_only(content: str | Sequence[ContentPart] | None, param: str) -> str:
    """The text of a system or developer message. Raises UnsupportedContent for one with files."""
    if content is None or isinstance(content, str):
        return content or ""
    for index, part in enumerate(content):
        if not isinstance(part, TextPart):
            raise UnsupportedContent("Only a user message may hold images or files.", param=f"{param}.{index}.type")
    return "\n".join([part.text for part in content if isinstance(part, TextPart)])


def _image(part: ImagePart, at: str, index: int) -> EncodedFile:
    return encoded_image(part.image_url.url, f"{at}.image_url.url", index)


def encoded_image(url: str, param: str, index: int) -> EncodedFile:
    """A picture by its data URL; `index`: the part's place, which names it. Raises UnsupportedContent, InvalidRequest."""
    if url[:8].lower().startswith(("http://", "https://")):
        raise UnsupportedContent("Images are not fetched from the web: send the image itself, as a data URL.", param=param)
    media_type, start = parse_data_url(url, param)
    return EncodedFile(text=url, start=start, name=f"image-{index + 1}{_suffix(media_type)}", param=param)


async def _named(file_id: str, part: FilePart, at: str, spool: Spool) -> Upload:
    if part.file.file_data is not None:
        raise InvalidRequest("Send the file's id or the file itself, not both.", param=f"{at}.file.file_id")
    return await spool.take_named(file_id, f"{at}.file.file_id")


def _file(part: FilePart, at: str, index: int) -> EncodedFile:
    return encoded_file(part.file.file_data, part.file.filename, f"{at}.file.file_data", index)


def encoded_file(data: str | None, filename: str | None, param: str, index: int) -> EncodedFile:
    """A file by its data URL or its base64; `index`: the part's place, which names it where nothing else does. Raises InvalidRequest."""
    if data is None:
        raise InvalidRequest(f"'{param}' is missing.", param=param)
    media_type, start = parse_data_url(data, param) if data[:5].lower() == "data:" else ("", 0)
    name = display_name(filename or "", f"file-{index + 1}{_suffix(media_type)}")
    return EncodedFile(text=data, start=start, name=name, param=param)


def _suffix(media_type: str) -> str:
    """A name's end for a file that came without a name: display only, the file's own bytes say what it is."""
    kind = media_type.rpartition("/")[2]
    suffix = _SUFFIXES.get(kind, kind)
    return f".{suffix}" if suffix.isalnum() and len(suffix) <= 5 else ""


_INSTRUCTS = ("system", "developer")
_ONE_MESSAGE = (
    "Send exactly one user message per request: the server keeps the conversation itself. "
    "To go on with one, send the same 'session_id' again. To send a history instead, ask an agent by its name: model 'agent:main'."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatHistory:
    """Messages as a turn takes them; files lie in the spool."""

    instructions: tuple[str, ...]
    said: tuple[Earlier, ...]
    """All that is no instruction, in order."""

    def check_asked(self) -> None:
        """Raises InvalidRequest where the last word is not the user's."""
        if not self.said or not isinstance(self.said[-1], HistoryMessage):
            raise InvalidRequest("The last message must be the user's.", param="messages")


async def one_message(messages: Sequence[ChatMessage], spool: Spool, limits: ApiLimits) -> ChatHistory:
    """Instructions, then one message of the user's. Raises InvalidRequest for anything else."""
    *before, last = messages
    for index, message in enumerate(before):
        if message.role not in _INSTRUCTS:
            raise InvalidRequest(_ONE_MESSAGE, param=f"messages.{index}.role")
    if last.role in _INSTRUCTS:
        raise InvalidRequest(f"The last message must be the user's. {_ONE_MESSAGE}", param="messages")
    if last.role != "user":
        raise InvalidRequest(_ONE_MESSAGE, param=f"messages.{len(messages) - 1}.role")
    return await conversation(messages, spool, limits)


async def conversation(messages: Sequence[ChatMessage], spool: Spool, limits: ApiLimits) -> ChatHistory:
    """Messages of any roles in any order, as long as each call of a tool is answered right after it. Instructions hold for all, wherever
    they stand. Raises InvalidRequest and its kin, each with the path of what is wrong."""
    instructions: list[str] = []
    said: list[Earlier] = []
    waiting: dict[str, str] = {}
    for index, message in enumerate(messages):
        at = f"messages.{index}"
        if waiting and message.role != "tool":
            raise InvalidRequest(f"The call '{next(iter(waiting))[:64]}' of the message before has no answer by a tool message.", param=at)
        if message.role in _INSTRUCTS:
            instructions += [text for text in (words_only(message.content, f"{at}.content"),) if text.strip()]
        elif message.role == "user":
            said.append(HistoryMessage(content=await _content(message, f"{at}.content", spool, limits)))
        elif message.role == "assistant":
            said.append(_answer(message, at))
            waiting = {call.id: call.function.name for call in message.tool_calls or ()}
        else:
            said.append(_result(message, at, waiting))
    if waiting:
        raise InvalidRequest(f"The call '{next(iter(waiting))[:64]}' has no answer by a tool message.", param="messages")
    return ChatHistory(instructions=tuple(instructions), said=tuple(said))


async def _content(message: ChatMessage, at: str, spool: Spool, limits: ApiLimits) -> tuple[UserText | Upload, ...]:
    content = await take_in(message.content, at, spool, limits)
    check_said(content, at)
    return content


def check_said(content: Sequence[UserText | Upload], param: str) -> None:
    """Raises InvalidRequest for a message of a user's that says nothing."""
    if not any(isinstance(part, Upload) or part.text.strip() for part in content):
        raise InvalidRequest("The message is empty: it needs text or a file.", param=param)


def _answer(message: ChatMessage, at: str) -> AssistantMessage:
    calls = [ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments) for call in message.tool_calls or ()]
    if len({call.id for call in calls}) < len(calls):
        raise InvalidRequest("Two calls of this message have the same id.", param=f"{at}.tool_calls")
    return AssistantMessage(
        id=new_id("msg"),
        text=words_only(message.content, f"{at}.content"),
        tool_calls=tuple(calls),
        finish_reason="tool_calls" if calls else "stop",
    )


def _result(message: ChatMessage, at: str, waiting: dict[str, str]) -> ToolMessage:
    if message.role == "function":
        raise InvalidRequest("Functions are not supported: send tool calls and messages of the role 'tool'.", param=f"{at}.role")
    if message.tool_call_id not in waiting:
        raise InvalidRequest("This answers no call of the message before.", param=f"{at}.tool_call_id")
    name = waiting.pop(message.tool_call_id)
    return ToolMessage(id=new_id("msg"), call_id=message.tool_call_id, name=name, text=words_only(message.content, f"{at}.content"))


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
    wishes: ModelOptions
    """Of a registered model; agents and workflows take none."""


async def read_chat(scope: Scope, receive: Receive, spool: Spool, limits: ApiLimits, known: AgentCatalog) -> ChatInput:
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


async def _from_json(scope: Scope, body: dict[str, Json], spool: Spool, limits: ApiLimits, known: AgentCatalog) -> ChatInput:
    try:
        request = ChatRequest.model_validate(body)
    except ValidationError as error:
        raise complaint(error.errors(include_url=False)) from None
    chosen = _route(scope, request, known)
    wishes = options_of(request, chosen)
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


def _from_form(scope: Scope, fields: dict[str, str], files: tuple[Upload, ...], known: AgentCatalog) -> ChatInput:
    try:
        options = ChatOptions.model_validate(_typed(fields))
    except ValidationError as error:
        raise complaint(error.errors(include_url=False)) from None
    chosen = _route(scope, options, known)
    wishes = options_of(options, chosen)
    message = fields.get("message", "")
    content = (*([UserText(text=message)] if message else []), *files)
    check_said(content, "message")
    return ChatInput(
        route=chosen,
        said=(HistoryMessage(content=content),),
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


def _route(scope: Scope, options: ChatOptions, known: AgentCatalog) -> Route:
    """Who answers."""
    agent, session = headers_of(scope)
    named = RoutingHints(model=options.model, session_id=options.session_id, user=options.user, agent_header=agent, session_header=session)
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
