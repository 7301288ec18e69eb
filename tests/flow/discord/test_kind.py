"""The kind: settings, and what an address looks like."""

import pytest
from pydantic import ValidationError

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed
from assistant.contracts.errors import InvalidAddress
from channels.discord.kind import KIND
from channels.discord.settings import DiscordSettings
from tests.doubles.discord_api.server import DiscordThread
from tests.flow.discord.conftest import Path, sending
from tests.flow.media_folder import MediaFolder

CHAT = "1187654321098765432"


def of(**given: object) -> DiscordSettings:
    return DiscordSettings.model_validate(given)


def test_nanobots_own_keys_are_obeyed() -> None:
    theirs = of(
        enabled=True,
        token="t",
        allowFrom=["1"],
        groupPolicy="open",
        readReceiptEmoji="",
        streaming=True,
    )
    assert (theirs.groups, theirs.preview, theirs.react_emoji) == ("all", "edit", "")
    assert (of(groupPolicy="mention").groups, of(streaming=False).preview) == ("mention", "off")
    assert of(allowFrom=[1187654321098765433], token=" ", proxy="").allow_from == ("1187654321098765433",)
    with pytest.raises(ValidationError):
        of(groupPolicy="everybody")


@pytest.mark.parametrize(
    "chat", ["general", "#general", "@alice", "12", "0118765432109876543", "١١٨٧٦٥٤٣٢١٠٩٨٧٦٥٤٣٢", "99999999999999999999"]
)
def test_an_address_is_the_number_of_a_channel(chat: str) -> None:
    address = Address(channel="discord", chat_id=CHAT, thread_id="1187654321098765433")
    assert KIND.check_address(of(), address) == address
    with pytest.raises(InvalidAddress):
        KIND.check_address(of(), Address(channel="discord", chat_id=chat))
    with pytest.raises(InvalidAddress):
        KIND.check_address(of(), Address(channel="discord", chat_id=CHAT, thread_id=chat))


def test_the_configuration_names_channels_and_people() -> None:
    assert list(
        KIND.named(of(allowChannels=[CHAT, "general"], allowFrom=["*", "1187654321098765433"], owners=["1187654321098765434"]))
    ) == [
        CHAT,
        "1187654321098765433",
        "1187654321098765434",
    ]


async def test_without_a_token_nothing_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ChannelFailed, match=r"channels\.discord\.token") as failed:
        KIND.open(of(token=" "), ChannelContext(files=MediaFolder(tmp_path), version="1"))
    assert failed.value.fatal


async def test_the_stand_in_runs_beside_on_a_thread_of_its_own(tmp_path: Path) -> None:
    with DiscordThread() as thread:
        settings = of(**thread.do(lambda discord: discord.settings()))
        chat = thread.do(lambda discord: discord.world.dm(discord.world.user("alice")))
        channel = KIND.open(settings, ChannelContext(files=MediaFolder(tmp_path), version="1"))
        try:
            await channel.send(sending(chat))
        finally:
            await channel.close()
        thread.until(lambda discord: discord.world.ledger)
        assert thread.do(lambda discord: [entry.content for entry in discord.world.ledger]) == ["Hello."]
