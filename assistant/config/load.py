"""Loading the configuration: the file, over it the environment, over that the command line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from assistant.config.channels import channels_with
from assistant.config.check import Check
from assistant.config.elsewhere import moved
from assistant.config.errors import ConfigError, Problem
from assistant.config.file import find_file, read_file
from assistant.config.home import check_workspace, state_home, workspace_folder
from assistant.config.schema import Config, config_with
from assistant.contracts.messages import Json
from assistant.providers.presets import UNSUPPORTED
from assistant.providers.settings import ProviderSettings

_PREFIX = "NANOBOT_"
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "CLAWDBOT_GATEWAY_TOKEN": ("auth", "token"),
    "CLAWDBOT_GATEWAY_PASSWORD": ("auth", "password"),
    "NANOBOT_GATEWAY_TOKEN": ("auth", "token"),
    "NANOBOT_GATEWAY_PASSWORD": ("auth", "password"),
    "SUPABASE_URL": ("auth", "supabase", "url"),
    "SUPABASE_KEY": ("auth", "supabase", "key"),
}
"""Variables that other products' documents name, by the keys that they stand for; a later one wins. None of them chooses the mode by itself
where the file does."""
_AUTH_PROVIDER = "AUTH_PROVIDER"
_COMMAND_LINE = "command line"
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("model_type", "dict_type", "mapping_type"), "must be an object: {…}"),
    **dict.fromkeys(("list_type", "tuple_type"), "must be a list: […]"),
    "string_type": 'must be a text: "…"',
    "extra_forbidden": "there is no such key",
}
"""In JSON's words, where pydantic speaks Python's."""
_NOTHING: Mapping[str, Json] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration that can be used, and where it came from."""

    config: Config
    source: Path | None
    """The file; None: the built-in defaults."""
    folder: Path
    """What relative paths of the configuration start at: the file's folder, or the one that it was loaded in."""
    home: Path
    """The folder of the state; it may not exist yet."""
    workspace: Path
    """The folder that the assistant may read and write; it may not exist yet."""
    notices: tuple[str, ...]
    """A line for each key that was accepted and has no effect."""


def load_config(
    path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Json] = _NOTHING, *, directory: Path | None = None
) -> Loaded:
    """The configuration from `path`, else from where `find_file` finds it.

    `env`: the environment, for `${NAME}` in the file and for overrides such as NANOBOT_API__PORT=9000 (an empty one counts as not set).
    `overrides`: dotted paths with their values, which win over both. `directory`: what relative paths start at; the current one by default.
    Raises ConfigError, which names every problem that was found.
    """
    directory = (directory or Path.cwd()).resolve()
    home = state_home(env)
    source = find_file(path, env, directory, home)
    raw = read_file(source) if source is not None else {}
    variables = [(name, _nested(keys, value)) for name, keys, value in _from_environment(env)]
    options = [_nested(key.split("."), value) for key, value in overrides.items()]
    model = config_with(channels_with([raw, *(value for _, value in variables), *options]))
    checks: list[tuple[Check, Mapping[str, Json]]] = []
    if provider := env.get(_AUTH_PROVIDER):  # NodeTool's, below the file: a stray variable must not open what the file closes
        checks.append((Check(model, _AUTH_PROVIDER, None, from_text=True), _nested(["auth", "mode"], provider)))
    checks.append((Check(model, str(source or "defaults"), env), moved(raw)))
    checks += [(Check(model, name, None, from_text=True), value) for name, value in variables]
    checks += [(Check(model, _COMMAND_LINE, None), value) for value in options]
    values: dict[str, Json] = {}
    origins: dict[tuple[str, ...], str] = {}
    for check, given in checks:
        _lay_over(values, check.run(given), check.origin, origins, ())
    config = _validated(model, values, origins, [problem for check, _ in checks for problem in check.problems])
    folder = source.parent if source is not None else directory
    workspace = workspace_folder(config.agent.workspace, home, folder)
    check_workspace(workspace, home, source)
    ignored = dict.fromkeys([key for check, _ in checks for key in check.ignored] + _unsupported(config))
    notices = [f"{key.replace('*', '<name>')}: known from nanobot, has no effect here" for key in ignored]
    return Loaded(config=config, source=source, folder=folder, home=home, workspace=workspace, notices=(*notices, *_misspelt(env)))


def _unsupported(config: Config) -> list[str]:
    """What is said of nanobot's providers, is valid, and has no effect: ones that can't be reached here, and an API that is not spoken."""
    given = {name: settings for name, settings in config.providers.items() if settings != ProviderSettings()}
    unreachable = [f"providers.{name}" for name, settings in given.items() if name in UNSUPPORTED and not settings.api_base]
    return unreachable + [f"providers.{name}.apiType" for name, settings in given.items() if settings.api_type == "responses"]


def _from_environment(env: Mapping[str, str]) -> Iterator[tuple[str, list[str], str]]:
    for name, path in _OTHER_NAMES.items():
        if value := env.get(name):
            yield name, list(path), value
    for name, value in sorted(env.items()):
        keys = name.removeprefix(_PREFIX).lower().split("__")
        if name.startswith(_PREFIX) and len(keys) > 1 and all(keys) and value:
            yield name, keys, value


def _misspelt(env: Mapping[str, str]) -> Iterator[str]:
    """A notice for each variable that was surely meant to override a key, with one underscore where two are needed."""
    for name in sorted(env):
        section, _, rest = name.removeprefix(_PREFIX).partition("_")
        if name.startswith(_PREFIX) and "__" not in name and rest and section.lower() in Config.model_fields:
            yield f"{name}: has no effect; two underscores stand between the parts of a key: {_PREFIX}{section}__{rest}"


def _nested(keys: list[str], value: Json) -> dict[str, Json]:
    for key in reversed(keys):
        value = {key: value}
    return value if isinstance(value, dict) else {}


def _lay_over(
    values: dict[str, Json], more: Mapping[str, Json], origin: str, origins: dict[tuple[str, ...], str], path: tuple[str, ...]
) -> None:
    """Put `more` over `values`, object by object, and note where each value came from.

    Names that people choose are matched in any spelling: an environment variable can't hold "lmStudio" or "my-server".
    """
    for given, value in more.items():
        name = next((known for known in values if _plain(known) == _plain(given)), given)
        below = values.get(name)
        if isinstance(value, dict) and isinstance(below, dict):
            _lay_over(below, value, origin, origins, (*path, name))
        else:
            values[name] = value
            origins[(*path, name)] = origin


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _validated(model: type[Config], values: Mapping[str, Json], origins: Mapping[tuple[str, ...], str], found: Sequence[Problem]) -> Config:
    """The configuration; raises ConfigError with the problems `found` before, and those of the values that were left."""
    try:
        config = model.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        named = {problem.path for problem in found}
        more = [_problem(detail, origins) for detail in details]
        raise ConfigError(*found, *(problem for problem in more if problem.path not in named)) from None
    if found:
        raise ConfigError(*found)
    return config


def _problem(detail: ErrorDetails, origins: Mapping[tuple[str, ...], str]) -> Problem:
    path = tuple(str(part) for part in detail["loc"])
    text = _KINDS.get(detail["type"]) or detail["msg"].removeprefix("Value error, ").replace("Input should", "must").replace(
        "String should", "must"
    )
    given = next((origins[path[:length]] for length in range(len(path), 0, -1) if path[:length] in origins), "")
    return Problem(path=path, text=text, origin=given)
