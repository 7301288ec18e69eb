"""The `mcp` section, and the `mcpServers` blocks of other products."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, Self, cast
from urllib.parse import urlsplit

import orjson
from pydantic import Field, SecretStr, model_validator

from assistant.contracts.people import OWNER_ID
from assistant.contracts.util import Settings

_TYPES: Final = {"stdio": "stdio", "http": "http", "streamablehttp": "http", "sse": "sse"}
_OTHERS: Final = {"toolTimeout": "timeout", "tool_timeout": "timeout", "enabledTools": "tools", "enabled_tools": "tools"}
"""Keys of other products → ours."""
_IGNORED: Final = ("cwd", "description", "autoApprove", "alwaysAllow", "auth")
"""Keys of other products that ask for nothing here: a program has a folder of its own, approvals are `permissions`, a login is a command."""
OWNER_WORD: Final = "owner"
EVERYONE: Final = "all"


class McpServer(Settings):
    """A server: a program (`command`), or an address (`url`)."""

    enabled: bool = True
    """false (or `"disabled": true`): it is not there."""
    type: Literal["stdio", "http", "sse"] | None = None
    """`"stdio"` or `"http"` (streamable HTTP); `"sse"`, the transport before it, is not spoken. null: by whether there is a `command` or a `url`."""
    command: str | None = None
    """The program. It runs in the sandbox, in a folder of its own: `mcp/<name>` in the workspace."""
    args: tuple[str, ...] = ()
    """Its arguments."""
    env: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    """Its environment; nothing of the server's own is in it. `{{secret:NAME}}` is filled in."""
    readable: tuple[str, ...] = ()
    """Files and folders that the program may read besides /usr, by absolute paths. Those that `command` and `args` name need not stand here."""
    hosts: tuple[str, ...] = ()
    """Hosts that the program may ask over HTTP(S). `[]`: no network."""
    url: Annotated[str | None, Field(pattern=r"^https?://.+$")] = None
    """The address: `"https://example.org/mcp"`. `nanobot mcp login` logs in where it wants OAuth."""
    headers: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    """Sent with each request. `{{secret:NAME}}` is filled in."""
    client_id: str | None = None
    """For a login where the authorization server registers no clients by itself."""
    client_secret: SecretStr | None = None
    """Beside `clientId`."""
    scope: str | None = None
    """What a login asks for. null: what the server wants."""
    callback_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """The port of this machine that a login comes back to. 0: any that is free."""
    people: tuple[str, ...] = (OWNER_WORD,)
    """Who may use it, with the keys and the login that it has: `"owner"`, ids of `nanobot people list`, groups by their chat (`"telegram:-100123"`),
    or `"all"`."""
    timeout: Annotated[float, Field(gt=0, le=600)] = 20.0
    """Seconds that a call may take."""
    tools: tuple[str, ...] | None = None
    """The names of those of its tools that are offered. null: all."""

    @model_validator(mode="before")
    @classmethod
    def _as_others_write_it(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        block = {
            _OTHERS.get(name, name): value
            for name, value in cast("Mapping[str, Any]", given).items()
            if name not in _IGNORED and value != ""
        }
        if isinstance(disabled := block.pop("disabled", None), bool):
            block["enabled"] = not disabled
        if isinstance(kind := block.get("type"), str):
            block["type"] = _TYPES.get(kind.replace("-", "").replace("_", "").lower(), kind)
        if block.get("tools") in (["*"], ("*",)):
            block["tools"] = None
        return block

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError('needs a "command" or a "url", not both')
        return self

    @property
    def origin(self) -> str:
        """What makes it this server and no other, hashed."""
        return sha256(orjson.dumps([self.command, self.args, self.url])).hexdigest()

    @property
    def host(self) -> str:
        """Of its address, with a port that is not the scheme's own; empty: it is a program."""
        return urlsplit(self.url or "").netloc.rpartition("@")[2]

    def allows(self, owner: str) -> bool:
        """Whether this person, or group, may use it."""
        return bool({owner, EVERYONE, *([OWNER_WORD] if owner == OWNER_ID else [])} & {*self.people})


class McpSettings(Settings):
    """Servers of the Model Context Protocol. A `mcpServers` block of another product, at the top of the file or under `tools`, is read as
    `servers`."""

    servers: dict[Annotated[str, Field(min_length=1, max_length=64)], McpServer] = Field(default_factory=dict[str, McpServer])
    """Servers by name. Their tools are called `mcp_<server>_<tool>`."""
    most_tools: Annotated[int, Field(ge=0)] = 30
    """With more tools than these, an agent is offered `find_tools`, and what was found in the session."""
    idle: Annotated[float, Field(gt=0)] = 300.0
    """Seconds without a call after which a connection is closed; the next call opens it again."""
