"""From a request's body to a ChatInput: the conversation, its files, the options."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Final, cast

from starlette.types import Receive, Scope

from assistant.api.body.multipart import MultipartForm
from assistant.api.body.naming import may_hold_files
from assistant.api.body.request import read_request
from assistant.api.body.spool import EncodedFile, Spool, decode_to_disk, parse_data_url
from assistant.api.chat.extras import extra_fields, is_web_address, message_extras, thoughts_of, web_image
from assistant.api.chat.route import (
    AgentCatalog,
    ModelOptions,
    Route,
    RoutingHints,
    ToAgent,
    ToModel,
    headers_of,
    options_of,
    route,
)
from assistant.api.chat.wire import (
    AudioPart,
    ChatMessage,
    ChatOptions,
    ChatRequest,
    ContentPart,
    FilePart,
    ImagePart,
    OtherPart,
    RefusalPart,
    TextPart,
)
from assistant.api.complaints import validated
from assistant.contracts.errors import InvalidRequest, UnsupportedContent
from assistant.contracts.messages import AssistantMessage, Json, ToolCall, ToolMessage, Verbatim
from assistant.contracts.models import Sampling
from assistant.contracts.records import record
from assistant.contracts.turns import Earlier, HistoryMessage, Upload, UserText
from assistant.contracts.util import display_name, new_id

_SUFFIXES = {"jpeg": "jpg", "svg+xml": "svg", "plain": "txt", "markdown": "md", "x-yaml": "yaml"}


async def take_in_part(part: ContentPart, at: str, index: int, spool: Spool) -> UserText | Upload:
    """A part of a message, whose path is `at`: text, or a file in the spool. Raises InvalidRequest and its kin."""
    match part:
        case TextPart():
            return UserText(text=part.text)
        case AudioPart(input_audio=audio) if spool.hears:
            name = f"audio-{index + 1}.{(audio.format or 'wav')[:5]}"
            file = encoded_file(audio.data, name, f"{at}.input_audio.data", index)
            return replace(await asyncio.to_thread(decode_to_disk, file, spool), sound="words")
        case RefusalPart() | OtherPart() | AudioPart():
            words = f"Content of type '{part.type[:40]}' is not supported: send text, image_url or file."
            raise UnsupportedContent(words, param=f"{at}.type")
        case ImagePart():
            file = encoded_image(part.image_url.url, f"{at}.image_url.url", index)
        case FilePart(file=sent):
            if sent.file_id is not None:
                if sent.file_data is not None:
                    raise InvalidRequest("Send the file's id or the file itself, not both.", param=f"{at}.file.file_id")
                return await spool.take_named(sent.file_id, f"{at}.file.file_id")
            file = encoded_file(sent.file_data, sent.filename, f"{at}.file.file_data", index)
    return await asyncio.to_thread(decode_to_disk, file, spool)


async def _take_for_model(part: ContentPart, sent: Mapping[str, Json], at: str, index: int, spool: Spool) -> UserText | Upload | Verbatim:
    """The same for a registered model, which gets as it is what is not a file. `sent`: the part as the client wrote it."""
    if isinstance(part, OtherPart | AudioPart) or (isinstance(part, TextPart) and len(sent) > 2):
        return Verbatim(text=part.text if isinstance(part, TextPart) else "", value=sent)
    if isinstance(part, ImagePart):
        image = part.image_url
        if is_web_address(image.url):
            return web_image(image.url, image.detail)
        file = encoded_image(image.url, f"{at}.image_url.url", index)
        return replace(await asyncio.to_thread(decode_to_disk, file, spool), detail=image.detail or "")
    return await take_in_part(part, at, index, spool)


def words_only(content: str | Sequence[ContentPart] | None, param: str) -> str:
    """The text of a message that is not the user's. Raises UnsupportedContent for one with anything else."""
    if content is None or isinstance(content, str):
        return content or ""
    texts: list[str] = []
    for index, part in enumerate(content):
        if not isinstance(part, TextPart | RefusalPart):
            other = f"Content of type '{part.type[:40]}' is not supported in this message: send text."
            words = other if isinstance(part, OtherPart | AudioPart) else "Only a user message may hold images or files."
            raise UnsupportedContent(words, param=f"{param}.{index}.type")
        texts.append(part.text if isinstance(part, TextPart) else part.refusal)
    return "\n".join(texts)


def encoded_image(url: str, param: str, index: int) -> EncodedFile:
    """An image by its data URL; `index`: of its part, used in its name. Raises UnsupportedContent, InvalidRequest."""
    if is_web_address(url):
        raise UnsupportedContent("Images are not fetched from the web: send the image itself, as a data URL.", param=param)
    media_type, start = parse_data_url(url, param)
    return EncodedFile(text=url, start=start, name=f"image-{index + 1}{_suffix(media_type)}", param=param)


def encoded_file(data: str | None, filename: str | None, param: str, index: int) -> EncodedFile:
    """A file by its data URL or base64; `index`: of its part, used as its name if it has none. Raises InvalidRequest."""
    if data is None:
        raise InvalidRequest(f"'{param}' is missing.", param=param)
    media_type, start = parse_data_url(data, param) if data[:5].lower() == "data:" else ("", 0)
    name = display_name(filename or "", f"file-{index + 1}{_suffix(media_type)}")
    return EncodedFile(text=data, start=start, name=name, param=param)


def _suffix(media_type: str) -> str:
    """For the name of a file that came without one: for display only, the type is detected from the bytes."""
    kind = media_type.rpartition("/")[2]
    suffix = _SUFFIXES.get(kind, kind)
    return f".{suffix}" if suffix.isalnum() and len(suffix) <= 5 else ""


_INSTRUCTS = ("system", "developer")
NO_HISTORY = (
    "To send a history instead, name the agent: model 'agent:main', or set api.history to \"client\" in the server's configuration, which makes "
    "the default model take it, too."
)
_ONE_MESSAGE = (
    "Send exactly one user message per request: the server keeps the conversation itself. "
    f"To continue it, send the same 'session_id' again. {NO_HISTORY}"
)


def _newest(messages: Sequence[ChatMessage]) -> Sequence[tuple[int, ChatMessage]]:
    """Of a request to a session: the instructions, and either one message of the user, which results of the client's tools may precede, or such
    results alone, with their places. The steps before results, which the session has, are left out. Raises InvalidRequest for a history."""
    placed = list(enumerate(messages))
    if len(messages) == 1 and messages[0].role == "user":
        return placed
    said = [(index, message) for index, message in placed if message.role not in _INSTRUCTS]
    if not said or messages[-1].role in _INSTRUCTS:
        where = f"messages.{said[0][0]}.role" if said else "messages"
        raise InvalidRequest(f"The last message must be the user's. {_ONE_MESSAGE}", param=where)
    asked = said[-1][1].role == "user"
    before = said[:-1] if asked else said
    results = [index for index, _ in takewhile(lambda each: each[1].role == "tool", reversed(before))]
    earlier = before[: len(before) - len(results)]
    if not asked and not results:
        raise InvalidRequest(_ONE_MESSAGE, param=f"messages.{said[-1][0]}.role")
    if earlier and (asked or not _is_one_turn([message for _, message in earlier])):
        raise InvalidRequest(_ONE_MESSAGE, param=f"messages.{earlier[0][0]}.role")
    left_out = {index for index, _ in earlier}
    return [(index, message) for index, message in placed if index not in left_out]


def _is_one_turn(earlier: Sequence[ChatMessage]) -> bool:
    """Whether these are one message of the user, if any, and the steps that followed it."""
    return all(message.role in ("assistant", "tool") for message in earlier[1:]) and earlier[0].role in ("user", "assistant")


def parted(said: Sequence[Earlier]) -> tuple[tuple[Earlier, ...], tuple[ToolMessage, ...], tuple[UserText | Upload | Verbatim, ...]]:
    """A conversation as (history, results of the client's tools, the user's new message, empty where it ends with results)."""
    last = said[-1]
    content = last.content if isinstance(last, HistoryMessage) else ()
    end = len(said) - 1 if content else len(said)
    start = end
    while start and isinstance(said[start - 1], ToolMessage):
        start -= 1
    return tuple(said[:start]), tuple([each for each in said[start:end] if isinstance(each, ToolMessage)]), content


async def _conversation(
    messages: Sequence[tuple[int, ChatMessage]], sent: Sequence[Mapping[str, Json]], spool: Spool, *, to_model: bool, continues: bool
) -> tuple[list[str], list[Earlier]]:
    """The instructions, which apply to the whole conversation from any position, and the other messages in order. Each tool call must be
    answered right after it. `sent`: all messages as the client wrote them; `continues`: the first messages may be results of calls that a session
    has. Raises InvalidRequest and its kin, each with the path of what is wrong."""
    instructions: list[str] = []
    said: list[Earlier] = []
    waiting: dict[str, str] = {}
    for index, message in messages:
        raw = sent[index]
        at = f"messages.{index}"
        if waiting and message.role != "tool":
            raise InvalidRequest(f"The call '{next(iter(waiting))[:64]}' of the message before has no answer by a tool message.", param=at)
        if message.role in _INSTRUCTS:
            instructions += [text for text in (words_only(message.content, f"{at}.content"),) if text.strip()]
        elif message.role == "user":
            said_here = message.content or ()
            if isinstance(said_here, str):
                taken: Sequence[UserText | Upload | Verbatim] = [UserText(text=said_here)]
            else:
                taken = await _user_content(said_here, raw, at, spool, to_model=to_model)
            check_said(taken, f"{at}.content")
            said.append(HistoryMessage(content=tuple(taken), extras=message_extras(raw, every=True) if to_model else {}))
        elif message.role == "assistant":
            said.append(_answer(message, raw, at, to_model=to_model))
            waiting = {call.id: call.function.name for call in message.tool_calls or ()}
        else:
            of_session = continues and all(isinstance(each, ToolMessage) for each in said)
            said.append(_result(message, at, waiting, of_session=of_session))
    if waiting:
        raise InvalidRequest(f"The call '{next(iter(waiting))[:64]}' has no answer by a tool message.", param="messages")
    return instructions, said


async def _user_content(
    content: Sequence[ContentPart], raw: Mapping[str, Json], at: str, spool: Spool, *, to_model: bool
) -> Sequence[UserText | Upload | Verbatim]:
    sent = cast("list[Mapping[str, Json]]", raw.get("content") or ())
    return [
        await _take_for_model(part, sent[place], f"{at}.content.{place}", place, spool)
        if to_model
        else await take_in_part(part, f"{at}.content.{place}", place, spool)
        for place, part in enumerate(content)
    ]


def check_said(content: Sequence[UserText | Upload | Verbatim], param: str) -> None:
    """Raises InvalidRequest for an empty message of the user."""
    if not any(not isinstance(part, UserText) or part.text.strip() for part in content):
        raise InvalidRequest("The message is empty: it needs text or a file.", param=param)


def _answer(message: ChatMessage, raw: Mapping[str, Json], at: str, *, to_model: bool) -> AssistantMessage:
    made = message.tool_calls or ()
    sent = cast("list[Mapping[str, Json]]", raw.get("tool_calls") or ())
    calls = [
        ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments, extras=message_extras(fields, every=to_model))
        for call, fields in zip(made, sent, strict=True)
    ]
    if len({call.id for call in calls}) < len(calls):
        raise InvalidRequest("Two calls of this message have the same id.", param=f"{at}.tool_calls")
    extras = message_extras(raw, every=to_model)
    return AssistantMessage(
        id=new_id("msg"),
        text=words_only(message.content, f"{at}.content"),
        tool_calls=tuple(calls),
        finish_reason="tool_calls" if calls else "stop",
        reasoning=thoughts_of(extras),
        extras=extras,
    )


def _result(message: ChatMessage, at: str, waiting: dict[str, str], *, of_session: bool) -> ToolMessage:
    """`of_session`: whether the call is one that the session has, which names it."""
    if message.role == "function":
        raise InvalidRequest("Functions are not supported: send tool calls and messages of the role 'tool'.", param=f"{at}.role")
    call = message.tool_call_id or ""
    if call not in waiting and not (of_session and call):
        raise InvalidRequest("This answers no call of the message before.", param=f"{at}.tool_call_id")
    text = words_only(message.content, f"{at}.content")
    return ToolMessage(id=new_id("msg"), call_id=call, name=waiting.pop(call, ""), text=text, from_client=True)


_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_WHOLE_NUMBERS = ("max_tokens", "max_completion_tokens", "seed", "n")
_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")


@record
class ChatInput:
    """A checked request. Its files are in the spool."""

    route: Route
    said: tuple[Earlier, ...]
    """The conversation. For a workflow the last message is the user's, for an agent it may be a result of the client's tools."""
    instructions: tuple[str, ...]
    sampling: Sampling
    stream: bool
    include_usage: bool
    options: ModelOptions
    """For a registered model; of them an agent takes those of the client's tools."""
    include_steps: bool = False
    """Whether a stream tells which tools are called, as it happens."""


_HANDLED: Final = frozenset(ChatRequest.model_fields) - {"user"}
"""Fields of a request that become options here; a registered model gets the others as they are."""


async def read_chat(scope: Scope, receive: Receive, spool: Spool, known: AgentCatalog) -> ChatInput:
    """Raises ModelNotFound, and what `read_request` raises."""
    body = await read_request(scope, receive, spool)
    messages: Sequence[ChatMessage] = ()
    response_format = None
    if isinstance(body, MultipartForm):
        options = validated(ChatOptions, _typed(body.fields))
    else:
        options = request = validated(ChatRequest, body)
        messages = request.messages
        response_format = cast("dict[str, Json] | None", body.get("response_format"))
    agent, session = headers_of(scope)
    named = RoutingHints(model=options.model, session_id=options.session_id, user=options.user, agent_header=agent, session_header=session)
    chosen = route(named, known)
    model_options = options_of(options, chosen)
    to_model = isinstance(chosen, ToModel)
    if to_model and not isinstance(body, MultipartForm):
        model_options = replace(model_options, extra_fields=extra_fields(body, known=_HANDLED))
    instructions: list[str] = []
    if isinstance(body, MultipartForm):
        if nameless := next((name for name, value in body.fields.items() if value and may_hold_files(name)), None):
            raise InvalidRequest(f"'{nameless}' must be a file: its part needs a filename.", param=nameless)
        text = body.fields.get("message", "")
        content = (*([UserText(text=text)] if text else []), *body.files)
        check_said(content, "message")
        said: list[Earlier] = [HistoryMessage(content=content)]
    else:
        sent = cast("list[Mapping[str, Json]]", body["messages"])
        alone = isinstance(chosen, ToAgent) and not chosen.takes_history
        in_session = isinstance(chosen, ToAgent) and chosen.session is not None
        placed = _newest(messages) if alone else list(enumerate(messages))
        instructions, said = await _conversation(placed, sent, spool, to_model=to_model, continues=in_session)
        may_end = (HistoryMessage, ToolMessage) if isinstance(chosen, ToAgent) else HistoryMessage
        if not isinstance(chosen, ToModel) and not (said and isinstance(said[-1], may_end)):
            more = ", or hold a result of a tool of yours" if isinstance(chosen, ToAgent) else ""
            raise InvalidRequest(f"The last message must be the user's{more}.", param="messages")
    return ChatInput(
        route=chosen,
        said=tuple(said),
        instructions=tuple(instructions),
        sampling=sampling_of(options, response_format),
        stream=options.stream is True,
        include_usage=options.stream_options is not None and options.stream_options.include_usage is True,
        options=model_options,
        include_steps=options.stream_options is not None and options.stream_options.include_steps is True,
    )


def _typed(fields: dict[str, str]) -> dict[str, object]:
    """A form's options with their JSON types. Text that does not parse stays text, for the validator to refuse."""
    typed: dict[str, object] = dict(fields)
    for names, kind in ((_WHOLE_NUMBERS, int), (_NUMBERS, float)):
        typed |= {name: _number(fields[name], kind) for name in names if name in fields}
    if (word := fields.get("stream", "").strip().lower()) in _TRUE | _FALSE:
        typed["stream"] = word in _TRUE
    return typed


def _number(text: str, kind: type[int] | type[float]) -> int | float | str:
    try:
        return kind(text) if len(text) <= 40 and text.isascii() and "_" not in text else text
    except ValueError:
        return text


def sampling_of(options: ChatOptions, response_format: dict[str, Json] | None) -> Sampling:
    """`response_format`: as sent, because it holds more than its model keeps."""
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
