"""From the body of POST /v1/responses to a turn."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson
from starlette.types import Receive, Scope

from assistant.api.body.request import read_json
from assistant.api.body.spool import Spool
from assistant.api.chat.extras import extra_fields, web_image
from assistant.api.chat.read import ChatInput, parted, sampling_of
from assistant.api.chat.route import AgentCatalog, RoutingHints, ToAgent, ToModel, ToWorkflow, headers_of, options_of, route
from assistant.api.chat.tools import left_out
from assistant.api.chat.wire import ChatOptions, OtherTool
from assistant.api.complaints import validated
from assistant.api.responses import wire
from assistant.api.responses.collector import ItemCollector, Taken
from assistant.api.responses.items import (
    PartPath,
    SentFiles,
    dereferenced,
    is_link,
    missing,
    parts_of_item,
    recall_files,
    recalled,
    take_files,
)
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import Json, ToolCall, ToolMessage, Verbatim
from assistant.contracts.records import record
from assistant.contracts.turns import Earlier, HistoryMessage, Upload, UserText
from assistant.store.responses import KeptResponse, ResponseStore

_ONE_MESSAGE = (
    "Send one user message: the server keeps the conversation itself. To continue from a response, send its id as 'previous_response_id'. "
    "To send a history instead, ask an agent by its name (model 'agent:main'), say 'store': false, or set api.history to \"client\" in the server's "
    "configuration."
)


class NoPreviousResponse(InvalidRequest):
    """There is no such response to continue from."""

    code = "previous_response_not_found"


@record
class ResponseInput:
    """A request that was read. Its files are in the spool."""

    request: wire.ResponseRequest
    to: ToAgent | ToModel
    """Where `chat` goes."""
    chat: ChatInput
    items: Sequence[wire.InputItem]
    files: Mapping[PartPath, SentFiles]
    notices: tuple[str, ...] = ()
    """What of the request was left out."""

    @property
    def keeps(self) -> bool:
        return self.request.store is not False

    @property
    def model(self) -> str:
        """The model that the answer names."""
        return self.to.shown if isinstance(self.to, ToAgent) else self.to.id

    @property
    def session(self) -> str | None:
        return self.to.session if isinstance(self.to, ToAgent) else None


async def read_response(
    scope: Scope, receive: Receive, spool: Spool, known: AgentCatalog, store: ResponseStore, owner: str
) -> ResponseInput:
    """Raises UnsupportedMediaType, InvalidRequest and its kin, ModelNotFound, RequestTooLarge, FileTooLarge, RequestTimeout, StoreUnavailable;
    ClientDisconnect if the client left before its request was whole."""
    body = await read_json(scope, receive, spool.limits)
    request = validated(wire.ResponseRequest, body)
    _check(request)
    chain = await _chain(request.previous_response_id, store, owner)
    chosen = _route(scope, request, known, chain[-1] if chain else None)
    to_model = isinstance(chosen, ToModel)
    options = _options(request)
    model_options = options_of(options, chosen)
    if to_model:
        model_options = replace(model_options, extra_fields=_extra_fields(body, request), hints=_HINTS)
    sent: list[wire.InputItem] = (
        [wire.InputMessage(role="user", content=request.input)] if isinstance(request.input, str) else request.input
    )
    in_session = isinstance(chosen, ToAgent) and chosen.session is not None
    before = () if in_session else chain
    items = await dereferenced(sent, before, store, owner)
    files = await take_files(items, spool, links=to_model)
    talk = await _said(before, items, files, spool, links=to_model, continues=in_session)
    said = _newest(talk.said, chosen)
    chat = ChatInput(
        route=chosen,
        said=said,
        instructions=(*([request.instructions] if request.instructions else []), *talk.instructions),
        sampling=sampling_of(options, _response_format(request.text.format) if request.text and request.text.format else None),
        stream=request.stream is True,
        include_usage=False,
        options=model_options,
    )
    hosted = left_out("Items", [item.type for item in items if isinstance(item, wire.HostedItem)])
    notices = tuple(filter(None, [model_options.notice, hosted]))
    return ResponseInput(request=request, to=chosen, chat=chat, items=items, files=files, notices=notices)


def _check(request: wire.ResponseRequest) -> None:
    """Refuse options that would change the answer if they were ignored."""
    for name, wanted, why in (
        ("background", request.background is True, "a response runs on when its client goes away, as it is"),
        ("conversation", request.conversation is not None, "send 'session_id' or 'previous_response_id'"),
        ("prompt", request.prompt is not None, "send 'instructions' and 'input'"),
    ):
        if wanted:
            raise InvalidRequest(f"'{name}' is not supported: {why}.", param=name)


async def _chain(previous: str | None, store: ResponseStore, owner: str) -> Sequence[KeptResponse]:
    if previous is None:
        return ()
    chain = await store.chain(owner, previous)
    if not chain:
        raise NoPreviousResponse(f"There is no response '{previous}' here.", param="previous_response_id")
    if chain[-1].state != "ended" or chain[-1].body.get("status") not in ("completed", "incomplete"):
        raise InvalidRequest("That response has no answer to go on from: see its status.", param="previous_response_id")
    return chain


def _route(scope: Scope, request: wire.ResponseRequest, known: AgentCatalog, previous: KeptResponse | None) -> ToAgent | ToModel:
    """Who answers, and in which session: the named one; else the previous response's; else the default agent's shared one, unless the
    client keeps the conversation itself."""
    agent, header_session = headers_of(scope)
    named = RoutingHints(
        model=request.model, session_id=request.session_id, user=request.user, agent_header=agent, session_header=header_session
    )
    chosen = route(named, known)
    if isinstance(chosen, ToWorkflow):
        raise InvalidRequest("This is a workflow: ask it at /v1/chat/completions.", param="model")
    if not isinstance(chosen, ToAgent):
        return chosen
    explicit = request.session_id is not None or header_session is not None
    if previous is not None:
        if explicit and chosen.session != previous.session:
            raise InvalidRequest("The previous response belongs to another conversation than this session.", param="previous_response_id")
        return replace(chosen, session=previous.session, takes_history=previous.session is None)
    if request.store is False and not explicit and not request.user:
        return replace(chosen, session=None, takes_history=True)
    return chosen


async def _said(
    chain: Sequence[KeptResponse],
    items: Sequence[wire.InputItem],
    files: Mapping[PartPath, SentFiles],
    spool: Spool,
    *,
    links: bool,
    continues: bool,
) -> ItemCollector:
    """The items of the earlier responses, then the input. Raises InvalidRequest."""
    talk = ItemCollector(continues=continues)
    earlier = await asyncio.to_thread(recalled, chain)
    seen = await recall_files(earlier, spool)
    for index, item in enumerate(earlier):
        # an output is left out where its call was deleted, with the response that made it
        if not isinstance(item, wire.FunctionOutput) or talk.knows(item.call_id):
            _add(talk, item, _taken(item, index, seen, links), "previous_response_id")
    own = {place: sent.upload for place, sent in files.items()}
    for index, item in enumerate(items):
        _add(talk, item, _taken(item, index, own, links), f"input.{index}")
    talk.check_answered()
    return talk


def _add(talk: ItemCollector, item: wire.InputItem, taken: Taken, at: str) -> None:
    match item:
        case wire.FunctionCall():
            talk.call(ToolCall(id=item.call_id, name=item.name, arguments=item.arguments), at)
        case wire.CustomCall():
            talk.call(ToolCall(id=item.call_id, name=item.name, arguments=orjson.dumps({"input": item.input}).decode()), at)
        case wire.FunctionOutput():
            talk.output(item.call_id, taken, at)
        case wire.ReasoningItem():
            talk.thought(item)
        case wire.InputMessage():
            talk.message(item, taken, at)
        case _:
            pass


def _taken(item: wire.InputItem, index: int, files: Mapping[PartPath, Upload], links: bool) -> Taken:
    """The parts of a user's message or of an output. `links`: pictures by their web addresses may be among them."""
    if isinstance(item, wire.FunctionOutput) and isinstance(item.output, str):
        return (UserText(text=item.output),)
    if isinstance(item, wire.InputMessage) and isinstance(item.content, str):
        return (UserText(text=item.content),)
    content: list[UserText | Upload | Verbatim] = []
    for place, part in enumerate(parts_of_item(item)):
        file = files.get((index, place))
        if isinstance(part, wire.InputImage) and file is None and links and is_link(part):
            content.append(web_image(part.image_url or "", part.detail))
        elif isinstance(part, wire.InputImage):
            content.append(replace(file, detail=part.detail or "") if file else UserText(text=missing(part)))
        elif isinstance(part, wire.InputFile):
            content.append(file or UserText(text=missing(part)))
        else:
            content.append(UserText(text=part.refusal if isinstance(part, wire.RefusalPart) else part.text))
    return tuple(content)


def _newest(said: tuple[Earlier, ...], chosen: ToAgent | ToModel) -> tuple[Earlier, ...]:
    """What is new to the conversation: all of it, but for a session's own steps, where it keeps the conversation. Raises InvalidRequest."""
    if isinstance(chosen, ToModel):
        return said
    if not said or not isinstance(said[-1], HistoryMessage | ToolMessage):
        raise InvalidRequest("The last item must be the user's message, or the output of a function of yours.", param="input")
    if chosen.takes_history:
        return said
    history, results, content = parted(said)
    own_steps = bool(results) and not any(isinstance(earlier, HistoryMessage) for earlier in history)
    if history and not own_steps:
        raise InvalidRequest(_ONE_MESSAGE, param="input")
    return (*results, *((said[-1],) if content else ()))


def _options(request: wire.ResponseRequest) -> ChatOptions:
    """The options as chat completions name them."""
    scored = "message.output_text.logprobs" in (request.include or ()) or bool(request.top_logprobs)
    return ChatOptions.model_validate(
        {
            "temperature": request.temperature,
            "top_p": request.top_p,
            "presence_penalty": request.presence_penalty,
            "frequency_penalty": request.frequency_penalty,
            "max_tokens": request.max_output_tokens,
            "reasoning_effort": request.reasoning.effort if request.reasoning else None,
            "tools": [_nested(tool) for tool in request.tools or ()],
            "tool_choice": _choice(request.tool_choice),
            "parallel_tool_calls": request.parallel_tool_calls,
            "logprobs": scored,
            "top_logprobs": request.top_logprobs if scored else None,
        }
    )


def _nested(tool: wire.FunctionTool | wire.NamedFunction | OtherTool) -> dict[str, Any]:
    """A tool, or its name, as chat completions have it: inside `function`."""
    if isinstance(tool, OtherTool):
        return {"type": tool.type}
    return {"type": "function", "function": tool.model_dump(exclude={"type"})}


def _choice(choice: wire.ResponseToolChoice | None) -> str | dict[str, Any] | None:
    if choice is None or isinstance(choice, str):
        return choice
    if isinstance(choice, wire.AllowedFunctions):
        return {"type": choice.type, "allowed_tools": {"mode": choice.mode, "tools": [_nested(tool) for tool in choice.tools]}}
    return _nested(choice)


_HINTS: Final = frozenset({"user", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "verbosity"})
"""Fields of a response's request that chat completions have, too, and not every provider: programs send them without being asked to."""


def _extra_fields(body: Mapping[str, Json], request: wire.ResponseRequest) -> Mapping[str, Json]:
    """What goes to a registered model as it is: what both APIs name alike, and what neither defines (an engine's own)."""
    fields = {name: value for name in _HINTS if (value := body.get(name)) is not None}
    if request.text and request.text.verbosity:
        fields["verbosity"] = request.text.verbosity
    return fields | extra_fields(body, known=_KNOWN)


_KNOWN: Final = {*wire.ResponseRequest.model_fields, *ChatOptions.model_fields, "context_management", "client_metadata"} - {"seed", "stop"}
"""Fields that are read here, or belong to the other API."""


def _response_format(wanted: wire.TextFormat) -> dict[str, Json]:
    if wanted.type != "json_schema":
        return {"type": wanted.type}
    schema: dict[str, Json] = {"name": wanted.name, "schema": wanted.json_schema}
    more = {"description": wanted.description, "strict": wanted.strict}
    return {"type": "json_schema", "json_schema": schema | {name: value for name, value in more.items() if value is not None}}
