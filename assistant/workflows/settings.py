"""The `workflows` section of the configuration."""

from typing import Annotated

from pydantic import Field

from assistant.contracts.util import Settings


class WorkflowSettings(Settings):
    """How jobs are run. Workflows are files: `workflows/<id>.yaml` in the workspace."""

    timeout: Annotated[float, Field(gt=0)] = 3600
    """Seconds a job may take, counted anew after a restart. A node has 600, or its own `timeout`."""
    jobs: Annotated[int, Field(ge=1, le=1000)] = 8
    """Jobs that run at the same time; others wait."""
    parallel: Annotated[int, Field(ge=1, le=64)] = 4
    """Nodes of one job that run at the same time."""
    keep_days: Annotated[int, Field(ge=1)] = 30
    """Days an ended job can be looked up."""
    models: tuple[str, ...] = ()
    """Workflows offered as the model `workflow:<id>`: ids, or files such as `"flows/weekly.yaml"` anywhere (relative paths start at the
    configuration file's folder)."""
