"""The whole configuration as one frozen model. Each section is declared beside the part that it configures."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, create_model, field_validator, model_validator

from assistant.access.settings import AuthSettings
from assistant.api.settings import ApiSettings
from assistant.approvals.settings import ApprovalSettings
from assistant.config.agents import DEFAULTS, AgentSettings, AgentsSettings, ModelPreset
from assistant.config.extensions import ChannelsSettings, ToolsSettings
from assistant.config.folders import machine_zone
from assistant.contracts.access import WINDOWS, Limits
from assistant.contracts.channels import ChannelSettings
from assistant.contracts.util import Settings
from assistant.delivery.settings import DeliverySettings
from assistant.documents.settings import DocumentSettings
from assistant.fetching.settings import SecretSettings, SecretsSettings, WebSettings
from assistant.ledger.budgets import BudgetSettings, UsageSettings
from assistant.mcp.settings import McpSettings
from assistant.memory.settings import MemorySettings
from assistant.providers.settings import ModelsSettings, ProviderSettings, ProvidersSettings, RegisteredModel
from assistant.sandbox.settings import SandboxSettings
from assistant.store.database import AttachmentSettings, StoreSettings
from assistant.tasks.settings import TaskSettings
from assistant.voice.settings import VoiceSettings
from assistant.workflows.settings import WorkflowSettings
from tools.files.settings import FileSettings


class ShutdownSettings(Settings):
    grace: Annotated[float, Field(ge=0, le=600)] = 10
    """Seconds that running work gets to finish when the server stops: turns (four fifths of it), then messages being sent.
    Work that has not finished is cut off and noted in its session; a chat's turn and a message are resumed at the next start."""


class LogSettings(Settings):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """`"debug"`, `"info"`, `"warning"` or `"error"`. Log lines hold events and ids, never the text of messages."""

    @field_validator("level", mode="before")
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


class TraceSettings(Settings):
    endpoint: Annotated[str | None, Field(pattern=r"^https?://.+$")] = None
    """Where spans go, by OTLP over HTTP: `"http://127.0.0.1:4318/v1/traces"`. They hold names and numbers, never words. It needs the extra `otel`.
    null: no traces."""
    headers: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    """Sent along with them: the collector's key."""


class Config(Settings):
    """The configuration. Every key has a default: an empty file is valid."""

    agents: AgentsSettings = AgentsSettings()
    model_presets: dict[str, ModelPreset] = Field(default_factory=dict[str, ModelPreset])
    """Named models, by name."""
    models: ModelsSettings = Field(default_factory=dict[str, RegisteredModel])
    """Models that clients may name, by the id that they send."""
    providers: ProvidersSettings = Field(default_factory=dict[str, ProviderSettings])
    """Providers of models, by name."""
    channels: ChannelsSettings = ChannelsSettings()
    tools: ToolsSettings = ToolsSettings()
    deliver: DeliverySettings = DeliverySettings()
    api: ApiSettings = ApiSettings()
    auth: AuthSettings = AuthSettings()
    store: StoreSettings = StoreSettings()
    attachments: AttachmentSettings = AttachmentSettings()
    documents: DocumentSettings = DocumentSettings()
    files: FileSettings = FileSettings()
    memory: MemorySettings = MemorySettings()
    mcp: McpSettings = McpSettings()
    approvals: ApprovalSettings = ApprovalSettings()
    workflows: WorkflowSettings = WorkflowSettings()
    tasks: TaskSettings = TaskSettings()
    web: WebSettings = WebSettings()
    voice: VoiceSettings = VoiceSettings()
    secrets: SecretsSettings = Field(default_factory=dict[str, SecretSettings])
    """Secrets that the model names and never sees, by name: `{{secret:github}}` in a header of `fetch_page` is filled in for the secret's own
    hosts."""
    sandbox: SandboxSettings = SandboxSettings()
    budgets: tuple[BudgetSettings, ...] = ()
    """What may be used: `[{"of": "role:guest", "per": "day", "tokens": 100000}]`. `nanobot budgets` sets further ones."""
    usage: UsageSettings = UsageSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    log: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()

    @model_validator(mode="before")
    @classmethod
    def _without_schema(cls, given: object) -> object:
        """`$schema` is for editors."""
        return {key: value for key, value in given.items() if key != "$schema"} if isinstance(given, dict) else given  # pyright: ignore[reportUnknownVariableType]

    @model_validator(mode="after")
    def _presets_exist(self) -> Self:
        for agent, settings in {DEFAULTS: self.agents.defaults, **self.agents.named}.items():
            if unknown := set(settings.mcp or ()) - set(self.mcp.servers):
                raise ValueError(f'agents.{agent}.mcp names "{min(unknown)}", which is not one of mcp.servers')
            name = settings.model_preset
            if name not in (None, "", "default") and name not in self.model_presets:
                raise ValueError(f'agents.{agent}.modelPreset names "{name}", which is not one of modelPresets')
        return self

    @property
    def enabled_channels(self) -> Mapping[str, ChannelSettings]:
        return {name: settings for name, settings in self.channels.by_name().items() if settings.enabled}

    @property
    def agent(self) -> AgentSettings:
        """The default agent, with the settings of its model preset where it has one."""
        return self.agents.defaults.with_preset(self.model_presets)

    @property
    def zone(self) -> ZoneInfo:
        """Of people who have named none."""
        named = self.agents.defaults.timezone
        return ZoneInfo(named) if named else machine_zone()

    @property
    def named_agents(self) -> Mapping[str, AgentSettings]:
        """The other agents by id, each with all its settings."""
        return {name: agent.over(self.agents.defaults, self.model_presets) for name, agent in self.agents.named.items()}

    @property
    def default_limits(self) -> Limits:
        """The limits of a key that has none of its own."""
        return Limits.of(**{name: getattr(self.api.limits, name) for name in WINDOWS})

    def fallbacks(self, agent: AgentSettings) -> tuple[ModelPreset, ...]:
        """An agent's fallback models, in order, each as a preset."""
        named = agent.fallback_models
        return tuple(each if isinstance(each, ModelPreset) else self.model_presets.get(each) or ModelPreset(model=each) for each in named)


def config_with(channels: type[ChannelsSettings], tools: type[ToolsSettings]) -> type[Config]:
    """The configuration's model with these models of its channels and tools."""
    if channels is ChannelsSettings and tools is ToolsSettings:
        return Config
    return create_model("Config", __base__=Config, channels=(channels, channels()), tools=(tools, tools()))
