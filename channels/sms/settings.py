"""The `channels.sms` section of the configuration."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from assistant.contracts.channels import ChannelSettings, SenderId
from channels.settings import OptionalText, SecretText

_NOT_A_DIGIT: Final = re.compile(r"[\s()./-]")
_NUMBER: Final = re.compile(r"\+?[0-9]{3,15}")


def number_of(text: str) -> str | None:
    """A phone number as Twilio writes it: "+49 170 1234567" is "+491701234567". None: it is none."""
    found = _NOT_A_DIGIT.sub("", text)
    return found if _NUMBER.fullmatch(found) else None


Phone = Annotated[SenderId, AfterValidator(lambda value: number_of(value) or value)]


class SmsSettings(ChannelSettings):
    """A phone number at Twilio. `allowFrom` and `owners` hold phone numbers with the country's code; a number can change hands, and its sender can be
    forged in some networks."""

    allow_from: tuple[Phone, ...] = ()
    """Phone numbers of senders who may write: `"+491701234567"`. Empty: only paired senders. `"*"`: everybody."""
    owners: tuple[Phone, ...] = ()
    """Those who may use the owner's commands; they may write, too."""
    account_sid: str = ""
    """The account: `AC…`."""
    auth_token: SecretText = None
    """Its Auth Token, which also signs what Twilio sends."""
    number: str = ""
    """The number that the assistant writes from (`"+15550783881"`), or a messaging service (`MG…`)."""
    public_url: OptionalText = None
    """The address that Twilio calls, exactly as it was typed there: `"https://example.org/channels/sms"`. Twilio signs it, and reports there which
    messages arrived. null: as the call came, and nothing is reported."""
    most_messages: Annotated[int, Field(ge=1, le=100)] | None = None
    """Messages that an answer may take; what is longer is cut, and says so. null: as many as it needs. Each costs its parts: 153 characters, or 67
    where it holds a sign that is in no SMS alphabet (an emoji, a letter of most scripts)."""
    api_base: str = "https://api.twilio.com"
    """Where Twilio's API is."""
    proxy: OptionalText = None
    """A proxy: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. null: what the environment says (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
