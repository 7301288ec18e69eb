"""The `workflows` section of the configuration."""

from typing import Annotated

from pydantic import Field

from assistant.contracts.settings import Settings


class WorkflowSettings(Settings):
    """How jobs are run. The workflows themselves are files: `workflows/<id>.yaml` in the workspace."""

    timeout: Annotated[float, Field(gt=0)] = 3600
    """Seconds that a job may take; after a restart it gets them anew. A node has 600, or what its `timeout` says."""
    jobs: Annotated[int, Field(ge=1, le=1000)] = 8
    """How many jobs run at the same time; the others wait."""
    parallel: Annotated[int, Field(ge=1, le=64)] = 4
    """How many nodes of one job run at the same time."""
    keep_days: Annotated[int, Field(ge=1)] = 30
    """How long a job that has ended can be looked up."""
    models: tuple[str, ...] = ()
    """Workflows that clients may ask as the model `workflow:<id>`: their ids, or files such as `"flows/weekly.yaml"`, which may lie
    elsewhere (a relative path starts at the configuration file's folder)."""
