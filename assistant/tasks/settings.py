"""The `tasks` section of the configuration."""

from typing import Annotated

from pydantic import Field

from assistant.contracts.util import Settings


class TaskSettings(Settings):
    """How helpers work: what the model hands over by the tool `delegate`."""

    parallel: Annotated[int, Field(ge=1, le=64)] = 4
    """Tasks of one person that run at the same time; others wait."""
    timeout: Annotated[float, Field(gt=0, le=86_400)] = 1800
    """Seconds a task may take, from its start; a restart does not begin them anew."""
    keep_days: Annotated[int, Field(ge=1)] = 7
    """Days an ended task can be looked up, and a result is kept that no session could take."""
