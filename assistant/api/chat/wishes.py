"""What a request may wish of a model itself, beyond how its answer is drawn: several answers, tools of the client's, likelihoods."""

from dataclasses import dataclass

from assistant.api.chat.route import Route, ToAgent, ToWorkflow
from assistant.api.chat.wire import ChatOptions, ChosenTool, WireTool
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.models import NamedTool, ToolChoice, ToolSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    n: int = 1
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_calls: bool | None = None
    top_logprobs: int | None = None


_NONE = Wishes()


def wishes_of(options: ChatOptions, chosen: Route) -> Wishes:
    """Raises InvalidRequest for what an agent has no use for, and for wishes that contradict each other."""
    if options.functions:
        raise InvalidRequest("'functions' are not supported: send 'tools', to a registered model.", param="functions")
    if isinstance(chosen, ToAgent):
        return _of_an_agent(options)
    if isinstance(chosen, ToWorkflow):
        return _of_a_workflow(options)
    if options.top_logprobs and not options.logprobs:
        raise InvalidRequest("'top_logprobs' needs 'logprobs'.", param="top_logprobs")
    names = [tool.function.name for tool in options.tools or ()]
    if len(set(names)) < len(names):
        raise InvalidRequest("Two tools have the same name.", param="tools")
    return Wishes(
        n=options.n or 1,
        tools=tuple([_tool(tool) for tool in options.tools or ()]),
        tool_choice=_choice(options, names),
        parallel_calls=options.parallel_tool_calls,
        top_logprobs=(options.top_logprobs or 0) if options.logprobs else None,
    )


def _of_an_agent(options: ChatOptions) -> Wishes:
    if options.n is not None and options.n > 1:
        raise InvalidRequest("'n' must be 1: an agent gives one answer per request.", param="n")
    if options.tools:
        raise InvalidRequest("Tools of the client go to a registered model: an agent uses tools of its own.", param="tools")
    if options.logprobs:
        raise InvalidRequest("'logprobs' go with a registered model: an agent has none.", param="logprobs")
    return _NONE


def _of_a_workflow(options: ChatOptions) -> Wishes:
    """How its models draw their words is the workflow's own business; a client that always says how it would like it may do so."""
    if options.n is not None and options.n > 1:
        raise InvalidRequest("'n' must be 1: a workflow is run once per request.", param="n")
    if options.tools:
        raise InvalidRequest("Tools of the client go to a registered model: a workflow has nodes of its own.", param="tools")
    if options.logprobs:
        raise InvalidRequest("'logprobs' go with a registered model: a workflow has none.", param="logprobs")
    return _NONE


def _tool(tool: WireTool) -> ToolSpec:
    function = tool.function
    return ToolSpec(
        name=function.name,
        description=function.description or "",
        parameters=function.parameters or {"type": "object", "properties": {}},
        strict=function.strict,
    )


def _choice(options: ChatOptions, names: list[str]) -> ToolChoice | None:
    choice = options.tool_choice
    if isinstance(choice, ChosenTool):
        if choice.function.name not in names:
            raise InvalidRequest("'tool_choice' names a tool that is not one of 'tools'.", param="tool_choice")
        return NamedTool(name=choice.function.name)
    if choice == "required" and not names:
        raise InvalidRequest("'tool_choice' needs 'tools'.", param="tool_choice")
    return choice
