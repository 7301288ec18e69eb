"""The ways in, as configured."""

from pydantic import SecretStr

from assistant.access.keys import OpenAccess, shared_keys
from assistant.access.principals import Access
from assistant.access.settings import AuthSettings, Mode
from assistant.access.stored_keys import StoredKeys, WithStoredKeys
from assistant.contracts.access import KEY_MARK, KeyStore


class CannotLetIn(ValueError):
    """What is set contradicts itself or lacks a secret: `str(error)` says what to change."""


def auth_mode(auth: AuthSettings, api_key: SecretStr | None) -> Mode:
    """How callers are known. Raises CannotLetIn."""
    mode = auth.mode or ("token" if api_key or auth.token else "password" if auth.password else "none")
    match mode:
        case "none" if api_key or auth.token or auth.password:
            raise CannotLetIn(
                "auth.mode is 'none', and a secret is set (api.apiKey, auth.token or auth.password): remove one or the other."
            )
        case "token" if not (api_key or auth.token):
            raise CannotLetIn("auth.mode is 'token', and there is none: set auth.token, api.apiKey or NANOBOT_GATEWAY_TOKEN.")
        case "password" if not auth.password:
            raise CannotLetIn("auth.mode is 'password', and there is none: set auth.password or NANOBOT_GATEWAY_PASSWORD.")
        case "supabase" if not (auth.supabase.url and auth.supabase.key.get_secret_value().strip()):
            raise CannotLetIn("auth.mode is 'supabase': set auth.supabase.url and auth.supabase.key, or SUPABASE_URL and SUPABASE_KEY.")
        case _:
            pass
    if any(secret.startswith(KEY_MARK) for secret in _shared(auth, api_key, mode)):
        raise CannotLetIn(f"A secret of your own can't begin with '{KEY_MARK}', as the keys of nanobot keys create do: choose another.")
    return mode


def open_access(auth: AuthSettings, api_key: SecretStr | None, keys: KeyStore) -> Access:
    """Raises CannotLetIn."""
    mode = auth_mode(auth, api_key)
    way: Access = OpenAccess()
    if mode != "none":
        tokens: Access | None = None
        if mode == "supabase":
            from assistant.access.supabase import Supabase  # noqa: PLC0415 - PyJWT and its cryptography, for those who use them

            tokens = Supabase(auth.supabase.url, auth.supabase.key.get_secret_value().strip())
        way = shared_keys(_shared(auth, api_key, mode), tokens)
    return WithStoredKeys(StoredKeys(keys), way)


def _shared(auth: AuthSettings, api_key: SecretStr | None, mode: Mode) -> list[str]:
    """The secrets that make their bearer the owner."""
    secrets = [api_key, auth.token if mode in ("token", "keys") else None, auth.password if mode == "password" else None]
    return [secret.get_secret_value().strip() for secret in secrets if secret is not None]
