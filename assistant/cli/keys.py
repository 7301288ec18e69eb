"""`nanobot keys create | list | revoke | rotate`: API keys, each with its own scopes and limits."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, cast

import typer

from assistant.access.principals import CannotLetIn, auth_mode, digest_of, new_key, new_secret, prefix_of
from assistant.cli.shared import ConfigOption, configured, harmless, moment, print_list, with_store
from assistant.config import Loaded
from assistant.contracts.access import SCOPES, ApiKey, Limits, Scope
from assistant.contracts.errors import InvalidRequest, NotFound
from assistant.contracts.util import replace_surrogates

commands = typer.Typer(name="keys", help="API keys, each with its own scopes and limits, besides api.apiKey.", no_args_is_help=True)

_USUAL: Final[tuple[Scope, ...]] = ("chat", "models", "sessions", "files")
_DURATION: Final = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MOST: Final = 2**31 - 1

Which = Annotated[str, typer.Argument(metavar="KEY", help="Its id, its name or its prefix, as listed.")]


@commands.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its user or purpose.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help=f"A scope, of {', '.join(SCOPES)}; may be repeated.  [default: {', '.join(_USUAL)}]"),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="A model or agent that it may use, such as 'gpt-*' or agent:home; may be repeated.  [default: all]"
        ),
    ] = None,
    expires: Annotated[str | None, typer.Option(metavar="IN", help="Expires after this time: 12h, 30d, 8w.  [default: never]")] = None,
    rpm: Annotated[int | None, typer.Option(metavar="NUMBER", min=1, max=_MOST, help="Requests a minute.")] = None,
    tpm: Annotated[int | None, typer.Option(metavar="NUMBER", min=1, max=_MOST, help="Tokens a minute.")] = None,
    parallel: Annotated[int | None, typer.Option(metavar="NUMBER", min=1, max=_MOST, help="Requests at the same time.")] = None,
    config: ConfigOption = None,
) -> None:
    """Make a key and show it once. Only its hash is kept.

    A running server accepts it at once. Its holder sees the sessions and deliveries made with it, and no others.

    Example: nanobot keys create build-server --scope chat --scope deliveries --rpm 60 --expires 90d
    """
    loaded = configured(config)
    secret, key = new_key(
        name,
        _scopes(scope or _USUAL),
        models=[replace_surrogates(pattern) for pattern in model] if model else None,
        limits=Limits.of(requests_per_minute=rpm, tokens_per_minute=tpm, parallel=parallel),
        lasts=_duration(expires) if expires else None,
    )
    with_store(loaded, lambda store: store.keys.add(key, digest_of(secret.encode())))
    _show_once(secret, f"key {key.id} ({harmless(key.name)})")
    _warn_if_open(loaded)


@commands.command("list")
def list_keys(
    everything: Annotated[bool, typer.Option("--all", help="Also those that were revoked or have expired.")] = False,
    config: ConfigOption = None,
) -> None:
    """List keys with their scopes, limits and last use.

    Example: nanobot keys list
    """
    now = datetime.now(UTC)
    found = with_store(configured(config), lambda store: store.keys.list())
    found = [key for key in found if everything or _valid(key, now)]
    heads = ("ID", "NAME", "KEY", "SCOPES", "MODELS", "LIMITS", "STATE", "LAST USED (UTC)")
    print_list(found, heads, lambda key: _row(key, now))


@commands.command()
def revoke(which: Which, config: ConfigOption = None) -> None:
    """Revoke a key for good.

    A server that runs refuses it within a second, and closes what it has open. Sessions made with it stay; nanobot sessions shows them.
    Schedules of a person who has no other key and no chat are paused when they fall due.

    Example: nanobot keys revoke build-server
    """
    loaded = configured(config)
    key = _found(loaded, which)
    if not with_store(loaded, lambda store: store.keys.revoke(key.id)):
        raise NotFound("It has just been revoked by another process.")
    typer.echo(f"key {key.id} ({harmless(key.name)}) is revoked")


@commands.command()
def rotate(
    which: Which,
    overlap: Annotated[str, typer.Option(metavar="FOR", help="How long the present secret stays valid: 0s, 10m, 1h.")] = "0s",
    config: ConfigOption = None,
) -> None:
    """Give a key a new secret and show it once. Its sessions, scopes and limits stay.

    The present secret ends at once, or after the overlap; one from before an earlier rotation ends now.

    Example: nanobot keys rotate build-server --overlap 1h
    """
    loaded, secret = configured(config), new_secret()
    key, until = _found(loaded, which), datetime.now(UTC) + _duration(overlap)
    digest = digest_of(secret.encode())
    if not with_store(loaded, lambda store: store.keys.rotate(key.id, digest=digest, prefix=prefix_of(secret), overlap_until=until)):
        raise NotFound("This key is no longer valid: make another with nanobot keys create.")
    _show_once(secret, f"key {key.id} ({harmless(key.name)}); {key.prefix}… ends at {moment(until)} UTC")


def _show_once(secret: str, what: str) -> None:
    """The secret on a line of its own on stdout, so that a script can take it; the rest beside it."""
    typer.echo(secret)
    typer.echo(f"{what}: this is shown once; send it as 'Authorization: Bearer {prefix_of(secret)}…'", err=True)


def _warn_if_open(loaded: Loaded) -> None:
    try:
        mode = auth_mode(loaded.config.auth, loaded.config.api.api_key)
    except CannotLetIn:
        return
    if mode == "none":
        typer.echo('note: the server requires no key now; set auth.mode to "keys" if it should', err=True)


def _found(loaded: Loaded, which: str) -> ApiKey:
    """The one valid key with this id, name or prefix. Raises NotFound, InvalidRequest."""
    wanted, now = replace_surrogates(which.strip()), datetime.now(UTC)
    holding = [key for key in with_store(loaded, lambda store: store.keys.list()) if _valid(key, now)]
    found = [key for key in holding if key.id == wanted] or [key for key in holding if wanted in (key.name, key.prefix, f"{key.prefix}…")]
    if not found:
        raise NotFound("There is no such key. nanobot keys list shows those there are.")
    if len(found) > 1:
        raise InvalidRequest(f"There are {len(found)} such keys: name the one you mean by its id.")
    return found[0]


def _valid(key: ApiKey, now: datetime) -> bool:
    return key.revoked is None and (key.expires is None or now < key.expires)


def _scopes(given: Sequence[str]) -> frozenset[Scope]:
    words = {word.strip().lower() for each in given for word in each.split(",")}
    if unknown := sorted(words - set(SCOPES)):
        raise InvalidRequest(f"There is no scope '{harmless(unknown[0])}': there are {', '.join(SCOPES)}.")
    return frozenset(cast("set[Scope]", words))


def _duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise InvalidRequest("A time is a number with s, m, h, d or w, such as 30m, 12h or 90d.")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def _row(key: ApiKey, now: datetime) -> tuple[str, ...]:
    scopes = ", ".join(each for each in SCOPES if each in key.scopes)
    models = "all" if key.models is None else ", ".join(key.models)
    used = moment(key.last_used) if key.last_used else "never"
    requests, tokens = key.limits.named("requests_per_minute"), key.limits.named("tokens_per_minute")
    parts = ((requests, "requests/min"), (tokens, "tokens/min"), (key.limits.parallel, "at once"))
    limits = ", ".join(f"{many:,} {what}" for many, what in parts if many is not None) or "none"
    return key.id, key.name, f"{key.prefix}…", scopes, models, limits, _state(key, now), used


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked is not None:
        return f"revoked {moment(key.revoked)}"
    if key.expires is None:
        return "holds"
    return f"until {moment(key.expires)}" if now < key.expires else f"expired {moment(key.expires)}"
