"""The section `approvals` of the configuration."""

from typing import Annotated

from pydantic import Field

from assistant.contracts.util import Settings


class ApprovalSettings(Settings):
    expire_after: Annotated[int, Field(ge=60, le=7 * 86_400)] = 3_600
    """Seconds in which a person can say yes to a call that waits for them. Later it is not run."""
