"""Out: parts as Discord takes them."""

from tests.flow.discord.conftest import Rig, sending


async def test_a_message_arrives_and_its_receipt_is_discords(rig: Rig) -> None:
    world = rig.api.world
    chat = world.dm(world.user("alice"))
    async with rig.open() as channel:
        receipt = await channel.send(sending(chat))
        again = await channel.send(sending(chat))
    [entry] = world.ledger
    assert (entry.content, entry.nonce, entry.message_id) == ("Hello.", "key1", receipt.message_id)
    assert again == receipt
    assert entry.body["flags"] == 4
    assert entry.body["enforce_nonce"] is True


async def test_words_come_in(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    async with rig.running() as (_, kept):
        world.write(world.dm(alice), alice, "hi")
        [message] = await kept.has("hi")
    assert message.private
