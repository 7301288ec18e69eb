"""The whole configuration as one frozen model: the sections, each declared beside its part."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self, cast

from pydantic import Field, create_model, field_validator, model_validator

from assistant.access.settings import AuthSettings
from assistant.api.settings import ApiSettings
from assistant.config.channels import ChannelsSettings
from assistant.contracts.addresses import parse_address
from assistant.contracts.channels import ChannelSettings
from assistant.contracts.errors import InvalidAddress
from assistant.contracts.models import ReasoningEffort
from assistant.contracts.settings import Settings
from assistant.delivery.settings import DeliverySettings
from assistant.documents.settings import DocumentSettings
from assistant.providers.settings import ProviderSettings, ProvidersSettings
from assistant.store.settings import AttachmentSettings, StoreSettings

Tokens = Annotated[int, Field(ge=1)]


class _ModelChoice(Settings):
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


class ModelPreset(_ModelChoice):
    """A model under a name of its own, for `agents.defaults.modelPreset`."""

    model: str | None = Field(description="As in `agents.defaults.model`.")
    label: str | None = None
    """A name for people."""


class AgentSettings(_ModelChoice):
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
    fallback_models: tuple[str | ModelPreset, ...] = ()
    """Models to go to, in order, when the one before them fails before its first word: as in `model`, names of `modelPresets`,
    or such presets themselves."""
    document_chars: Annotated[int, Field(ge=1000)] = 100_000
    """How many characters of documents one message may bring into the prompt, shared fairly between its files; the rest can be paged through."""
    may_message: Literal["known", "any"] | tuple[str, ...] = "known"
    """Whom the assistant may write to by its `message` tool, besides the chat it is asked in. `"known"`: chats that have written to it or are
    paired, that this configuration names (`allowFrom`, `owners`, hooks, services, `instructions`), or that the user's own words in the session
    name; never one that only a file, a page or a quote brought in. `"any"`: everybody. Or a list of addresses: `["telegram:123456789"]`."""

    @field_validator("may_message", mode="before")
    @classmethod
    def _word_or_addresses(cls, value: object) -> object:
        if value in ("known", "any"):
            return value
        if not isinstance(value, list | tuple):
            raise ValueError('must be "known", "any" or a list of addresses: ["telegram:123456789"]')
        try:
            return tuple(str(parse_address(str(each))) for each in cast("Sequence[object]", value))
        except InvalidAddress as error:
            raise ValueError(error.message) from None


class AgentsSettings(Settings):
    defaults: AgentSettings = AgentSettings()


class ShutdownSettings(Settings):
    grace: Annotated[float, Field(ge=0, le=600)] = 10
    """Seconds that what runs gets to end when the server is asked to stop: turns (four fifths of it), then the messages that are being sent.
    What has not ended is cut off: a session says so, a chat's turn and a message go on at the next start."""


class LogSettings(Settings):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """`"debug"`, `"info"`, `"warning"` or `"error"`. Log lines hold events and ids, never what was said."""

    @field_validator("level", mode="before")
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


class Config(Settings):
    """Everything that can be told to nanobot. Every key has a default: an empty file is a valid one."""

    agents: AgentsSettings = AgentsSettings()
    model_presets: dict[str, ModelPreset] = Field(default_factory=dict[str, ModelPreset])
    providers: ProvidersSettings = Field(default_factory=dict[str, ProviderSettings])
    channels: ChannelsSettings = ChannelsSettings()
    deliver: DeliverySettings = DeliverySettings()
    api: ApiSettings = ApiSettings()
    auth: AuthSettings = AuthSettings()
    store: StoreSettings = StoreSettings()
    attachments: AttachmentSettings = AttachmentSettings()
    documents: DocumentSettings = DocumentSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _preset_exists(self) -> Self:
        name = self.agents.defaults.model_preset
        if name not in (None, "", "default") and name not in self.model_presets:
            raise ValueError(f'agents.defaults.modelPreset names "{name}", which is not one of modelPresets')
        return self

    @property
    def enabled_channels(self) -> Mapping[str, ChannelSettings]:
        """The settings of the channels that are switched on, by name."""
        return {name: settings for name, settings in self.channels.by_name().items() if settings.enabled}

    @property
    def agent(self) -> AgentSettings:
        """The default agent, with the settings of its model preset where it has one."""
        agent = self.agents.defaults
        preset = self.model_presets.get(agent.model_preset or "")
        if preset is None:
            return agent
        return agent.model_copy(update={name: getattr(preset, name) for name in _ModelChoice.model_fields})

    @property
    def fallbacks(self) -> tuple[ModelPreset, ...]:
        """The default agent's fallback models, in order, each as a preset."""
        named = self.agents.defaults.fallback_models
        return tuple(each if isinstance(each, ModelPreset) else self.model_presets.get(each) or ModelPreset(model=each) for each in named)


def config_with(channels: type[ChannelsSettings]) -> type[Config]:
    """The configuration's model with this model of its channels."""
    return Config if channels is ChannelsSettings else create_model("Config", __base__=Config, channels=(channels, channels()))
