"""The `agents` section: the default agent, and more by their ids, each with what it changes."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, Self, cast
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_validator

from assistant.access.settings import Permission
from assistant.contracts.addresses import parse_address
from assistant.contracts.errors import InvalidAddress
from assistant.contracts.models import ReasoningEffort
from assistant.contracts.turns import MAIN
from assistant.contracts.util import Settings

Tokens = Annotated[int, Field(ge=1)]
DEFAULTS: Final = "defaults"
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_TAKEN: Final = frozenset({MAIN, "default"})


def _word_or_addresses(value: object) -> object:
    if value in (None, "known", "any"):
        return value
    if not isinstance(value, list | tuple):
        raise ValueError('must be "known", "any" or a list of addresses: ["telegram:123456789"]')
    try:
        return tuple(str(parse_address(str(each))) for each in cast("Sequence[object]", value))
    except InvalidAddress as error:
        raise ValueError(error.message) from None


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        raise ValueError("must be a time zone such as Europe/Berlin") from None


MayMessage = Literal["known", "any"] | tuple[str, ...]


class ModelChoice(Settings):
    """A model and its options."""

    model: str | None = None
    """The model, as its provider calls it, or with the provider in front: `"anthropic/claude-sonnet-4-5"`.
    null: the first that is reachable (`nanobot doctor` says which, and why)."""
    provider: str = "auto"
    """The provider: its name under `providers`, or `"auto"`: chosen by the model's name, the available keys, or a model server on this machine."""
    max_tokens: Tokens | None = None
    """The longest answer, in tokens. null: the provider's own limit."""
    context_window_tokens: Tokens | None = None
    """The size of the model's context, prompt and answer together, in tokens. null: what is known of the model."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """The sampling temperature, 0 to 2. null: the provider's default."""
    reasoning_effort: ReasoningEffort | None = None
    """How long the model may think: `"none"`, `"minimal"`, `"low"`, `"medium"`, `"high"`, `"xhigh"` or `"max"`.
    null (also `"adaptive"`, nanobot's word): left to the provider."""

    @field_validator("reasoning_effort", mode="before")
    @classmethod
    def _left_to_the_provider(cls, value: object) -> object:
        return None if value in ("", "adaptive") else value


class ModelPreset(ModelChoice):
    """A named model, for `agents.defaults.modelPreset`."""

    model: str | None = Field(description="As in `agents.defaults.model`.")
    label: str | None = None
    """A display name."""


class AgentSettings(ModelChoice):
    """The agent that answers where a request names no other."""

    workspace: str = "~/.nanobot/workspace"
    """The folder that the assistant may read and write; created at the first start. `~/.nanobot` at its beginning means NANOBOT_HOME where that is
    set; a relative path starts at the configuration file's folder."""
    timezone: Annotated[str, AfterValidator(_zone)] | None = None
    """The time zone of people who have named none, by IANA's name: `"Europe/Berlin"`. null: the machine's."""
    model_preset: str | None = None
    """The name of one of `modelPresets`, whose settings replace those here. null or `"default"`: none."""
    max_tool_iterations: Annotated[int, Field(ge=1, le=1000)] = 40
    """How many model calls one turn may take."""
    instructions: str = ""
    """The beginning of the system prompt, before the files of the workspace."""
    tools: tuple[str, ...] | None = None
    """The names of the tools that it may use. null: all."""
    mcp: tuple[str, ...] | None = None
    """The names of the MCP servers whose tools it may use. null: all, where `tools` is null, too; else none."""
    fallback_models: tuple[str | ModelPreset, ...] = ()
    """Models to try in order when the one before fails before its first word: written as in `model`, names of `modelPresets`, or presets
    themselves."""
    document_chars: Annotated[int, Field(ge=1000)] = 100_000
    """How many characters of documents one message may bring into the prompt, shared fairly between its files; the rest can be paged through."""
    claim_check: bool = True
    """Whether an answer that says "I've sent it" or "I'll remind you", in English or German, is compared with what was done. One that nothing was
    done for costs one more model call; if it still says so, a sentence behind it says that it was not done."""
    may_message: Annotated[MayMessage, BeforeValidator(_word_or_addresses)] = "known"
    """The chats that the assistant may write to with its `message` tool, besides the chat of the conversation. `"known"`: chats that have written
    to it or are paired, that this configuration names (`allowFrom`, `owners`, hooks, services, `instructions`), or that the user's own words in
    the session name; never one that only a file, a page or a quote mentions. `"any"`: all. Or a list of addresses: `["telegram:123456789"]`."""
    permissions: tuple[Permission, ...] = ()
    """What calls of tools may do, by patterns; the first line that fits counts, and the defaults where none does (`nanobot permissions` prints all).
    `[{"tool": "run", "subject": "git *", "do": "allow"}, {"action": "sends", "do": "ask"}]`. No line allows what `mayMessage` or a guest's role
    refuses, nor a change of the assistant's own files."""

    def with_preset(self, presets: Mapping[str, ModelPreset]) -> Self:
        preset = presets.get(self.model_preset or "")
        return self if preset is None else self.model_copy(update={name: getattr(preset, name) for name in ModelChoice.model_fields})


_AS_DEFAULT: Final = Field(description="As in `agents.defaults`.")


class NamedAgent(Settings):
    """An agent that `model: "agent:<id>"` chooses. What is missing or null is as in `agents.defaults`."""

    instructions: str | None = None
    """The beginning of this agent's system prompt, in place of the default agent's."""
    model: str | None = None
    """As in `agents.defaults`. Where any of `model`, `provider` and `modelPreset` is set, nothing of the default agent's model applies:
    neither its options nor its fallbacks."""
    provider: Annotated[str | None, _AS_DEFAULT] = None
    model_preset: Annotated[str | None, _AS_DEFAULT] = None
    fallback_models: Annotated[tuple[str | ModelPreset, ...] | None, _AS_DEFAULT] = None
    max_tokens: Annotated[Tokens | None, _AS_DEFAULT] = None
    context_window_tokens: Annotated[Tokens | None, _AS_DEFAULT] = None
    temperature: Annotated[Annotated[float, Field(ge=0, le=2)] | None, _AS_DEFAULT] = None
    reasoning_effort: Annotated[ReasoningEffort | None, _AS_DEFAULT] = None
    max_tool_iterations: Annotated[Annotated[int, Field(ge=1, le=1000)] | None, _AS_DEFAULT] = None
    tools: tuple[str, ...] | None = None
    """The names of the tools that this agent may use; `[]`: none."""
    mcp: Annotated[tuple[str, ...] | None, _AS_DEFAULT] = None
    claim_check: Annotated[bool | None, _AS_DEFAULT] = None
    may_message: Annotated[MayMessage | None, BeforeValidator(_word_or_addresses)] = None
    """The chats that this agent may write to with its `message` tool."""
    permissions: Annotated[tuple[Permission, ...] | None, _AS_DEFAULT] = None

    @property
    def chooses_model(self) -> bool:
        return any((self.model, self.provider, self.model_preset))

    def over(self, defaults: AgentSettings, presets: Mapping[str, ModelPreset]) -> AgentSettings:
        """This agent completed from the default agent, presets applied."""
        below = defaults.with_preset(presets)
        if self.chooses_model:
            left = {name: field.get_default() for name, field in AgentSettings.model_fields.items() if name in _OF_A_MODEL}
            below = below.model_copy(update={**left, "model_preset": self.model_preset}).with_preset(presets)
        own = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        return below.model_copy(update=own)


_OF_A_MODEL: Final = frozenset({*ModelChoice.model_fields, "model_preset", "fallback_models"})


def _agent_id(name: str) -> str:
    name = name.lower()
    if name in _TAKEN:
        raise ValueError(f'"{name}" is the default agent: its settings are under agents.{DEFAULTS}')
    if not _ID.fullmatch(name):
        raise ValueError("an agent's id is 1 to 64 of a-z, 0-9, - and _, and begins with a letter or digit")
    if difflib.get_close_matches(name, [DEFAULTS], cutoff=0.75):
        raise ValueError(f'there is no such key; did you mean "agents.{DEFAULTS}"?')
    return name


class AgentsSettings(Settings):
    """The default agent, and more under ids of your choice."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Annotated[str, AfterValidator(_agent_id)], NamedAgent] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride] - pydantic reads it

    defaults: AgentSettings = AgentSettings()

    @property
    def named(self) -> Mapping[str, NamedAgent]:
        return self.__pydantic_extra__
