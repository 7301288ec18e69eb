"""What the configuration says of a model that clients may name themselves: the `models` section, Server Node's `[api.models.<id>]` included."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from assistant.contracts.settings import Settings

_AGENTS: Final = re.compile(r"(?:agent|nanobot|moltbot|openclaw)[:/]|(?:moltbot|openclaw)$", re.IGNORECASE)
_WITH_PATH: Final = frozenset({"threads", "gpu_layers", "queue", "idle_seconds"})


class PriceSettings(Settings):
    """What a model costs, in US dollars a million tokens: shown by GET /v1/models/{id}."""

    prompt: float = Field(default=0, ge=0)
    """Of what is sent."""
    completion: float = Field(default=0, ge=0)
    """Of what is answered."""


class RegisteredModel(Settings):
    """A model under an id of its own. It answers by itself: without tools of ours, and no session is kept."""

    type: Literal["chat", "completion", "embedding"] = "chat"
    """`"chat"` (also goes on with texts, at /v1/completions), `"completion"` or `"embedding"`."""
    provider: str = "auto"
    """As in `agents.defaults`: who serves it."""
    model: str | None = None
    """The model, as its provider calls it. null: the id."""
    path: str | None = None
    """In place of a provider: a GGUF file on this machine, or a folder with one in it; relative to the configuration's folder. It needs the extra
    `local`."""
    context_length: int | None = Field(default=None, ge=1)
    """Prompt and answer together, in tokens. null: what is known of the model; of a file, what it says, at most 8,192 (`"embedding"`: 2,048)."""
    default_temperature: float | None = Field(default=None, ge=0, le=2)
    """Where a request names none. null: the provider's default."""
    dimensions: int | None = Field(default=None, ge=1, le=65_536)
    """Of an embedding model: how long its vectors are, where a request does not say. null: not known."""
    vision: bool | None = None
    """Whether it takes images. null: what is known of the model."""
    price: PriceSettings | None = None
    """What it costs, for display."""
    threads: int | None = Field(default=None, ge=1, le=1_024)
    """With `path`: of the processor, while it computes. null: one for two processors."""
    gpu_layers: int = Field(default=0, ge=-1, le=10_000)
    """With `path`: layers that a graphics card computes, where llama-cpp-python was built for one. -1: all."""
    queue: int = Field(default=16, ge=0, le=10_000)
    """With `path`: requests that may wait while it answers one. Others get 503."""
    idle_seconds: float = Field(default=600, gt=0, le=31_536_000)
    """With `path`: without a request, until its process ends and its memory is free. The next request loads it again."""

    @field_validator("model", "path", mode="before")
    @classmethod
    def _blank_is_unset(cls, value: object) -> object:
        return (value.strip() or None) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.path and (self.model or self.provider != "auto"):
            raise ValueError("has a path and a provider or model; keep the one that is meant")
        if self.path and self.vision:
            raise ValueError("has a path and vision: a file takes no images")
        if not self.path and (given := sorted(_WITH_PATH & self.model_fields_set)):
            raise ValueError(f"has {given[0]}, which only a model with a path has")
        if self.dimensions and self.type != "embedding":
            raise ValueError('has dimensions, which only a model of type "embedding" has')
        return self


def _model_id(name: str) -> str:
    if not 1 <= len(name) <= 256 or not name.isprintable() or name != name.strip():
        raise ValueError("a model's id is 1 to 256 printable characters")
    if _AGENTS.match(name):
        raise ValueError(f"\"{name}\" can't be a model's id: it names an agent")
    return name


ModelsSettings = dict[Annotated[str, AfterValidator(_model_id)], RegisteredModel]
"""By the id that clients send as `model`."""
