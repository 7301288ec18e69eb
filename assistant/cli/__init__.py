"""The command line: `nanobot serve | chat | doctor | sessions | config`."""

import warnings

from pydantic import BaseModel
from pydantic.warnings import UnsupportedFieldAttributeWarning

BaseModel.model_config["defer_build"] = True
"""A model's validator is built at its first use: a sixth of the start went into validators (FastAPI's, too) that it does not use."""
warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)
"""FastAPI ignores it, too, where it builds a validator at once."""

from assistant.cli.program import main  # noqa: E402

__all__ = ["main"]
