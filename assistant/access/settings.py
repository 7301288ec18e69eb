"""What can be set of who may come in."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from assistant.contracts.util import Settings

Mode = Literal["none", "token", "password", "keys", "supabase"]
Do = Literal["allow", "ask", "refuse"]
ActionName = Literal["writes workspace", "network", "sends", "spends", "remembers", "schedules", "changes itself"]
_NODETOOLS = {"local": "none", "static": "token"}


class SupabaseSettings(Settings):
    """`auth.supabase`: users of a Supabase project, by the tokens that it gives them."""

    url: str = Field(default="", pattern=r"^(https?://[^\s/?#@]+/?)?$")
    """The project's address, "https://<project>.supabase.co". Also from SUPABASE_URL."""
    key: SecretStr = SecretStr("")
    """The project's publishable (anon) key, used to ask it about tokens that only it can check. Also from SUPABASE_KEY."""


class AuthSettings(Settings):
    """`auth` in the configuration (Moltbot's `gateway.auth` is the same)."""

    mode: Mode | None = None
    """`"none"`: everybody who reaches the server (loopback only). `"token"`, `"password"`: who has that one secret. `"keys"`: who has a key of
    `nanobot keys create`. `"supabase"`: users of that project. Keys open in every mode, and so does `api.apiKey`.
    null: by what is set: a token, else a password, else none. NodeTool's words `"local"` and `"static"` mean none and token;
    AUTH_PROVIDER says it where this does not."""
    token: SecretStr | None = None
    """The secret of the mode `token`, beside `api.apiKey`. Also from NANOBOT_GATEWAY_TOKEN or CLAWDBOT_GATEWAY_TOKEN."""
    password: SecretStr | None = None
    """The secret of the mode `password`. Also from NANOBOT_GATEWAY_PASSWORD or CLAWDBOT_GATEWAY_PASSWORD."""
    supabase: SupabaseSettings = SupabaseSettings()

    @field_validator("mode", mode="before")
    @classmethod
    def _in_our_words(cls, mode: object) -> object:
        if not isinstance(mode, str):
            return mode
        word = mode.strip().lower()
        return _NODETOOLS.get(word, word or None)

    @field_validator("token", "password", mode="after")
    @classmethod
    def _blank_is_none(cls, secret: SecretStr | None) -> SecretStr | None:
        return secret if secret is not None and secret.get_secret_value().strip() else None


class Permission(Settings):
    """A line of `agents.<id>.permissions`: which calls of tools, and what then."""

    tool: str = "*"
    """The tool's name, or a pattern: `"run"`, `"mcp_*"`."""
    action: ActionName | None = None
    """What the call does: `"writes workspace"`, `"network"`, `"sends"`, `"spends"`, `"remembers"`, `"schedules"` or `"changes itself"`. null: any."""
    subject: str = "*"
    """What it acts on, or a pattern over the whole of it: `"git *"`, `"*.example.org"`, `"telegram:42"`, `"shared/*"`."""
    do: Do
    """`"allow"`, `"ask"` (the person, each time) or `"refuse"`."""
