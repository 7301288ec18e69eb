"""/v1/keys: API keys, made, listed and revoked."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from assistant.access.principals import digest_of, new_key
from assistant.api.answers import Answer, ListAnswer, Time
from assistant.api.openapi import endpoint, errors
from assistant.contracts.access import ApiKey, KeyStore, Limits, Scope
from assistant.contracts.errors import NotFound
from assistant.contracts.records import record

_PATH: Final = "/v1/keys"
_MOST_DAYS: Final = 3650


class KeyNotFound(NotFound, code="key_not_found"):
    """There is no such key that holds."""


class KeyRequest(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="Its user or purpose.")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=32)]
    models: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=100)] | None = Field(
        default=None, description="Patterns (`gpt-*`, `agent:home`) of what it may use; null: all."
    )
    expires_in_days: Annotated[int, Field(ge=1, le=_MOST_DAYS)] | None = Field(default=None, description="null: never.")
    requests_per_minute: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None


class KeyAnswer(Answer):
    id: str
    object: Literal["key"] = "key"
    name: str
    prefix: str = Field(description="How the secret begins.")
    scopes: list[Scope]
    models: list[str] | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class KeyMade(KeyAnswer):
    secret: str = Field(description="Shown this once: only its hash is kept.")


class KeyList(ListAnswer[KeyAnswer]):
    pass


class KeyRevoked(Answer):
    id: str
    object: Literal["key.revoked"] = "key.revoked"
    revoked: Literal[True] = True


@record
class KeyEndpoints:
    store: KeyStore

    @endpoint("GET", _PATH, "List keys", scope="admin", responses=errors(401, 503))
    async def index(self) -> KeyList:
        """Those that hold, the oldest first; all at once."""
        now = datetime.now(UTC)
        found = [key for key in await self.store.list() if key.revoked is None and (key.expires is None or now < key.expires)]
        return KeyList(data=[KeyAnswer.model_validate(_shown(key)) for key in found], has_more=False)

    @endpoint("POST", _PATH, "Make a key", scope="admin", responses=errors(400, 401, 503), status_code=201)
    async def create(self, request: Request, asked: KeyRequest) -> KeyMade:
        """Its holder is a person of its own: it sees the sessions and deliveries made with it, and no others."""
        secret, key = new_key(
            asked.name,
            asked.scopes,
            models=asked.models,
            limits=Limits.of(requests_per_minute=asked.requests_per_minute, tokens_per_minute=asked.tokens_per_minute),
            lasts=timedelta(days=asked.expires_in_days) if asked.expires_in_days else None,
        )
        await self.store.add(key, digest_of(secret.encode()))
        return KeyMade.model_validate({**_shown(key), "secret": secret})

    @endpoint("DELETE", _PATH + "/{key_id}", "Revoke a key", scope="admin", responses=errors(401, 404, 503))
    async def revoke(self, request: Request, key_id: str) -> KeyRevoked:
        """For good: what is open with it ends within a second."""
        if not await self.store.revoke(key_id):
            raise KeyNotFound(param="key_id")
        return KeyRevoked(id=key_id)


def _shown(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": sorted(key.scopes),
        "models": key.models,
        "requests_per_minute": key.limits.named("requests_per_minute"),
        "tokens_per_minute": key.limits.named("tokens_per_minute"),
        "created_at": key.created,
        "expires_at": key.expires,
        "last_used_at": key.last_used,
    }
