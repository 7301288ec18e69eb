"""The `channels.apprise` section of the configuration."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr

from assistant.contracts.channels import ChannelSettings, SenderId

SERVICE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def _service_name(name: str) -> str:
    if not SERVICE_NAME.fullmatch(name):
        raise ValueError("the name of a service has lower-case letters, digits, - and _")
    return name


class AppriseSettings(ChannelSettings):
    """Any service that Apprise can send to (https://appriseit.com/services/), each under a name. Nothing comes in."""

    allow_from: tuple[SenderId, ...] = ()
    """Without effect: nothing comes in here."""
    services: dict[Annotated[str, AfterValidator(_service_name)], SecretStr] = Field(default_factory=dict)
    """Apprise's URL of each service, by name: `apprise:<name>` is written to. They hold secrets: `"${NTFY_URL}"` takes one from the
    environment."""
