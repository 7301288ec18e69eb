"""The command line: `nanobot serve | chat | doctor | sessions | config`."""

from pydantic import BaseModel

BaseModel.model_config["defer_build"] = True
"""A model's validator is built at its first use: a sixth of the start went into validators (FastAPI's, too) that it does not use."""

from assistant.cli.program import main  # noqa: E402

__all__ = ["main"]
