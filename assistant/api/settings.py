"""The `api` section of the configuration."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from assistant.contracts.util import Settings

MIB = 1024 * 1024


class ApiLimits(Settings):
    """Limits of a request, in bytes, and of each principal's requests."""

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
    """All files of a request together, and a multipart body (plus 1 MiB for its fields)."""
    json_bytes: int = Field(default=25 * MIB, ge=1)
    """A JSON body, as sent."""


class ApiTimeouts(Settings):
    """How long a peer may take; seconds."""

    headers: float = Field(default=10, gt=0)
    """From the connection (or from the first byte of a later request) to the end of the headers."""
    body: float = Field(default=30, gt=0)
    """Between two pieces of the body."""
    unread: float = Field(default=30, gt=0)
    """Until the client reads some of an answer that waits."""
    idle: float = Field(default=75, gt=0)
    """Between two requests on a connection. Longer than common clients and proxies keep it, so that they close it first."""


class SocketSettings(Settings):
    """WebSockets."""

    message_bytes: int = Field(default=4 * MIB, ge=1024)
    """One message, as sent; a larger one closes its socket with 1009."""
    ping_seconds: float = Field(default=25, gt=0)
    """Between two pings of a socket. It is closed if nothing was received from one ping to the next."""
    tool_seconds: float = Field(default=60, gt=0)
    """How long a tool of the client may take."""


class EndpointSettings(Settings):
    enabled: bool = True
    """Whether the endpoint exists; if not, it answers 404."""


class Endpoints(Settings):
    chat_completions: EndpointSettings = EndpointSettings()
    """POST /v1/chat/completions."""


class ResponseSettings(Settings):
    keep_days: int = Field(default=30, ge=1)
    """How long a response of POST /v1/responses is kept, unless it is deleted."""


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
    """nanobot's own `api` section (host, port, timeout, apiKey) with additions."""

    host: str = "127.0.0.1"
    """The address to listen on; 127.0.0.1 and localhost mean [::1], too. If other machines can reach it, `apiKey` is required."""
    port: int = Field(default=8900, ge=0, le=65535)
    """0: any free one."""
    timeout: float = Field(default=120, gt=0)
    """Seconds that a turn may take, with its waiting."""
    api_key: SecretStr | None = None
    """The shared key: a client that sends it as `Authorization: Bearer <key>` is the owner. Empty: none."""
    allowed_hosts: tuple[str, ...] = ()
    """Names in the Host header, with or without a port, that are accepted in addition to localhost, 127.0.0.1, [::1] and `host`.
    With the right key, where one is set, any name is."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of web pages that may call, such as "https://chat.example.org", in addition to the server's own and those of `cors`."""
    cors: CorsSettings = CorsSettings()
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of reverse proxies whose X-Forwarded-For and -Proto are trusted: "10.0.0.7", "10.0.0.0/24"."""
    history: Literal["session", "client"] = "session"
    """Who keeps the conversation with the default model, the first id of /v1/models. "session": the server; a request holds one user message.
    "client": the client, whose `messages` hold all of it, as OpenAI's clients do; with a `session_id` they only begin a session that is new."""
    on_disconnect: Literal["finish", "cancel"] = "finish"
    """What happens to the turn of a client that disconnects before the answer."""
    keep_alive_seconds: float = Field(default=10, gt=0)
    """A silent stream gets a comment this often. A stream begins with the first word, or after this time."""
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
