"""`nanobot workflows list | show | run`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final, TypeVar

import orjson
import typer

from assistant.access.principals import OWNER
from assistant.api.body.spool import Spool
from assistant.app.services import Services, open_services
from assistant.cli.shared import INTERRUPTED, ConfigOption, ModelOption, WorkspaceOption, configured, copy_in, harmless, print_list
from assistant.config import Loaded
from assistant.contracts.messages import Json, human_size
from assistant.contracts.turns import Upload
from assistant.contracts.util import expand_home, replace_surrogates
from assistant.contracts.workflows import Job, JobFailed, JobUpdate, NodeRun, NodeUpdate, Update, WorkflowInfo
from assistant.workflows.references import as_text
from assistant.workflows.service import WorkflowService

T = TypeVar("T")
_MOST_TEXT: Final = 1_000_000

commands = typer.Typer(name="workflows", help="Jobs made of steps: the files of workflows/ in the workspace.", no_args_is_help=True)

WorkflowArgument = Annotated[str, typer.Argument(metavar="ID", help="As listed: the name of its file, without .yaml.")]


@commands.command("list")
def list_workflows(config: ConfigOption = None, workspace: WorkspaceOption = None) -> None:
    """List the workflows, and the problems of invalid files.

    Example: nanobot workflows list
    """
    found = _with_workflows(configured(config, workspace=workspace), lambda workflows: workflows.index())
    print_list([each for each in found if not each.problems], ("ID", "NAME", "INPUTS"), lambda each: (each.id, each.name, _inputs(each)))
    for problem in [problem for each in found for problem in each.problems]:
        typer.echo(f"nanobot: {harmless(problem)}", err=True)
    if any(each.problems for each in found):
        raise typer.Exit(1)


@commands.command()
def show(workflow: WorkflowArgument, config: ConfigOption = None, workspace: WorkspaceOption = None) -> None:
    """Show a workflow: its inputs, nodes and outputs.

    Example: nanobot workflows show summarise-upload
    """
    wanted = replace_surrogates(workflow)
    info = _with_workflows(configured(config, workspace=workspace), lambda workflows: workflows.show(wanted))
    lines = [f"{info.id}: {info.name}", *([info.description] if info.description else [])]
    for spec in info.inputs:
        need = "" if spec.required else f", else {as_text(spec.default)!r}" if spec.default is not None else ", if you like"
        lines.append(f"input   {spec.name} ({spec.type}{need}){f': {spec.description}' if spec.description else ''}")
    for node in info.nodes:
        after = f" after {', '.join(node.needs)}" if node.needs else ""
        lines.append(f"node    {node.id} ({node.kind}){after}")
    lines += [f"output  {name}" for name in info.outputs]
    typer.echo(harmless("\n".join(lines)))


@commands.command()
def run(
    workflow: WorkflowArgument,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--input", "-i", metavar="NAME=VALUE", help="An input; NAME=@FILE: the file, or its text for an input that is a text."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all outputs as one JSON object.")] = False,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    model: ModelOption = None,
) -> None:
    """Run a workflow to its end, without a server; one may run beside it.

    Progress is shown on stderr, the outputs on stdout. Ctrl-C cancels the job. If the process is killed, the next server resumes the job.

    Example: nanobot workflows run summarise-upload --input document=@report.pdf --input chat=telegram:123456789
    """
    loaded = configured(config, workspace=workspace, model=model)
    logging.basicConfig(level=logging.ERROR)
    try:
        job = asyncio.run(_run(loaded, workflow, given or []))
    except KeyboardInterrupt:
        typer.echo("nanobot: the job was cancelled.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    results = job.results or {}
    if as_json:
        typer.echo(orjson.dumps(dict(results)))
    elif len(results) == 1:
        typer.echo(harmless(as_text(next(iter(results.values())))))
    else:
        typer.echo(harmless("\n\n".join([f"{name}:\n{as_text(value)}" for name, value in results.items()])))


def _inputs(info: WorkflowInfo) -> str:
    return ", ".join([spec.name if spec.required else f"[{spec.name}]" for spec in info.inputs])


def _with_workflows(loaded: Loaded, use: Callable[[WorkflowService], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_services(loaded) as services:
            return await use(services.workflows)

    return asyncio.run(run())


async def _run(loaded: Loaded, workflow: str, given: Sequence[str]) -> Job:
    """The completed job. Raises JobFailed and what `Workflows.start` raises; cancelled, it cancels the job first."""
    async with open_services(loaded) as services:
        info = await services.workflows.show(replace_surrogates(workflow))
        await services.workflows.begin(takes_over=False)
        with ExitStack() as held:
            params, files = await asyncio.to_thread(_given, services, info, given, held)
            job = await services.workflows.start(OWNER.id, info.id, params, files)
        try:
            async for batch in services.workflows.updates(OWNER.id, job.id):
                for update in batch:
                    job = update.job
                    _print_progress(update)
        except asyncio.CancelledError:
            await services.workflows.cancel(OWNER.id, job.id)
            raise
    if job.state != "completed":
        raise JobFailed(f"{job.error or job.state}.".replace("..", "."))
    return job


def _given(
    services: Services, info: WorkflowInfo, given: Sequence[str], held: ExitStack
) -> tuple[Mapping[str, Json], Mapping[str, Upload]]:
    """The values and the files of `--input`, by name. Raises BadParameter, and what a Spool raises."""
    types = {spec.name: spec.type for spec in info.inputs}
    services.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    spool = Spool(services.spool, services.loaded.config.api.limits)
    held.callback(spool.remove)
    params: dict[str, Json] = {}
    files: dict[str, Upload] = {}
    for each in given:
        name, equals, value = replace_surrogates(each).partition("=")
        if not equals:
            raise typer.BadParameter(f"write NAME=VALUE or NAME=@FILE, not {harmless(each)!r}.", param_hint="--input")
        if types.get(name) == "file":
            files[name] = copy_in(_file(value.removeprefix("@")), spool)
        elif value.startswith("@"):
            path = _file(value[1:])
            if path.stat().st_size > _MOST_TEXT:
                raise typer.BadParameter(f"{path} is larger than {human_size(_MOST_TEXT)}, the most for a text.", param_hint="--input")
            params[name] = path.read_text(encoding="utf-8", errors="replace")
        else:
            params[name] = value
    return params, files


def _file(name: str) -> Path:
    path = expand_home(Path(name))
    if not path.is_file():
        raise typer.BadParameter(f"{harmless(name)} is not a file.", param_hint="--input")
    return path


def _print_progress(update: Update) -> None:
    match update:
        case JobUpdate(job=Job(state="running")):
            line = f"job {update.job.id}"
        case NodeUpdate(node=NodeRun(state="running") as node):
            line = f"  …  {node.path}"
        case NodeUpdate(node=NodeRun(state="completed") as node):
            line = f"  ok {node.path} ({f'{(node.ended - node.started).total_seconds():.1f} s' if node.ended else ''})"
        case NodeUpdate(node=node):
            line = f"  !! {node.path}: {node.error or node.state}"
        case _:
            return
    typer.echo(harmless(line), err=True)
