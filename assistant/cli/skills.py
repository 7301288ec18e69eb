"""`nanobot skills list | add | check | approve | remove`."""

import shutil
import textwrap
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from assistant.cli.shared import ConfigOption, JsonOption, configured, harmless, moment, print_list
from assistant.config import Loaded
from assistant.config.folders import make_home, make_workspace, shipped_workspace
from assistant.contracts.errors import InvalidRequest, NotFound
from assistant.contracts.messages import human_size
from assistant.skills.files import INSTRUCTIONS, OWN
from assistant.skills.lock import SkillLock
from assistant.skills.scan import FoundSkill
from assistant.skills.sources import install, opened
from assistant.skills.survey import SurveyedSkill, adopt_shipped, approval, differences, survey

commands = typer.Typer(
    name="skills",
    help="Skills: instructions and scripts for jobs that come back. What is new or was changed is off until you approve it.",
    no_args_is_help=True,
)

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As listed.")]
_HEADS: Final = ("NAME", "STATE", "FOLDER", "WHAT FOR")
_NOTHING: Final = "There are no skills. Put folders with a SKILL.md into the workspace's skills/, or run: nanobot skills add SOURCE"
_MOST_LINES: Final = 60


class SkillNotFound(NotFound):
    """There is no such skill. nanobot skills list shows those there are."""


@commands.command("list")
def list_skills(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the skills of the workspace, and whether they are on.

    on: the assistant uses it. new, changed: off until you approve it. hidden: another one has its name. gone: approved, but not there any more.

    Example: nanobot skills list
    """
    _, _, found = _surveyed(config)
    shown = [{"name": each.name, "state": each.state, "folder": each.place, "description": each.description} for each in found]
    print_list(shown, _HEADS, lambda each: tuple(each.values()), as_json=as_json, empty=_NOTHING)


@commands.command()
def check(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check every skill by the AgentSkills standard, and against its approval. Exit code 1 if something keeps one from being used.

    Example: nanobot skills check
    """
    _, _, found = _surveyed(config)
    notes: list[dict[str, str]] = []
    for each in found:
        if each.found and each.found.problem:
            notes.append({"name": each.name, "kind": "unusable", "note": each.found.problem})
        elif each.state != "on":
            remedy = f"nanobot skills remove {each.name}" if each.state == "gone" else f"nanobot skills approve {each.name}"
            notes.append({"name": each.name, "kind": each.state, "note": remedy if each.state != "hidden" else "rename one of them"})
        warnings = each.found.warnings if each.found else ()
        notes += [{"name": each.name, "kind": "warning", "note": warning} for warning in warnings]
    print_list(notes, ("NAME", "KIND", "NOTE"), lambda each: tuple(each.values()), as_json=as_json, empty="All skills are in order.")
    if any(note["kind"] != "warning" for note in notes):
        raise typer.Exit(1)


@commands.command()
def approve(name: NameArgument, yes: YesOption = False, config: ConfigOption = None) -> None:
    """Show what a skill is, or what changed since you approved it, and turn it on if you agree.

    Read it as you would read a program before you run it: its instructions are followed, and its scripts run in the sandbox.

    Example: nanobot skills approve invoice-check
    """
    _, lock, found = _surveyed(config)
    skill = next((each for each in found if each.name == name and each.found and each.state != "hidden"), None)
    if skill is None or skill.found is None:
        raise SkillNotFound
    if skill.state == "on":
        typer.echo(f"{name} is on already.")
        return
    _approved(lock, skill.found, skill, yes=yes)


@commands.command()
def add(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder, a zip file, a git URL, or the name of a skill that comes with nanobot.")
    ],
    only: Annotated[list[str] | None, typer.Option("--skill", metavar="NAME", help="Only this one of several. Can be given again.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that it holds.")] = False,
    replaces: Annotated[bool, typer.Option("--replace", help="Put it in the place of one with the same name.")] = False,
    config: ConfigOption = None,
) -> None:
    """Copy a skill into the workspace. Nothing of it is run, and it is off until you approve it, unless it comes with nanobot.

    Example: nanobot skills add https://example.org/skills.git --skill invoice-check
    """
    loaded = _prepared(config)
    with opened(source, shipped_workspace() / OWN) as found:
        usable = {each.name: each for each in found if not each.problem}
        for each in found:
            if each.problem:
                typer.echo(f"{harmless(each.place)} is not usable: {harmless(each.problem)}", err=True)
        wanted = list(usable) if everything or (len(usable) == 1 and not only) else list(only or ())
        if missing := [name for name in wanted if name not in usable]:
            raise SkillNotFound(f"{source} has no usable skill {missing[0]}. It has: {', '.join(usable) or 'none'}.")
        if not wanted:
            _refuse_choice(source, list(usable))
        for name in wanted:
            added = install(usable[name], loaded.workspace, replaces=replaces)
            typer.echo(_told(added))
            adopt_shipped(loaded.workspace, lock := SkillLock(loaded.home), shipped_workspace() / OWN)
            is_on = any(each.name == name and each.state == "on" for each in survey(loaded.workspace, lock))
            state = "on, as it came" if is_on else f"off. To turn it on: nanobot skills approve {name}"
            typer.echo(f"\n{name} is in {added.folder}, and {state}")


@commands.command()
def remove(name: NameArgument, yes: YesOption = False, config: ConfigOption = None) -> None:
    """Turn a skill off for good: its approval ends, and its folder in the workspace's skills/ is deleted.

    Example: nanobot skills remove invoice-check
    """
    loaded, lock, found = _surveyed(config)
    skill = next((each for each in found if each.name == name and each.state != "hidden"), None)
    if skill is None:
        raise SkillNotFound
    folder = loaded.workspace / skill.place
    owned = skill.found is not None and Path(skill.place).parts[0] == OWN and skill.place != OWN
    if not yes:
        typer.confirm(f"Delete {folder}, and end its approval?" if owned else f"End the approval of {name}?", abort=True)
    lock.change(lambda approved: approved.__delitem__(name) if name in approved else None)
    if owned:
        shutil.rmtree(folder)
    typer.echo(f"{name} is removed." if owned else f"{name} is not approved any more. Its folder, {folder}, was left alone.")


def _prepared(config: Path | None) -> Loaded:
    loaded = configured(config)
    make_home(loaded.home)
    make_workspace(loaded.workspace)
    return loaded


def _surveyed(config: Path | None) -> tuple[Loaded, SkillLock, list[SurveyedSkill]]:
    loaded = _prepared(config)
    lock = SkillLock(loaded.home)
    adopt_shipped(loaded.workspace, lock, shipped_workspace() / OWN)
    return loaded, lock, list(survey(loaded.workspace, lock))


def _approved(lock: SkillLock, found: FoundSkill, skill: SurveyedSkill, *, yes: bool) -> None:
    manifest, files = found.manifest, found.contents
    if manifest is None or files is None:
        raise InvalidRequest(f"{found.name} is not usable: {found.problem}")
    typer.echo(_told(found))
    if skill.approved is None:
        lines = manifest.body.splitlines()
        more = [f"… {len(lines) - _MOST_LINES} more lines in {found.folder / INSTRUCTIONS}"] if len(lines) > _MOST_LINES else []
        typer.echo("\n" + harmless("\n".join([*lines[:_MOST_LINES], *more])))
    else:
        typer.echo(f"\nSince it was approved ({moment(skill.approved.approved_at)} UTC):\n{harmless(differences(skill.approved, files))}")
    if not yes:
        typer.confirm(f"\nTurn {found.name} on?", abort=True)
    granted = approval(found, manifest, files)
    lock.change(lambda approved: approved.update({found.name: granted}))
    typer.echo(f"{found.name} is on. A running server uses it within two seconds.")


def _told(found: FoundSkill) -> str:
    """What a skill is, for the person who decides about it."""
    manifest, files = found.manifest, found.contents
    if manifest is None or files is None:
        return harmless(f"{found.name}: not usable: {found.problem}")
    size = sum(path.stat().st_size for path in found.folder.rglob("*") if path.is_file())
    facts = {
        "folder": str(found.folder),
        "files": f"{INSTRUCTIONS}{''.join(f', {name}' for name in files.others)} ({human_size(size)})",
        "license": manifest.license,
        "needs": "; ".join(filter(None, (manifest.compatibility, *manifest.needs))),
        "asks for the tools": manifest.allowed_tools,
    }
    lines = [found.name, *textwrap.wrap(manifest.description, 100, initial_indent="  ", subsequent_indent="  ")]
    lines += [f"  {name}: {value}" for name, value in facts.items() if value]
    return harmless("\n".join([*lines, *[f"  note: {warning}" for warning in found.warnings]]))


def _refuse_choice(source: str, names: list[str]) -> NoReturn:
    if not names:
        raise SkillNotFound(f"{source} holds no usable skill.")
    raise InvalidRequest(f"{source} holds {len(names)} skills; name those you want with --skill, or say --all: {', '.join(names)}.")
