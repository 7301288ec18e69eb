"""Being called by Telegram instead of asking."""

from typing import Any

import pytest

from assistant.contracts.channels import ChannelFailed
from tests.doubles.live_server import free_port
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.telegram.rig import Rig


def webhook(**more: Any) -> dict[str, Any]:
    port = free_port()
    return {"mode": "webhook", "webhookUrl": f"http://127.0.0.1:{port}/telegram", "webhookListenPort": port, **more}


async def test_a_call_is_answered_200_when_its_message_is_kept(rig: Rig, server: TelegramServer):
    await rig.run(**webhook())
    server.say(42, "hello")
    server.say(43, "there")
    rig.link.refuse = 1
    assert sorted(await server.push_all()) == [200, 503]
    assert await server.push_all() == [200]
    assert {message.text for message in rig.link.messages} == {"hello", "there"}


async def test_only_telegram_can_call(rig: Rig, server: TelegramServer):
    await rig.run(**webhook(webhookSecretToken="a-secret"))
    assert server.webhook["secret_token"] == "a-secret"
    server.say(42, "hello")
    assert await server.push(server.updates[0], secret="a-guess") == 403
    assert await server.push(server.updates[0], secret="") == 403
    assert rig.link.messages == []


async def test_without_a_secret_in_the_settings_there_is_one_all_the_same(rig: Rig, server: TelegramServer):
    await rig.run(**webhook())
    assert len(server.webhook["secret_token"]) >= 32


async def test_an_album_in_several_calls_is_one_message(rig: Rig, server: TelegramServer):
    await rig.run(**webhook())
    server.album(42, ["one", None, "three"])
    assert await server.push_all() == [200, 200, 200]
    (message,) = rig.link.messages
    assert (message.text, len(message.files)) == ("one\nthree", 3)


async def test_an_album_that_is_not_kept_is_called_for_again(rig: Rig, server: TelegramServer):
    await rig.run(**webhook())
    server.album(42, ["one", "two"])
    rig.link.refuse = 1
    assert await server.push_all() == [503, 503]
    assert await server.push_all() == [200, 200]
    assert len(rig.link.messages) == 1


async def test_calls_that_make_no_sense_are_answered_and_forgotten(rig: Rig, server: TelegramServer):
    await rig.run(**webhook())
    assert await server.push({"update_id": 1, "message": {"message_id": "x"}}) == 200
    assert await server.push({}) == 200
    assert rig.link.messages == []


async def test_a_port_that_is_taken_is_said(rig: Rig, server: TelegramServer):
    settings = webhook()
    await rig.run(**settings)
    with pytest.raises(ChannelFailed, match="can't listen"):
        await rig.start(rig.open(**settings))
