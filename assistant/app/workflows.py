"""Builds the workflow service and the workflows offered as models."""

from collections.abc import Mapping
from pathlib import Path

from assistant.config import ConfigError, Loaded
from assistant.config.errors import ConfigProblem
from assistant.contracts.documents import DocumentReader
from assistant.contracts.outbox import Deliveries
from assistant.contracts.turns import MAIN
from assistant.contracts.util import expand_home
from assistant.contracts.workflows import InvalidWorkflow, WorkflowNotFound
from assistant.store.store import Store
from assistant.turns.service import Turns
from assistant.workflows.checks import LinkTargets
from assistant.workflows.inputs import InputIntake
from assistant.workflows.library import ID, WorkflowLibrary
from assistant.workflows.models import WorkflowModels
from assistant.workflows.nodes import NodeExecutor
from assistant.workflows.service import WorkflowService


def offered(loaded: Loaded) -> Mapping[str, Path | None]:
    """The workflows offered as models: id → file, where one is configured. Raises ConfigError if one is missing or no workflow. Blocks."""
    base = loaded.source.parent if loaded.source is not None else Path.cwd()
    offers: dict[str, Path | None] = {}
    for written in loaded.config.workflows.models:
        name, path = written, None
        if written.lower().endswith((".yaml", ".yml")):
            path = (base / expand_home(Path(written))).resolve()
            name = path.stem
            if not path.is_file():
                raise _refused(f"there is no file {path}")
            if offers.get(name) not in (None, path):
                raise _refused(f"{offers[name]} and {path} would both be the workflow {name}")
        if not ID.fullmatch(name):
            raise _refused(f"{name!r} can't be a workflow's id: 1 to 64 of A-Z, a-z, 0-9, - and _, beginning with a letter or digit")
        offers[name] = path or offers.get(name)
    return offers


def build_workflows(
    loaded: Loaded, files: Mapping[str, Path], store: Store, turns: Turns, deliveries: Deliveries, reader: DocumentReader
) -> WorkflowService:
    """`files`: those outside the workspace, by id. Nothing runs yet: see `WorkflowService.begin`. Tool nodes have the default agent's tools."""
    toolbox = turns.agents[MAIN].toolbox
    targets = LinkTargets(tools=toolbox.names, agents=turns.agents.keys())
    return WorkflowService(
        library=WorkflowLibrary(loaded.workspace / "workflows", targets, files),
        inputs=InputIntake(reader, store.attachments),
        store=store.jobs,
        executor=NodeExecutor(
            turns=turns,
            toolbox=toolbox,
            sessions=store.sessions,
            attachments=store.attachments,
            deliveries=deliveries,
            spool=loaded.home / "spool",
        ),
        settings=loaded.config.workflows,
    )


async def check_workflow_models(service: WorkflowService, models: WorkflowModels) -> None:
    """Raises ConfigError for a workflow that is missing or has problems, with all of them."""
    for name in models.ids:
        try:
            await service.show(name)
        except WorkflowNotFound:
            there = ", ".join([info.id for info in await service.index()]) or "none"
            raise _refused(f"there is no workflow {name!r}; there are: {there}") from None
        except InvalidWorkflow as error:
            raise _refused(error.message) from None


def _refused(text: str) -> ConfigError:
    return ConfigError(ConfigProblem(path=("workflows", "models"), text=text))
