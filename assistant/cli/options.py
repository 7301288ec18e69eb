"""The options that several commands take, and what they make of the configuration."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from assistant.config import Loaded, load_config
from assistant.contracts.messages import Json

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration file. Default: NANOBOT_CONFIG, else ./config.json, else ~/.nanobot/config.json.",
    ),
]
Workspace = Annotated[
    Path | None, typer.Option("--workspace", "-w", metavar="FOLDER", help="The folder that the assistant may read and write.")
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME", help='The model, such as "openai/gpt-5-mini". Default: the first within reach.'),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"] | None,
    typer.Option(metavar="LEVEL", help="debug, info, warning or error.  [default: info]", show_default=False),
]


def configured(
    file: Path | None, *, workspace: Path | None = None, model: str | None = None, more: Mapping[str, Json] | None = None
) -> Loaded:
    """The configuration under the command's options. Raises ConfigError."""
    overrides: dict[str, Json] = {**(more or {})}
    if workspace is not None:
        overrides["agents.defaults.workspace"] = str(workspace.expanduser().absolute())
    if model is not None:
        overrides |= {"agents.defaults.model": model, "agents.defaults.modelPreset": None}
    return load_config(file, os.environ, overrides)


def begin_logging(loaded: Loaded) -> None:
    """To stderr."""
    logging.basicConfig(level=loaded.config.log.level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
