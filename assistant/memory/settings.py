"""The `memory` section of the configuration."""

from typing import Annotated, Literal

from pydantic import Field

from assistant.contracts.util import Settings


class MemorySettings(Settings):
    """What outlives a session."""

    learn: Literal["off", "auto"] | None = None
    """Whether what a person says is searched for what is worth remembering, when a session falls idle: `"off"` or `"auto"`.
    null: `"auto"` where a model is configured. One cheap call for what is new; never in groups, jobs and schedules. Each person can switch it off
    (`/memory learn off`)."""
    model: str | None = None
    """The model that learns: its name, as in `agents.defaults.model`, or one of `models`. null: the default agent's."""
    idle: Annotated[float, Field(gt=0)] = 600
    """Seconds without a turn after which a session counts as idle."""
    embeddings: str | None = None
    """A registered embedding model (one of `models`, type `"embedding"`), by its id: search then finds what means the same in other words, too.
    Everything that was said is sent to it once. null: search by words alone."""
