"""From the body of POST /v1/responses to a turn."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.types import Receive, Scope

from assistant.api.body.request import read_json
from assistant.api.body.spool import Spool
from assistant.api.chat.read import ChatInput, parted, sampling_of
from assistant.api.chat.route import AgentCatalog, RoutingHints, ToAgent, ToModel, ToWorkflow, headers_of, options_of, route
from assistant.api.chat.wire import ChatOptions
from assistant.api.complaints import validated
from assistant.api.responses import wire
from assistant.api.responses.items import ItemCollector, PartPath, SentFiles, missing, recall_files, recalled, take_files
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import Json, ToolMessage
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseInput:
    """A request that was read. Its files are in the spool."""

    request: wire.ResponseRequest
    to: ToAgent | ToModel
    """Where `chat` goes."""
    chat: ChatInput
    items: Sequence[wire.InputItem]
    files: Mapping[PartPath, SentFiles]

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
    request = validated(wire.ResponseRequest, await read_json(scope, receive, spool.limits))
    _check(request)
    chain = await _chain(request.previous_response_id, store, owner)
    chosen = _route(scope, request, known, chain[-1] if chain else None)
    options = _options(request)
    model_options = options_of(options, chosen)
    if isinstance(chosen, ToModel) and request.truncation == "auto":
        raise InvalidRequest("'truncation' is \"disabled\" for a model: what does not fit is refused.", param="truncation")
    items: list[wire.InputItem] = (
        [wire.InputMessage(role="user", content=request.input)] if isinstance(request.input, str) else request.input
    )
    files = await take_files(items, spool)
    in_session = isinstance(chosen, ToAgent) and chosen.session is not None
    talk = await _said(() if in_session else chain, items, files, spool, continues=in_session)
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
    return ResponseInput(request=request, to=chosen, chat=chat, items=items, files=files)


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
    chain: Sequence[KeptResponse], items: Sequence[wire.InputItem], files: Mapping[PartPath, SentFiles], spool: Spool, *, continues: bool
) -> ItemCollector:
    """The items of the earlier responses, then the input. Raises InvalidRequest."""
    talk = ItemCollector(continues=continues)
    earlier = await asyncio.to_thread(recalled, chain)
    seen = await recall_files(earlier, spool)
    for index, item in enumerate(earlier):
        if not isinstance(item, wire.FunctionOutput) or talk.waits_for(item):  # else its call was deleted, with the response that made it
            _add(talk, item, index, seen, "previous_response_id")
    own = {place: sent.upload for place, sent in files.items()}
    for index, item in enumerate(items):
        _add(talk, item, index, own, f"input.{index}")
    talk.check_answered("input")
    return talk


def _add(talk: ItemCollector, item: wire.InputItem, index: int, files: Mapping[PartPath, Upload], at: str) -> None:
    if isinstance(item, wire.FunctionCall):
        talk.call(item, at)
    elif isinstance(item, wire.FunctionOutput):
        talk.output(item, at)
    else:
        talk.message(item, _content(item, index, files) if item.role == "user" else (), at)


def _content(message: wire.InputMessage, index: int, files: Mapping[PartPath, Upload]) -> tuple[UserText | Upload, ...]:
    if isinstance(message.content, str):
        return (UserText(text=message.content),)
    content: list[UserText | Upload] = []
    for place, part in enumerate(message.content):
        if isinstance(part, wire.InputImage | wire.InputFile):
            content.append(files.get((index, place)) or UserText(text=missing(part)))
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
    choice = request.tool_choice
    function = None if choice is None or isinstance(choice, str) else {"type": "function", "function": {"name": choice.name}}
    scored = "message.output_text.logprobs" in (request.include or ()) or bool(request.top_logprobs)
    return ChatOptions.model_validate(
        {
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_output_tokens,
            "reasoning_effort": request.reasoning.effort if request.reasoning else None,
            "tools": [{"type": "function", "function": tool.model_dump(exclude={"type"})} for tool in request.tools or ()],
            "tool_choice": function or choice,
            "parallel_tool_calls": request.parallel_tool_calls,
            "logprobs": scored,
            "top_logprobs": request.top_logprobs if scored else None,
        }
    )


def _response_format(wanted: wire.TextFormat) -> dict[str, Json]:
    if wanted.type != "json_schema":
        return {"type": wanted.type}
    schema: dict[str, Json] = {"name": wanted.name, "schema": wanted.json_schema}
    more = {"description": wanted.description, "strict": wanted.strict}
    return {"type": "json_schema", "json_schema": schema | {name: value for name, value in more.items() if value is not None}}
