"""The `channels.whatsapp` section of the configuration."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from assistant.contracts.channels import ChannelSettings, SenderId
from assistant.contracts.util import Settings
from channels.settings import OptionalText, SecretText

_NOT_A_DIGIT: Final = re.compile(r"[\s+()./-]")


def bare(number: str) -> str:
    """A phone number as WhatsApp's ids have it: "+49 170 1234567" is "491701234567"."""
    found = _NOT_A_DIGIT.sub("", number)
    return found if found.isascii() and found.isdigit() else number.strip()


Person = Annotated[SenderId, AfterValidator(bare)]


class WhatsAppTemplate(Settings):
    """A template that Meta has approved: the only message that is taken more than 24 hours after a person wrote."""

    name: str = Field(pattern=r"^[a-z0-9_]{1,512}$")
    """Its name in the WhatsApp Manager. Its body has one parameter, which becomes the text."""
    language: str = "en"
    """The language that it was approved in: `"en"`, `"pt_BR"`."""
    most: Annotated[int, Field(ge=1, le=1024)] = 900
    """Characters of the text that are put into it; a template's whole body has at most 1,024."""


class WhatsAppSettings(ChannelSettings):
    """A business number on WhatsApp's Cloud API. `allowFrom` and `owners` hold phone numbers with the country's code, or the ids (`"US.1349…"`) of
    people who hide theirs behind a user name. Groups are not in the Cloud API."""

    allow_from: tuple[Person, ...] = ()
    """Phone numbers (or ids) of senders who may write: `"491701234567"`. Empty: only paired senders. `"*"`: everybody."""
    owners: tuple[Person, ...] = ()
    """Those who may use the owner's commands; they may write, too."""
    phone_number_id: str = Field("", pattern=r"^[0-9]*$", coerce_numbers_to_str=True)
    """The id (not the number) of the phone number that the assistant writes from."""
    access_token: SecretText = None
    """A permanent token of a system user, with `whatsapp_business_messaging`."""
    app_secret: SecretText = None
    """The app's secret: it signs what WhatsApp sends."""
    verify_token: SecretText = None
    """A word of your own choice, typed into the webhook's form at Meta as well: by it Meta's first call is known."""
    templates: dict[str, WhatsAppTemplate] = Field(default_factory=dict[str, WhatsAppTemplate])
    """Templates by their use. `reopen`: for a text more than 24 hours after the person wrote. Without it such a text is refused."""
    react_emoji: str = "👀"
    """The reaction to an accepted message; empty: none."""
    link_previews: bool = False
    """Whether WhatsApp shows previews of links; it fetches the pages for that, without anybody's click."""
    api_base: str = "https://graph.facebook.com/v24.0"
    """Where the Graph API is, with its version."""
    proxy: OptionalText = None
    """A proxy: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. null: what the environment says (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
