"""The `api` section of the configuration."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from assistant.contracts.util import Settings

MIB = 1024 * 1024


class ApiLimits(Settings):
    """How much a request may hold; bytes. And how much each principal may ask for."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    """Requests in any 60 seconds, of each key that has no such limit of its own (the shared one too), each person and each group in a chat.
    null: no limit."""
    tokens_per_minute: int | None = Field(default=None, ge=1)
    """Tokens in any 60 seconds, prompts and answers together, likewise."""

    file_bytes: int = Field(default=10 * MIB, ge=1)
    """One file, decoded."""
    files: int = Field(default=20, ge=0)
    """How many files a request may hold."""
    request_bytes: int = Field(default=50 * MIB, ge=1)
    """All files of a request together, and a multipart body (with 1 MiB more for its fields)."""
    json_bytes: int = Field(default=25 * MIB, ge=1)
    """A JSON body, as sent."""


class ApiTimeouts(Settings):
    """How long a peer may take; seconds."""

    headers: float = Field(default=10, gt=0)
    """From the connection (or from the first byte of a later request) to the end of the headers."""
    body: float = Field(default=30, gt=0)
    """Without a byte of the body."""
    unread: float = Field(default=30, gt=0)
    """Without reading any of an answer that waits."""
    idle: float = Field(default=75, gt=0)
    """Between two requests on a connection. Longer than common clients and proxies keep one, so that they close it first."""


class SocketSettings(Settings):
    """WebSockets."""

    message_bytes: int = Field(default=4 * MIB, ge=1024)
    """One message, as sent; a larger one closes its socket with 1009."""
    ping_seconds: float = Field(default=25, gt=0)
    """How often a socket is pinged. One of which nothing was heard from one ping to the next is closed."""
    tool_seconds: float = Field(default=60, gt=0)
    """How long a tool of the client may take."""


class EndpointSettings(Settings):
    enabled: bool = True
    """Whether the endpoint is there; false: 404."""


class Endpoints(Settings):
    chat_completions: EndpointSettings = EndpointSettings()
    """Switched off, POST /v1/chat/completions is 404."""


class ResponseSettings(Settings):
    keep_days: int = Field(default=30, ge=1)
    """How long a response of POST /v1/responses is kept, unless it is deleted before."""


class CorsSettings(Settings):
    origins: tuple[str, ...] = ()
    """Web pages that may call and read the answers, exactly: "https://chat.example.org". Empty: none. There is no "*"."""

    @field_validator("origins", mode="after")
    @classmethod
    def _exactly(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if any("*" in origin for origin in origins):
            raise ValueError('must name each origin, such as "http://localhost:3000": with "*" any page on the web could call this server')
        return origins


class ApiSettings(Settings):
    """What nanobot's own `api` section holds (host, port, timeout, apiKey), and what it lacks."""

    host: str = "127.0.0.1"
    """The address to listen on. One that other machines can reach needs `apiKey`."""
    port: int = Field(default=8900, ge=0, le=65535)
    """0: any free one."""
    timeout: float = Field(default=120, gt=0)
    """Seconds that a turn may take, waiting included. Kept by the turns, not by the API."""
    api_key: SecretStr | None = None
    """The shared key: whoever sends it as `Authorization: Bearer <key>` is the owner. Empty: none."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names, with or without a port, that requests may be addressed to, besides localhost, 127.0.0.1, [::1] and `host`."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of web pages that may call, such as "https://chat.example.org", besides the server's own and those of `cors`."""
    cors: CorsSettings = CorsSettings()
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of reverse proxies whose X-Forwarded-For is believed: "10.0.0.7", "10.0.0.0/24"."""
    on_disconnect: Literal["finish", "cancel"] = "finish"
    """What happens to the turn of a client that went away before its answer."""
    keep_alive_seconds: float = Field(default=10, gt=0)
    """A silent stream gets a comment this often. As long is waited for the first word before a stream begins."""
    max_connections: int = Field(default=4096, ge=1)
    """Connections at the same time; one more is answered with 503."""
    limits: ApiLimits = ApiLimits()
    timeouts: ApiTimeouts = ApiTimeouts()
    sockets: SocketSettings = SocketSettings()
    endpoints: Endpoints = Endpoints()
    responses: ResponseSettings = ResponseSettings()

    @field_validator("api_key", mode="after")
    @classmethod
    def _blank_is_none(cls, key: SecretStr | None) -> SecretStr | None:
        return key if key is not None and key.get_secret_value().strip() else None
