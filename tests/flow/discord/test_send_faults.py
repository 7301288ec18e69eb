"""Out: failures, and how the outbox settles them."""

import asyncio
import contextlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from discord.http import Route

from assistant.contracts.channels import ChannelFailed, SendFailed, SendLater, SendRefused, SendUnclear
from channels.discord.rest import Waits
from tests.doubles.discord_api.server import DiscordApi
from tests.doubles.discord_api.shapes import Payload
from tests.doubles.live_server import free_port
from tests.flow.discord.conftest import QUICK, Rig, sending

POSTS = "POST /channels/{}/messages"


@pytest.fixture
def chat(rig: Rig) -> Payload:
    return rig.api.world.dm(rig.api.world.user("alice"))


def asked(rig: Rig, chat: Payload) -> int:
    return rig.api.faults.seen.count(POSTS.format(chat["id"]))


async def failure(rig: Rig, chat: Payload | str, waits: Waits = QUICK) -> SendFailed:
    async with rig.open(waits) as channel:
        with pytest.raises(SendFailed) as failed:
            await channel.send(sending(chat))
    return failed.value


async def test_what_can_never_arrive_is_refused_at_once(rig: Rig, chat: Payload) -> None:
    world = rig.api.world
    room = world.text_channel(world.guild("Home"), "hidden")
    world.hidden.add(room["id"])
    world.closed_dms.add(chat["recipients"][0]["id"])
    codes = {"forbidden": room, "blocked": chat, "chat_not_found": "1187654321098765432"}
    for code, place in codes.items():
        error = await failure(rig, place)
        assert isinstance(error, SendRefused)
        assert error.trouble.code == code
    assert world.ledger == []


async def test_a_flood_wait_is_told_and_not_slept_through(rig: Rig, chat: Payload) -> None:
    rig.api.faults.too_many(30)
    error = await failure(rig, chat)
    assert isinstance(error, SendLater)
    assert (error.trouble.code, error.retry_after, error.counts, error.whole_channel) == ("flood_wait", 30, False, False)
    rig.api.faults.too_many(40, everywhere=True)
    error = await failure(rig, chat)
    assert isinstance(error, SendLater)
    assert (error.retry_after, error.counts, error.whole_channel) == (40, False, True)
    assert asked(rig, chat) == 2


async def test_a_limit_said_in_headers_is_kept_without_asking(rig: Rig, chat: Payload) -> None:
    rig.api.rest.limits.amount, rig.api.rest.limits.seconds = 3, 300
    async with rig.open() as channel:
        for number in range(3):
            await channel.send(sending(chat, key=f"key{number}"))
        with pytest.raises(SendLater) as later:
            await channel.send(sending(chat, key="key3"))
        assert later.value.retry_after is not None
        assert 200 < later.value.retry_after <= 300
        other = rig.api.world.dm(rig.api.world.user("bob"))
        await channel.send(sending(other, key="key4"))
    assert rig.api.rest.limits.refused == 0
    assert len(rig.api.world.ledger) == 4


async def test_a_short_limit_is_waited_for(rig: Rig, chat: Payload) -> None:
    rig.api.rest.limits.amount, rig.api.rest.limits.seconds = 2, 0.2
    async with rig.open() as channel:
        for number in range(5):
            await channel.send(sending(chat, key=f"key{number}"))
    assert len(rig.api.world.ledger) == 5


async def test_the_repeats_that_discord_py_makes_of_itself_give_one_message(rig: Rig, chat: Payload) -> None:
    rig.api.faults.add("answer", status=502)
    async with rig.open() as channel:
        await channel.send(sending(chat))
    assert asked(rig, chat) == 2
    assert len(rig.api.world.ledger) == 1


async def test_an_error_of_the_server_leaves_open_whether_it_arrived(rig: Rig, chat: Payload) -> None:
    rig.api.faults.add("answer", status=503)
    error = await failure(rig, chat)
    assert isinstance(error, SendUnclear)
    assert error.trouble.code == "server_error"


async def test_a_flood_wait_after_an_error_of_the_server_leaves_it_open_too(rig: Rig, chat: Payload) -> None:
    rig.api.faults.add("answer", status=502)
    rig.api.faults.too_many(30)
    assert isinstance(await failure(rig, chat), SendUnclear)


async def test_an_error_of_the_server_before_the_message_is_on_its_way_is_no_doubt(rig: Rig, chat: Payload) -> None:
    rig.api.faults.add("answer", "GET /users/@me", status=503)
    assert isinstance(await failure(rig, chat), SendLater)


@pytest.mark.parametrize(("kind", "arrived"), [("reset", 0), ("reset_after", 1), ("hang", 0), ("hang_after", 1)])
async def test_no_answer_is_unclear_and_the_same_key_sorts_it_out(rig: Rig, chat: Payload, kind: str, arrived: int) -> None:
    rig.api.faults.add(kind, POSTS.format(chat["id"]))  # pyright: ignore[reportArgumentType]
    error = await failure(rig, chat, Waits(send=1.5))
    assert isinstance(error, SendUnclear)
    assert len(rig.api.world.ledger) == arrived
    async with rig.open() as channel:
        await channel.send(sending(chat))
    assert len(rig.api.world.ledger) == 1


async def test_no_connection_says_nothing_against_the_message(rig: Rig, chat: Payload) -> None:
    async with DiscordApi(port=free_port()) as gone:
        base = gone.settings()["apiBase"]
    async with rig.open(apiBase=base) as channel:
        with pytest.raises(SendLater) as later:
            await channel.send(sending(chat))
    assert (later.value.trouble.code, later.value.counts) == ("network", False)


async def test_a_connection_that_breaks_before_the_message_is_on_its_way_is_no_doubt(rig: Rig, chat: Payload) -> None:
    rig.api.faults.add("reset", "GET /users/@me")
    error = await failure(rig, chat)
    assert isinstance(error, SendLater)


async def test_a_refused_token_waits_for_its_mending_and_is_not_tried_on_and_on(rig: Rig, chat: Payload) -> None:
    async with rig.open(token="wrong") as channel:
        for _ in range(3):
            with pytest.raises(SendLater, match=r"channels\.discord\.token") as later:
                await channel.send(sending(chat))
            assert (later.value.trouble.code, later.value.counts, later.value.whole_channel) == ("unauthorized", False, True)
    assert rig.api.faults.seen == ["GET /users/@me"]


async def test_a_token_that_is_revoked_later_is_told(rig: Rig, chat: Payload) -> None:
    async with rig.open() as channel:
        await channel.send(sending(chat))
        await rig.api.revoke()
        with pytest.raises(SendLater) as later:
            await channel.send(sending(chat, key="key2"))
    assert later.value.trouble.code == "unauthorized"


@pytest.mark.parametrize("wait", ["soon", "nan", "inf", "-5", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_a_wait_that_is_none_is_not_obeyed(rig: Rig, chat: Payload, wait: str) -> None:
    headers = {"Retry-After": wait, "X-RateLimit-Scope": "global"}
    rig.api.faults.add("answer", status=403, body="<html>Access denied</html>", headers=headers)
    error = await failure(rig, chat)
    assert isinstance(error, SendLater)
    assert (error.trouble.code, error.retry_after) == ("turned_away", 600)


@pytest.mark.parametrize("status", [403, 429])
async def test_being_turned_away_before_discord_stops_the_whole_channel(rig: Rig, chat: Payload, status: int) -> None:
    rig.api.faults.add("answer", status=status, body="<html>Access denied</html>")
    error = await failure(rig, chat)
    assert isinstance(error, SendLater)
    assert (error.trouble.code, error.retry_after, error.counts, error.whole_channel) == ("turned_away", 600, False, True)


async def test_after_very_many_refusals_nothing_is_asked_any_more(rig: Rig, chat: Payload) -> None:
    rig.api.world.hidden.add(chat["id"])
    async with rig.open() as channel:
        results: list[object] = []
        for _ in range(20):
            results += await asyncio.gather(*[channel.send(sending(chat)) for _ in range(51)], return_exceptions=True)
        before = len(rig.api.faults.seen)
        with pytest.raises(SendLater) as later:
            await channel.send(sending(chat))
        assert later.value.whole_channel
        assert len(rig.api.faults.seen) == before
    assert any(isinstance(each, SendRefused) for each in results)


async def test_two_adapters_in_a_process_never_meet(rig: Rig) -> None:
    base = Route.BASE
    async with DiscordApi() as other, rig.open() as channel, Rig(other, rig.media).open() as second:
        chats = [api.world.dm(api.world.user("alice")) for api in (rig.api, other)]
        await asyncio.gather(channel.send(sending(chats[0], "one")), second.send(sending(chats[1], "two")))
        assert [entry.content for entry in rig.api.world.ledger] == ["one"]
        assert [entry.content for entry in other.world.ledger] == ["two"]
    assert base == Route.BASE


def test_the_kind_is_known_without_discord_py() -> None:
    code = "import sys, channels.discord.kind; raise SystemExit('discord' in sys.modules or 'aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


STRANGE: list[object] = [None, [], {}, "x", 7, {"id": None}, {"id": 7}, {"id": ["1"]}, {"a": [{"b": 1}]}]


@pytest.mark.parametrize("body", STRANGE, ids=range(len(STRANGE)))
@pytest.mark.parametrize("on", ["GET /users/@me", "GET /channels/.*", "POST /channels/.*/messages", "POST /users/@me/channels"])
async def test_an_answer_of_any_shape_is_a_failed_send(rig: Rig, on: str, body: object) -> None:
    world = rig.api.world
    user = world.user("alice")
    rig.api.faults.add("answer", on, times=100, status=200, body=body or "null")
    async with rig.open() as channel:
        for chat, thread in ((world.dm(user), None), (user["id"], None), (world.dm(user), "1187654321098765432")):
            with contextlib.suppress(SendFailed):
                await channel.send(sending(chat, thread=thread, again=datetime.now(UTC) - timedelta(minutes=5)))
        with contextlib.suppress(ChannelFailed):
            await channel.identity()


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ("30", 30, 30),
        ("1.5", 1.5, 1.5),
        ("in an hour", 3000, 3600),
        ("-5", 600, 600),
        ("nan", 600, 600),
        ("inf", 600, 600),
        ("soon", 600, 600),
        ("9" * 400, 600, 600),
        ("9999999", 86_400, 86_400),
        ("²", 600, 600),
    ],
    ids=["seconds", "part", "date", "negative", "nan", "inf", "word", "endless", "huge", "power"],
)
async def test_a_proxy_before_discord_says_how_long_to_wait(rig: Rig, told: str, least: float, most: float) -> None:
    if told == "in an hour":
        told = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    rig.api.faults.add("answer", status=429, body="<html>banned</html>", headers={"Retry-After": told})
    async with rig.open() as channel:
        with pytest.raises(SendLater) as later:
            await channel.send(sending(rig.api.world.dm(rig.api.world.user("alice"))))
    assert later.value.trouble.code == "turned_away"
    assert least <= (later.value.retry_after or 0) <= most


@pytest.mark.parametrize("reset", ["nan", "inf", "-1", "soon", "1e300"])
async def test_a_limit_without_a_time_holds_up_nothing(rig: Rig, reset: str) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": reset}
    rig.api.faults.add("answer", status=404, body={"message": "no", "code": 10003}, headers=headers)
    chat = rig.api.world.dm(rig.api.world.user("alice"))
    async with rig.open() as channel:
        with pytest.raises(SendRefused):
            await channel.send(sending(chat))
        if reset != "1e300":
            await channel.send(sending(chat))
            assert len(rig.api.world.ledger) == 1
        else:
            with pytest.raises(SendLater) as later:
                await channel.send(sending(chat))
            assert (later.value.retry_after or 0) <= 3600


NESTED: dict[str, Any] = json.loads('{"error": ' * 900 + '{"_errors": [{"message": "deep"}, 7]}' + "}" * 900)


@pytest.mark.parametrize(
    "body", [{"code": {"a": 1}, "message": ["x"], "errors": "x"}, {"error": NESTED, "errors": NESTED}, NESTED, []], ids=range(4)
)
async def test_an_error_of_any_shape_is_refused(rig: Rig, body: Any) -> None:
    rig.api.faults.add("answer", times=100, status=400, body=body)
    async with rig.open() as channel:
        with pytest.raises(SendRefused) as refused:
            await channel.send(sending(rig.api.world.dm(rig.api.world.user("alice"))))
    assert len(str(refused.value)) < 3000
