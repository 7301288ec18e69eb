"""`nanobot permissions`, `nanobot permissions try`: what the assistant may do by itself, what it asks about, and what it never does."""

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Final, cast, get_args

import orjson
import typer

from assistant.access.gate import CASES, Recipient, Situation, decide
from assistant.access.recipients import is_named
from assistant.access.settings import Permission
from assistant.cli.shared import ConfigOption, JsonOption, configured, harmless, print_table
from assistant.config import Loaded
from assistant.contracts.addresses import parse_address
from assistant.contracts.errors import InvalidAddress, NotFound
from assistant.contracts.gate import Action, PlannedCall
from assistant.contracts.messages import Json
from assistant.contracts.people import PersonRole
from assistant.contracts.provenance import UNTRUSTED, Provenance
from assistant.contracts.turns import MAIN
from assistant.contracts.urls import PageRefused, parse_url
from tools.catalog import MODULES

commands = typer.Typer()
group = typer.Typer(help="What the assistant may do by itself, and what it asks about.", invoke_without_command=True)
commands.add_typer(group, name="permissions")

AgentOption = Annotated[str, typer.Option("--agent", metavar="ID", help="Of this agent.")]
_SOURCES: Final = ", ".join(sorted(UNTRUSTED))
_ROLES: Final = get_args(PersonRole)


@group.callback()
def permissions(context: typer.Context, agent: AgentOption = MAIN, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the permissions in effect: the lines of agents.ID.permissions, of which the first that fits counts, then the defaults.

    Example: nanobot permissions --agent home
    """
    if context.invoked_subcommand:
        return
    lines = _lines(configured(config), agent)
    if as_json:
        for line in lines:
            typer.echo(orjson.dumps(line.model_dump(mode="json")))
        for action, case in CASES.items():
            typer.echo(orjson.dumps({"action": action, "default": case.before, "after_reading": case.after}))
        return
    if lines:
        rows = [(line.tool, line.action or "", line.subject, line.do) for line in lines]
        print_table(("TOOL", "WHAT IT DOES", "SUBJECT", "THEN"), rows)
        typer.echo("")
    rows = [(action, case.before, case.after) for action, case in CASES.items()]
    print_table(("WHAT A CALL DOES", "DEFAULT", "AFTER OTHERS' WORDS WERE READ"), rows)
    typer.echo("\nGuests may read, keep files and notes, and set reminders for themselves. docs/permissions.md explains it all.")


@group.command("try")
def try_call(
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name.")],
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="What it would act on: a URL, a command, a chat, a path.")] = "",
    after_reading: Annotated[
        list[str] | None, typer.Option(metavar="SOURCE", help=f"What the conversation holds: {_SOURCES}. Can be repeated.")
    ] = None,
    said: Annotated[str, typer.Option(metavar="TEXT", help="What the person wrote themselves.")] = "",
    role: Annotated[str, typer.Option(metavar="ROLE", help="The person's: owner, user or guest.")] = "owner",
    does: Annotated[
        list[str] | None, typer.Option(metavar="ACTION", help="What the call does, for a tool that this program does not bring along.")
    ] = None,
    agent: AgentOption = MAIN,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say what would be decided about a call, and why. Nothing is run. mayMessage is not looked at.

    Example: nanobot permissions try fetch_page https://example.org/x --after-reading mail
    """
    for each in after_reading or ():
        _check(each, UNTRUSTED, "--after-reading")
    _check(role, _ROLES, "--role")
    for each in does or ():
        _check(each, CASES, "--does")
    actions = frozenset(cast("list[Action]", does)) if does else _actions(tool)
    situation = Situation(
        role=cast("PersonRole", role),
        read=dict.fromkeys(cast("list[Provenance]", after_reading or []), ""),
        said=(said,),
        recipient=_recipient(subject, said) if "sends" in actions else "none",
    )
    call = PlannedCall(tool=tool, actions=actions, arguments=_arguments(tool, subject), subject=_normal(subject))
    ruling = decide(call, situation, _lines(configured(config), agent))
    if as_json:
        typer.echo(orjson.dumps({"verdict": ruling.verdict, "why": ruling.why, "actions": sorted(actions)}))
    else:
        typer.echo(harmless(f"{ruling.verdict}{f': {ruling.why}' if ruling.why else ''} ({tool} {', '.join(sorted(actions))})"))


def _lines(loaded: Loaded, agent: str) -> Sequence[Permission]:
    """Raises NotFound."""
    agents = {MAIN: loaded.config.agent, **loaded.config.named_agents}
    if agent not in agents:
        raise NotFound(f'There is no agent "{harmless(agent)}". There are: {", ".join(agents)}.')
    return agents[agent].permissions


def _check(word: str, known: object, option: str) -> None:
    words = sorted(cast("frozenset[str]", known))
    if word not in words:
        raise typer.BadParameter(f"must be one of {', '.join(words)}.", param_hint=option)


def _actions(tool: str) -> frozenset[Action]:
    """What one of our tools declares; any other is taken to send."""
    for module in MODULES:
        for found in vars(import_module(f"tools.{module}")).values():
            if isinstance(found, type) and getattr(found, "name", None) == tool and hasattr(found, "actions"):
                return cast("frozenset[Action]", found.actions)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    return frozenset({"sends"})


def _arguments(tool: str, subject: str) -> dict[str, Json]:
    """Those that the rules look at, as the tool would get them."""
    if tool == "schedule":
        do, _, kind = subject.partition(" ")
        return {"action": do or "add", "kind": kind if do == "add" else ""}
    if tool == "search_web":
        return {"query": subject}
    return {"url": subject} if "://" in subject else {}


def _normal(subject: str) -> str:
    """A URL's host, as the tools that ask for pages name what they act on. Raises BadParameter."""
    try:
        return parse_url(subject).authority if "://" in subject and " " not in subject else subject
    except PageRefused as error:
        raise typer.BadParameter(f"{error}", param_hint="SUBJECT") from None


def _recipient(subject: str, said: str) -> Recipient:
    try:
        return "named" if is_named(parse_address(subject), said) else "known"
    except InvalidAddress:
        return "none"
