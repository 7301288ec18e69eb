"""`files`."""

from typing import Annotated

from pydantic import Field

from assistant.contracts.util import Settings


class FileSettings(Settings):
    """The files of people, in the workspace: a folder for each, and `shared`."""

    quota_mib: Annotated[int, Field(ge=1, le=1_000_000)] = 1024
    """How many MiB each of these folders may hold; what was deleted counts for the 7 days that it is kept."""
