"""The `deliver` section of the configuration."""

from typing import Annotated, Literal

from pydantic import Field

from assistant.contracts.util import Settings


class DeliverySettings(Settings):
    """How messages go out."""

    expire_after: Annotated[float, Field(gt=0)] = 86_400
    """Seconds after which a message that could not be sent is given up; from its `at`, where it has one."""
    receipt_wait: Annotated[float, Field(ge=0, le=60)] = 5
    """Seconds that the `message` tool (and `nanobot send`) waits for the outcome of a message."""
    ambiguous: Literal["resend", "hold"] = "resend"
    """What to do where it is unknown whether a message arrived (the server died while sending it) and the platform takes no key to
    tell repeats by: `"resend"` (marked `maybe_duplicate`) or `"hold"` (state `unknown`, until you decide)."""
    keep_days: Annotated[int, Field(ge=1)] = 30
    """How long what was sent, failed, expired or was cancelled can be looked up and tried again."""
    rate_limits: bool = True
    """Whether sends are held back to the platforms' own limits; false: for measurements against a stand-in."""
