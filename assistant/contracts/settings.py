"""The base of every settings model: each mechanism keeps its own beside itself, and `assistant.config` joins them."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Settings(BaseModel):
    """Frozen; an unknown key is an error; keys may be written in camelCase (as nanobot does) or in snake_case."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)
