"""/v1/configuration: what is configured, and where each value came from."""

from asyncio import to_thread
from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import Field, JsonValue

from assistant.api.answers import Answer
from assistant.api.openapi import endpoint, errors
from assistant.contracts.messages import Json
from assistant.contracts.records import record


class SettingAnswer(Answer):
    key: str = Field(description='Its path: "api.port".')
    value: JsonValue = Field(description="A secret is asterisks.")
    origin: str = Field(description="The file, the environment variable, or the command line that it came from; empty: the default.")


class ConfigurationAnswer(Answer):
    object: Literal["configuration"] = "configuration"
    file: str | None = Field(description="null: there is none, and the built-in defaults hold.")
    notices: list[str] = Field(description="Keys that were accepted and have no effect.")
    settings: list[SettingAnswer]


@record
class Configured:
    """The configuration that a server runs with, as it may be shown."""

    file: str | None
    notices: Sequence[str]
    settings: Sequence[tuple[str, Json, str]]
    """(key, value, origin) of each, secrets masked."""


@record
class ConfigurationEndpoints:
    configured: Callable[[], Configured]
    """As it is now. Blocks."""

    @endpoint("GET", "/v1/configuration", "Show the configuration", scope="admin", responses=errors(401, 503))
    async def show(self) -> ConfigurationAnswer:
        """As this server runs with it, by key."""
        now = await to_thread(self.configured)
        made = [SettingAnswer(key=key, value=value, origin=origin) for key, value, origin in now.settings]
        return ConfigurationAnswer(file=now.file, notices=list(now.notices), settings=made)
