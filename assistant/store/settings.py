"""What can be set of the store."""

from typing import Annotated

from pydantic import Field

from assistant.contracts.util import Settings


class StoreSettings(Settings):
    """`store` in the configuration."""

    url: Annotated[str | None, Field(pattern=r"^(sqlite:///[^?]+|postgresql(\+psycopg)?://.+)$", repr=False)] = None
    """`sqlite:///<path>` (relative to where the server was started; absolute: four slashes) or `postgresql://…`.

    None: nanobot.db in the state folder.
    """


class AttachmentSettings(Settings):
    """`attachments` in the configuration."""

    keep_days: Annotated[int, Field(ge=0)] = 0
    """Days after which an attachment is removed even though its session is still there; 0: kept as long as the session."""
