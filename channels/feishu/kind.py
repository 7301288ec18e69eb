"""The kind of channel, without aiohttp."""

import re
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.feishu.settings import FeishuSettings
from channels.settings import check_set

CHAT: Final = re.compile(r"(?:oc|ou)_[0-9A-Za-z]{1,64}")
"""A chat, or a person by their open id."""
PERSON: Final = re.compile(r"ou_[0-9A-Za-z]{1,64}")
MESSAGE: Final = re.compile(r"om_[0-9A-Za-z_-]{1,120}")


def check_address(settings: FeishuSettings, address: Address) -> Address:
    """chat_id: a chat or a person; thread_id: the message that began a topic. Raises InvalidAddress."""
    if not CHAT.fullmatch(address.chat_id):
        raise InvalidAddress("A chat of Feishu is its id (oc_…, which /id shows there) or a person's open id (ou_…).", param="chat_id")
    if address.thread_id is not None and not MESSAGE.fullmatch(address.thread_id):
        raise InvalidAddress("A thread_id of Feishu is the id of the message that began the topic (om_…).", param="thread_id")
    return address


def open_channel(settings: FeishuSettings, context: ChannelContext) -> Channel:
    check_set("feishu", settings, "app_id", "app_secret")
    if not any(settings.secrets[1:]):
        words = "channels.feishu needs encryptKey (better) or verificationToken: without either, calls can't be told from forged ones."
        raise ChannelFailed(words, fatal=True)
    from channels.feishu.adapter import FeishuChannel  # noqa: PLC0415 - aiohttp and cryptography, only where it is enabled

    return FeishuChannel(settings, context)


KIND: Final = ChannelKind(
    name="feishu",
    title="Feishu / Lark",
    about="The bot of a custom app on Feishu or Lark: chats, groups, topics, files, buttons.",
    settings=FeishuSettings,
    check_address=check_address,
    named=lambda settings: sorted(each for each in {*settings.allow_from, *settings.owners} if PERSON.fullmatch(each)),
    open=open_channel,
    needs=(
        Need(key="appId", asks="The app's id (cli_…): open.feishu.cn or open.larksuite.com, the app, Credentials & Basic Info."),
        Need(key="appSecret", asks="The app's secret, beside it.", env="FEISHU_APP_SECRET"),
        Need(key="encryptKey", asks="The Encrypt Key: Events & Callbacks, Encryption Strategy.", env="FEISHU_ENCRYPT_KEY"),
        Need(key="verificationToken", asks="The Verification Token, on the same page.", env="FEISHU_VERIFICATION_TOKEN", optional=True),
        Need(key="domain", asks="feishu (feishu.cn) or lark (larksuite.com).", default="feishu"),
    ),
    called=True,
)
