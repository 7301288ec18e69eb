"""The client's tools: its functions as the model gets them, which of them may be called, and what is left out."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from assistant.api.chat.wire import AllowedTools, ChatOptions, ChosenTool, FunctionSpec, OtherTool, WireTool
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.models import NamedTool, ToolChoice, ToolSpec
from assistant.contracts.records import record

_NO_ARGUMENTS: Final[dict[str, Any]] = {"type": "object", "properties": {}}


@record
class ClientTools:
    """What a model may call. `notice`: what was left out, for the client; empty: nothing."""

    tools: tuple[ToolSpec, ...] = ()
    choice: ToolChoice | None = None
    named: frozenset[str] = frozenset()
    """What `allowed_tools` names besides the functions: tools that are not the client's."""
    barred: frozenset[str] = frozenset()
    """The functions that it does not name."""
    notice: str = ""


def client_tools(options: ChatOptions, *, own: bool = False) -> ClientTools:
    """The functions among `tools`, and the choice. With `allowed_tools`, only those that it names. `own`: there may be other tools than the
    client's, which the turn knows.

    Raises InvalidRequest where two have the same name, and for a choice that names a tool which is not there, or can't be kept.
    """
    functions, others = functions_of(options), others_of(options)
    names = [each.name for each in functions]
    if len(set(names)) < len(names):
        raise InvalidRequest("Two tools have the same name.", param="tools")
    allowed, choice = _chosen(options, names, others, own)
    tools = [
        ToolSpec(name=each.name, description=each.description or "", parameters=each.parameters or _NO_ARGUMENTS, strict=each.strict)
        for each in functions
        if each.name in allowed
    ]
    return ClientTools(
        tools=tuple(tools),
        choice=choice,
        named=frozenset(allowed).difference(names),
        barred=frozenset(names).difference(allowed),
        notice=left_out("Tools", others),
    )


def functions_of(options: ChatOptions) -> list[FunctionSpec]:
    return [tool.function for tool in options.tools or () if isinstance(tool, WireTool)]


def others_of(options: ChatOptions) -> list[str]:
    """The kinds of the tools that are no functions."""
    return [tool.type for tool in options.tools or () if isinstance(tool, OtherTool)]


def left_out(what: str, kinds: Sequence[str]) -> str:
    """The notice for tools or items of these kinds; empty where there are none. One line of printable ASCII: it is a header's value, too."""
    if not kinds:
        return ""
    shown = [repr(kind.encode("ascii", "replace").decode()) for kind in dict.fromkeys(kinds)]
    more = f" and {len(shown) - 8} more" if len(shown) > 8 else ""
    return f"{what} of the type {', '.join(shown[:8])}{more} were left out: only functions are called here."


def _chosen(options: ChatOptions, names: list[str], others: list[str], own: bool) -> tuple[list[str], ToolChoice | None]:
    """The names of the functions that may be called, and whether one must be."""
    choice = options.tool_choice
    match choice:
        case ChosenTool():
            return names, NamedTool(name=_known(choice.function.name, names, own))
        case AllowedTools(allowed_tools=wanted):
            chosen = [tool.function.name for tool in wanted.tools if isinstance(tool, ChosenTool)]
            for name in chosen:
                _known(name, names, own)
            return chosen, _required(wanted.mode, chosen, others, own)
        case OtherTool():
            raise InvalidRequest(
                f"'tool_choice' demands a tool of the type {choice.type!r}: only functions are called here.", param="tool_choice"
            )
        case _:
            return names, _required(choice, names, others, own)


def _required(
    choice: Literal["none", "auto", "required"] | None, names: list[str], others: list[str], own: bool
) -> Literal["none", "auto", "required"] | None:
    if choice == "required" and not names and (others or not own):
        words = "needs a function among 'tools': others are not called here." if others else "needs 'tools'."
        raise InvalidRequest(f"'tool_choice' {words}", param="tool_choice")
    return choice


def _known(name: str, names: list[str], own: bool) -> str:
    if name not in names and not own:
        raise InvalidRequest("'tool_choice' names a tool that is not one of 'tools'.", param="tool_choice")
    return name
