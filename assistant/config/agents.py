"""The `agents` section: the default agent, and others by their ids, each with what it does differently."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, Self, cast

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_validator

from assistant.contracts.addresses import parse_address
from assistant.contracts.errors import InvalidAddress
from assistant.contracts.models import ReasoningEffort
from assistant.contracts.settings import Settings
from assistant.contracts.turns import MAIN

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


MayMessage = Literal["known", "any"] | tuple[str, ...]


class ModelChoice(Settings):
    """A model and how it is asked."""

    model: str | None = None
    """The model, as its provider calls it, or with the provider in front: `"anthropic/claude-sonnet-4-5"`.
    null: the first that is within reach (`nanobot doctor` says which, and why)."""
    provider: str = "auto"
    """Through which provider: its name under `providers`, or `"auto"`: by the model's name, the keys at hand, or a model server on this machine."""
    max_tokens: Tokens | None = None
    """The longest answer, in tokens. null: the provider's own limit."""
    context_window_tokens: Tokens | None = None
    """How much the model can read and write in one call, in tokens. null: what is known of the model."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """0 to 2: how freely words are chosen. null: the provider's default."""
    reasoning_effort: ReasoningEffort | None = None
    """How long the model may think: `"none"`, `"minimal"`, `"low"`, `"medium"`, `"high"` or `"xhigh"`.
    null (also `"adaptive"`, nanobot's word): left to the provider."""

    @field_validator("reasoning_effort", mode="before")
    @classmethod
    def _left_to_the_provider(cls, value: object) -> object:
        return None if value in ("", "adaptive") else value


class ModelPreset(ModelChoice):
    """A model under a name of its own, for `agents.defaults.modelPreset`."""

    model: str | None = Field(description="As in `agents.defaults.model`.")
    label: str | None = None
    """A name for people."""


class AgentSettings(ModelChoice):
    """The assistant that answers when no other is asked for."""

    workspace: str = "~/.nanobot/workspace"
    """The folder that the assistant may read and write; made at the first start. `~/.nanobot` stands for NANOBOT_HOME where that is set;
    a relative path starts at the configuration file's folder."""
    model_preset: str | None = None
    """The name of one of `modelPresets`, whose settings then take the place of those here. null or `"default"`: none."""
    max_tool_iterations: Annotated[int, Field(ge=1, le=1000)] = 40
    """How many model calls one turn may take."""
    instructions: str = ""
    """What the assistant is told first, before the files of its workspace."""
    tools: tuple[str, ...] | None = None
    """The names of the tools that it may use. null: all there are."""
    fallback_models: tuple[str | ModelPreset, ...] = ()
    """Models to go to, in order, when the one before them fails before its first word: as in `model`, names of `modelPresets`,
    or such presets themselves."""
    document_chars: Annotated[int, Field(ge=1000)] = 100_000
    """How many characters of documents one message may bring into the prompt, shared fairly between its files; the rest can be paged through."""
    may_message: Annotated[MayMessage, BeforeValidator(_word_or_addresses)] = "known"
    """Whom the assistant may write to by its `message` tool, besides the chat it is asked in. `"known"`: chats that have written to it or are
    paired, that this configuration names (`allowFrom`, `owners`, hooks, services, `instructions`), or that the user's own words in the session
    name; never one that only a file, a page or a quote brought in. `"any"`: everybody. Or a list of addresses: `["telegram:123456789"]`."""

    def with_preset(self, presets: Mapping[str, ModelPreset]) -> Self:
        """This, with the settings of its model preset where it has one."""
        preset = presets.get(self.model_preset or "")
        return self if preset is None else self.model_copy(update={name: getattr(preset, name) for name in ModelChoice.model_fields})


class NamedAgent(Settings):
    """An agent of its own: `model: "agent:<id>"` chooses it. What is left open, here or by null, is as in `agents.defaults`."""

    instructions: str | None = None
    """What this agent is told first, in place of the default agent's instructions."""
    model: str | None = None
    """As in `agents.defaults`. Where any of `model`, `provider` and `modelPreset` is set, nothing of the default agent's model holds here:
    neither its options nor its fallbacks."""
    provider: str | None = None
    """As in `agents.defaults`."""
    model_preset: str | None = None
    """As in `agents.defaults`."""
    fallback_models: tuple[str | ModelPreset, ...] | None = None
    """As in `agents.defaults`."""
    max_tokens: Tokens | None = None
    """As in `agents.defaults`."""
    context_window_tokens: Tokens | None = None
    """As in `agents.defaults`."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """As in `agents.defaults`."""
    reasoning_effort: ReasoningEffort | None = None
    """As in `agents.defaults`."""
    max_tool_iterations: Annotated[int, Field(ge=1, le=1000)] | None = None
    """As in `agents.defaults`."""
    tools: tuple[str, ...] | None = None
    """The names of the tools that this agent may use; `[]`: none."""
    may_message: Annotated[MayMessage | None, BeforeValidator(_word_or_addresses)] = None
    """Whom this agent may write to by its `message` tool."""

    @property
    def chooses_model(self) -> bool:
        """Whether it says which model answers."""
        return any((self.model, self.provider, self.model_preset))

    def over(self, defaults: AgentSettings, presets: Mapping[str, ModelPreset]) -> AgentSettings:
        """This agent with what it leaves open taken from the default agent, presets filled in."""
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
        raise ValueError(f'"{name}" is the default agent: what it is told stands under agents.{DEFAULTS}')
    if not _ID.fullmatch(name):
        raise ValueError("an agent's id is 1 to 64 of a-z, 0-9, - and _, and begins with a letter or digit")
    if difflib.get_close_matches(name, [DEFAULTS], cutoff=0.75):
        raise ValueError(f'there is no such key; did you mean "agents.{DEFAULTS}"?')
    return name


class AgentsSettings(Settings):
    """The default agent, and more by ids of people's choice."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Annotated[str, AfterValidator(_agent_id)], NamedAgent] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride] - pydantic reads it

    defaults: AgentSettings = AgentSettings()

    @property
    def named(self) -> Mapping[str, NamedAgent]:
        """The agents besides the default one, by id."""
        return self.__pydantic_extra__
