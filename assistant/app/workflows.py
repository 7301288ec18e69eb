"""Workflows and their jobs, put together."""

from pathlib import Path

from assistant.access.allowance import Allowance
from assistant.app.doors import default_limits
from assistant.config import Loaded
from assistant.contracts.documents import DocumentReader
from assistant.contracts.outbox import Deliveries
from assistant.contracts.turns import MAIN
from assistant.store.store import Store
from assistant.turns.service import Turns
from assistant.workflows.inputs import Inputs
from assistant.workflows.library import Library
from assistant.workflows.linking import Known
from assistant.workflows.service import WorkflowService
from assistant.workflows.work import Hands


def build_workflows(
    loaded: Loaded, store: Store, turns: Turns, deliveries: Deliveries, reader: DocumentReader, spool: Path
) -> WorkflowService:
    """Nothing runs yet: see `WorkflowService.begin`. Tool nodes have the default agent's tools."""
    toolbox = turns.agents[MAIN].toolbox
    known = Known(tools=toolbox.names, agents=turns.agents.keys())
    return WorkflowService(
        library=Library(loaded.workspace / "workflows", known),
        known=known,
        inputs=Inputs(reader, store.attachments),
        store=store.jobs,
        hands=Hands(
            turns=turns,
            toolbox=toolbox,
            sessions=store.sessions,
            attachments=store.attachments,
            deliveries=deliveries,
            allowance=Allowance(keys=store.keys, limiter=store.limits, defaults=default_limits(loaded.config)),
            spool=spool,
        ),
        settings=loaded.config.workflows,
    )
