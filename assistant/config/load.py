"""Loading the configuration: the file, over it the environment, over that the command line."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from pydantic import ValidationError

from assistant.config.aliases import KeyPath, is_nanobots, moved, plain, says_nothing, without_effect
from assistant.config.errors import ConfigError, ConfigProblem
from assistant.config.extensions import installed_sections, old_names, with_installed
from assistant.config.file import find_file, read_file
from assistant.config.folders import check_workspace, state_home, workspace_folder
from assistant.config.problems import problems_of, unheard_of
from assistant.config.schema import Config, config_with
from assistant.config.secrets_file import read_secrets
from assistant.contracts.messages import Json
from assistant.contracts.records import record
from assistant.providers.presets import UNSUPPORTED
from assistant.providers.settings import ProviderSettings

_PREFIX: Final = "NANOBOT_"
_OTHER_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "CLAWDBOT_GATEWAY_TOKEN": ("auth", "token"),
    "CLAWDBOT_GATEWAY_PASSWORD": ("auth", "password"),
    "NANOBOT_GATEWAY_TOKEN": ("auth", "token"),
    "NANOBOT_GATEWAY_PASSWORD": ("auth", "password"),
    "SUPABASE_URL": ("auth", "supabase", "url"),
    "SUPABASE_KEY": ("auth", "supabase", "key"),
}
"""Variables of other products' documents → the keys that they set; a later one wins. None of them chooses the mode where the file does."""
_AUTH_PROVIDER: Final = "AUTH_PROVIDER"
_VARIABLE: Final = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NOTHING: Final[Mapping[str, Json]] = {}


@record
class Loaded:
    """A valid configuration, and where it came from."""

    config: Config
    source: Path | None
    """The file; None: the built-in defaults."""
    folder: Path
    """The folder that relative paths of the configuration start at: the file's, or the one that it was loaded in."""
    home: Path
    """The folder of the state; it may not exist yet."""
    workspace: Path
    """The folder that the assistant may read and write; it may not exist yet."""
    notices: tuple[str, ...]
    """A line for each key that was accepted and has no effect."""
    origins: Mapping[KeyPath, str] = field(default_factory=dict[KeyPath, str], repr=False, compare=False)
    """Where each value that is no default came from (the file's path, a variable, "command line"), by its path in the spelling of `plain`."""


def load_config(
    path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Json] = _NOTHING, *, directory: Path | None = None
) -> Loaded:
    """The configuration from `path`, else from the file that `find_file` finds.

    `env`: the environment, for `${NAME}` in the file (behind it: `secrets.env` in the state's folder), and for overrides such as
    NANOBOT_API__PORT=9000 (an empty one counts as not set).
    `overrides`: dotted paths with their values, which win over both. `directory`: the start of relative paths; the current folder by default.
    Raises ConfigError with every problem that was found.
    """
    directory = (directory or Path.cwd()).resolve()
    home = state_home(env)
    source = find_file(path, env, directory, home)
    layers = list(_layers(source, env, overrides))
    channels, tools = with_installed([values for _, values in layers])
    merged = _Merged(own=installed_sections(channels, tools), old_names={**old_names("channels", channels), **old_names("tools", tools)})
    variables = {**read_secrets(home), **env}
    for origin, values in layers:
        merged.add(origin, values, variables if origin == str(source) else None)
    config = _validated(config_with(channels, tools), merged)
    folder = source.parent if source is not None else directory
    workspace = workspace_folder(config.agent.workspace, home, folder)
    check_workspace(workspace, home, source)
    notices = (*merged.notices, *_unsupported(config), *_misspelt(env))
    return Loaded(config=config, source=source, folder=folder, home=home, workspace=workspace, notices=notices, origins=merged.origins)


def _layers(source: Path | None, env: Mapping[str, str], overrides: Mapping[str, Json]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """(origin, values) of everything that was configured; a later layer wins."""
    if provider := env.get(_AUTH_PROVIDER):  # NodeTool's, below the file: a stray variable must not open what the file closes
        yield _AUTH_PROVIDER, _nested(["auth", "mode"], provider)
    yield str(source), moved(read_file(source)) if source is not None else {}
    for name, path in _OTHER_NAMES.items():
        if value := env.get(name):
            yield name, _nested(list(path), value)
    for name, value in sorted(env.items()):
        keys = name.removeprefix(_PREFIX).lower().split("__")
        if name.startswith(_PREFIX) and len(keys) > 1 and all(keys) and value:
            yield name, _nested(keys, _from_text(value))
    for key, value in overrides.items():
        yield "command line", _nested(key.split("."), value)


def _nested(keys: list[str], value: Json) -> dict[str, Json]:
    for key in reversed(keys):
        value = {key: value}
    return value if isinstance(value, dict) else {}


def _from_text(text: str) -> Json:
    """The value of an environment variable: lists and objects are JSON, everything else is text."""
    if text.lstrip().startswith(("[", "{")):
        with suppress(ValueError):
            return json.loads(text)
    return text


@dataclass(slots=True)
class _Merged:
    """All layers in one object, and what was found on the way."""

    own: frozenset[KeyPath]
    old_names: Mapping[KeyPath, str]
    values: dict[str, Json] = field(default_factory=dict[str, Json])
    origins: dict[KeyPath, str] = field(default_factory=dict[KeyPath, str])
    """By the path of each value, in the spelling of `plain`."""
    notices: dict[str, None] = field(default_factory=dict[str, None])
    problems: list[ConfigProblem] = field(default_factory=list[ConfigProblem])
    nanobots: bool = False
    """Whether a layer holds keys of nanobot: then those that its next release adds are no reason to stop."""

    def add(self, origin: str, values: Mapping[str, Json], variables: Mapping[str, str] | None) -> None:
        """Lay a layer over those before it. `variables`: the values of `${NAME}`; None: nothing is filled in."""
        effective = without_effect(values, self.own, self.notices)
        self.nanobots = self.nanobots or is_nanobots(values, self.own)
        if variables is not None:
            effective = {name: self._filled(value, (name,), origin, variables) for name, value in effective.items()}
        self._lay(self.values, effective, origin, ())

    def _lay(self, below: dict[str, Json], more: Mapping[str, Json], origin: str, path: KeyPath) -> None:
        """Put `more` over `below`, object by object. A name matches one of a lower layer in any spelling: an environment variable can't hold
        "lmStudio" or "my-server"."""
        spelt = tuple(plain(part) for part in path)
        known = {plain(name): name for name in below}
        seen: set[str] = set()
        for given, value in more.items():
            name = self.old_names.get((*spelt, plain(given)), given)
            if name not in below:
                name = known.get(plain(name), name)
            if name in seen:
                self.problems.append(ConfigProblem(path=(*path, name), text="is given twice, in two spellings; keep one", origin=origin))
            seen.add(name)
            inner = below.get(name)
            if not isinstance(value, dict) or not isinstance(inner, dict):
                self.origins[(*spelt, plain(name))] = origin
                inner = dict[str, Json]()
            if isinstance(value, dict):
                self._lay(inner, value, origin, (*path, name))
            below[name] = inner if isinstance(value, dict) else value

    def drop(self, path: KeyPath, value: object) -> None:
        """Remove an unknown key, and the section that it leaves empty. Adds a notice if it asks for something."""
        sections = [self.values]
        names: list[str] = []
        for part in path:
            names.append(next(name for name in sections[-1] if plain(name) == plain(part)))
            sections.append(cast("dict[str, Json]", sections[-1][names[-1]]))
        for section, name in zip(sections[-2::-1], reversed(names), strict=True):
            del section[name]
            if section:
                break
        if not says_nothing(cast("Json", value)):
            self.notices[f"{'.'.join(path)}: unknown here, has no effect (the file has other keys of nanobot)"] = None

    def _filled(self, value: Json, path: KeyPath, origin: str, variables: Mapping[str, str]) -> Json:
        """`value` with every `${NAME}` in its texts replaced."""

        def replaced(found: re.Match[str]) -> str:
            if found[1]:
                return found[1]
            if found[2] not in variables:
                self.problems.append(ConfigProblem(path=path, text=f"the environment variable {found[2]} is not set", origin=origin))
            return variables.get(found[2], "")

        if isinstance(value, str):
            return _VARIABLE.sub(replaced, value)
        if isinstance(value, list):
            return [self._filled(item, (*path, str(index)), origin, variables) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {name: self._filled(item, (*path, name), origin, variables) for name, item in value.items()}
        return value


def _validated(model: type[Config], merged: _Merged) -> Config:
    """Raises ConfigError with the problems of merging and those of the values."""
    error: ValidationError | None = None
    try:
        config = model.model_validate(merged.values)
        if not merged.problems:
            return config
    except ValidationError as invalid:
        error = invalid
        if merged.nanobots and (unknown := list(unheard_of(invalid, model))):
            for path, value in unknown:
                merged.drop(path, value)
            return _validated(model, merged)
    raise ConfigError(*problems_of(error, model, merged.origins, merged.problems))


def _unsupported(config: Config) -> Iterator[str]:
    """Notices for valid settings of nanobot's providers without effect: providers that can't be reached here, and an API that is not spoken."""
    given = {name: settings for name, settings in config.providers.items() if settings != ProviderSettings()}
    keys = [f"providers.{name}" for name, settings in given.items() if name in UNSUPPORTED and not settings.api_base]
    keys += [f"providers.{name}.apiType" for name, settings in given.items() if settings.api_type == "responses"]
    yield from (f"{key}: known from nanobot, has no effect here" for key in keys)


def _misspelt(env: Mapping[str, str]) -> Iterator[str]:
    """A notice for each variable that was meant to override a key, with one underscore where two are needed."""
    for name in sorted(env):
        section, _, rest = name.removeprefix(_PREFIX).partition("_")
        if name.startswith(_PREFIX) and "__" not in name and rest and section.lower() in Config.model_fields:
            yield f"{name}: has no effect; two underscores separate the parts of a key: {_PREFIX}{section}__{rest}"
