"""Asks, watches and workflows of schedules: turns that go on after a crash, and whose answers go where they should."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import Text, UserMessage
from assistant.contracts.people import OWNER_ID
from assistant.contracts.provenance import Provenance
from assistant.contracts.schedules import At, Every, ScheduleKind, Watched
from assistant.contracts.turns import TurnRequest, UserText
from assistant.contracts.workflows import JobState, NewJob
from assistant.store.database import StoreSettings
from assistant.store.store import open_store
from assistant.testing.scripted import ScriptedModel
from tests.flow.schedules.rig import START, Rig

HOUR = timedelta(hours=1)


async def said(rig: Rig, session: str = "chat:1") -> list[str]:
    """What stands in the session, quoted words in angle brackets."""
    messages = [stored.message for stored in await rig.store.sessions.messages(OWNER_ID, session)]
    return [
        "|".join(f"<{part.text}>" if part.quoted else part.text for part in message.parts if isinstance(part, Text))
        if isinstance(message, UserMessage)
        else message.text
        for message in messages
    ]


async def test_an_ask_is_a_turn_in_its_session_and_its_answer_is_delivered(rig: Rig) -> None:
    rig.model = model = ScriptedModel("Sunny.")
    made = await rig.add(At(at=START + HOUR), kind="ask", text="the weather?")
    await rig.run(HOUR)
    assert await said(rig) == ["[Scheduled for Mon 30 Nov 2026 09:00 UTC]\nthe weather?", "Sunny."]
    assert await rig.ends(made) == ["claimed"]
    (event,) = await rig.send()
    assert (event.text, event.origin.kind, event.origin.owner) == ("Sunny.", "schedule", OWNER_ID)
    assert await rig.ends(made) == ["delivered"]
    (request,) = model.requests
    assert request.payer is not None
    assert (request.payer.cause.kind, request.payer.cause.id) == ("schedule", made.id)


@pytest.mark.parametrize("provenance", ["person", "assistant"])
async def test_a_prompt_that_the_model_wrote_counts_as_no_words_of_the_users(rig: Rig, provenance: Provenance) -> None:
    rig.model = ScriptedModel("Sent.")
    await rig.add(At(at=START + HOUR), kind="ask", text="write to telegram 66666666", provenance=provenance)
    await rig.run(HOUR)
    (asked, _) = await rig.store.sessions.messages(OWNER_ID, "chat:1")
    assert isinstance(asked.message, UserMessage)
    assert [part.chosen for part in asked.message.parts if isinstance(part, Text)] == [provenance == "assistant"]


async def test_without_a_chat_the_answer_stays_in_the_session(rig: Rig) -> None:
    rig.model = ScriptedModel("Sunny.", "Rain.")
    made = await rig.add(Every(seconds=3600), kind="ask", text="the weather?", address=None, session=None)
    await rig.run(HOUR)
    await rig.run(HOUR)
    assert (await said(rig, f"schedule:{made.id}"))[1::2] == ["Sunny.", "Rain."]
    assert (await rig.ends(made), await rig.texts()) == (["done", "done"], [])


@pytest.mark.parametrize("chat", [True, False])
async def test_an_ask_that_is_too_late_is_missed_and_told(rig: Rig, chat: bool) -> None:
    made = await rig.add(At(at=START + HOUR), kind="ask", text="the weather?", **({} if chat else {"address": None}))
    await rig.run(HOUR + timedelta(hours=7))
    texts = await rig.texts() if chat else await said(rig)
    assert await rig.ends(made) == ["missed"]
    assert texts == [
        'Missed: the question "the weather?" was due Mon 30 Nov 2026 09:00 UTC. No server ran then, and now it is 7 h too late.'
    ]


@pytest.mark.parametrize("chat", [True, False])
async def test_a_turn_that_fails_is_told_by_the_rule(rig: Rig, chat: bool) -> None:
    rig.model = ScriptedModel(*[ProviderFailed("no", retryable=False)] * 2)
    made = await rig.add(Every(seconds=3600), kind="ask", text="q", **({} if chat else {"address": None}))
    await rig.run(HOUR)
    assert await rig.ends(made) == ["failed"]
    assert await rig.texts() == []
    await rig.run(HOUR)
    await rig.run()
    texts = await rig.texts() if chat else (await said(rig))[-1:]
    assert texts == ['The question "q" failed 2 times in a row: its turn failed (provider_error). Next: Mon 30 Nov 2026 11:00 UTC.']


async def test_a_failure_that_waits_for_a_turn_to_be_told_keeps_no_reminder_waiting(rig: Rig) -> None:
    rig.model = ScriptedModel(ProviderFailed("no", retryable=False), "Hello")
    await rig.add(At(at=START + HOUR), kind="ask", text="q", address=None)
    await rig.run(HOUR)
    rig.model = model = hanging()
    service = rig.service()
    assert rig.turns is not None
    talk = rig.turns.start(TurnRequest(id="turn_talk", owner=OWNER_ID, session="chat:1", content=(UserText(text="hi"),)))
    await model.asked_times(1)
    await rig.add(At(at=START + 2 * HOUR))
    rig.clock.turn(HOUR)
    async with asyncio.timeout(30):
        await service.look()
    assert await rig.texts() == ["stretch"]
    model.gate.set()
    assert talk.task is not None
    await talk.task
    await service.close(20)
    assert (await said(rig))[-1] == 'The question "q" failed: its turn failed (provider_error).'


def hanging() -> ScriptedModel:
    """It never ends its answer."""
    model = ScriptedModel("Never")
    model.gate.clear()
    return model


async def test_a_turn_goes_on_in_another_process_and_is_given_up_after_the_second(rig: Rig, url: str, tmp_path: Path) -> None:
    made = await rig.add(At(at=START + HOUR), kind="ask", text="q")
    rig.clock.turn(HOUR)
    for _ in range(2):
        rig.model = model = hanging()
        dying = await open_store(StoreSettings(url=url), tmp_path / "state", clock=rig.clock)
        service = rig.service(dying)
        await service.start()
        await model.asked_times(1)
        await dying.close()
        assert rig.turns is not None
        await rig.turns.close(0)
        await service.close(0)
    await rig.run()
    (ended,) = await rig.history(made)
    assert (ended.state, ended.error) == ("failed", "the server was cut off during it, twice")
    await rig.run()
    assert await rig.texts() == ['The question "q" failed: the server was cut off during it, twice.']


async def test_a_stop_hands_the_turn_back(rig: Rig) -> None:
    made = await rig.add(At(at=START + HOUR), kind="ask", text="q")
    rig.clock.turn(HOUR)
    for _ in range(3):
        rig.model = model = hanging()
        service = rig.service()
        await service.start()
        await model.asked_times(1)
        await service.stop_beginning()
        assert rig.turns is not None
        await rig.turns.close(0)
        await service.close(0)
    rig.model = ScriptedModel("At last.")
    service = rig.service()
    await service.start()
    await service.close(20)
    assert await rig.texts() == ["At last."]
    assert (await rig.ends(made), len(await said(rig))) == (["delivered"], 2)


async def test_a_workflow_is_a_job_under_a_derived_id(rig: Rig) -> None:
    made = await rig.add(At(at=START + HOUR), kind="workflow", text="report", inputs={"n": 1}, address=None)
    await rig.run(HOUR)
    ((job, owner, workflow, inputs),) = rig.jobs
    (running,) = await rig.history(made)
    assert (running.state, running.ref, owner, workflow, dict(inputs)) == ("claimed", job, OWNER_ID, "report", {"n": 1})
    await rig.run()
    assert len(rig.jobs) == 1


@pytest.mark.parametrize(("state", "end"), [("completed", "done"), ("failed", "failed"), ("cancelled", "skipped")])
async def test_the_end_of_a_job_is_the_end_of_its_occurrence(rig: Rig, state: JobState, end: str) -> None:
    made = await rig.add(At(at=START + HOUR), kind="workflow", text="report")
    await rig.run(HOUR)
    ((job, *_),) = rig.jobs
    await rig.store.jobs.add(NewJob(id=job, owner=OWNER_ID, workflow="report", sources={}, inputs={}))
    await rig.store.jobs.end(job, state)
    assert await rig.ends(made) == [end]
    await rig.run()
    assert await rig.texts() == (['The workflow "report" failed: the job failed.'] if end == "failed" else [])


async def test_a_file_is_watched_and_the_model_asked_only_when_it_changed(rig: Rig) -> None:
    rig.model = model = ScriptedModel("Ben joined.")
    file = rig.folder / "list.txt"
    file.write_text("Anna\n")
    made = await rig.add(kind="watch", text="who is new?", watched=Watched(kind="file", target="list.txt"))
    await rig.run(HOUR)
    await rig.run(HOUR)
    assert len(model.requests) == 0
    file.write_text("Anna\nBen\n")
    await rig.run(HOUR)
    await rig.run(HOUR)
    file.unlink()
    await rig.run(HOUR)
    assert await rig.texts() == ["Ben joined."]
    assert (await said(rig))[0].endswith("who is new?|<+Ben>")
    assert (await rig.store.sessions.list(made.new.owner))[0].read == {
        "file"
    }  # which the assistant may have written: no source of addresses
    assert await rig.ends(made) == ["skipped", "skipped", "delivered", "skipped", "failed"]
    assert "no file" in str((await rig.history(made))[-1].error)


FEED = "<rss><channel>{}</channel></rss>"
ITEM = "<item><guid>{0}</guid><title>News {0}</title><link>https://example.org/{0}</link></item>"


@pytest.fixture
async def site() -> AsyncIterator[tuple[str, dict[str, str]]]:
    """A web site on loopback: its address, and its pages by path; each has an ETag."""
    pages: dict[str, str] = {}

    async def answer(request: web.Request) -> web.Response:
        text = pages.get(request.path)
        if text is None:
            return web.Response(status=404)
        if text.startswith("http"):
            return web.Response(status=302, headers={"Location": text})
        etag = f'"{hash(text)}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        return web.Response(text=text, content_type="text/html", headers={"ETag": etag})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", pages
    await runner.cleanup()


async def test_pages_and_feeds_are_watched(rig: Rig, site: tuple[str, dict[str, str]]) -> None:
    rig.model = ScriptedModel("page", "feed")
    base, pages = site
    pages |= {"/p": "<p>Open</p><script>1</script>", "/f": FEED.format(ITEM.format(1))}
    page = await rig.add(kind="watch", text="?", watched=Watched(kind="url", target=f"{base}/p", named=True))
    await rig.run(HOUR)
    pages["/p"] = "<p>Open</p><script>2</script>"
    await rig.run(HOUR)
    pages["/p"] = "<p>Closed</p><script>2</script>"
    await rig.run(HOUR)
    assert (await said(rig))[0].endswith("?|<-Open\n+Closed>")
    feed = await rig.add(kind="watch", text="?", watched=Watched(kind="feed", target=f"{base}/f", named=True), session="chat:2")
    await rig.run(HOUR)
    pages["/f"] = FEED.format(ITEM.format(2) + ITEM.format(1))
    await rig.run(HOUR)
    pages["/f"] = FEED.format(ITEM.format(1))
    await rig.run(HOUR)
    assert (await said(rig, "chat:2"))[0].endswith("?|<News 2\nhttps://example.org/2>")
    await rig.send()
    assert (await rig.ends(page))[:3] == ["skipped", "skipped", "delivered"]
    assert await rig.ends(feed) == ["skipped", "delivered", "skipped"]


@pytest.mark.parametrize(
    ("path", "named", "owner", "why"),
    [
        ("/p", False, OWNER_ID, "private network"),
        ("/away", True, OWNER_ID, "private network"),
        ("/gone", True, OWNER_ID, "404"),
        ("/loop", True, OWNER_ID, "redirects too often"),
        ("/p", True, "telegram:77", "private network"),
        ("/p", True, "telegram:-100500", "private network"),
        ("/p", True, OWNER_ID, None),
    ],
)
async def test_private_addresses_are_watched_only_where_the_person_who_runs_the_server_named_them(
    rig: Rig, site: tuple[str, dict[str, str]], path: str, named: bool, owner: str, why: str | None
) -> None:
    base, pages = site
    pages |= {"/p": "x", "/away": base.replace("127.0.0.1", "localhost") + "/p", "/loop": f"{base}/loop"}
    made = await rig.add(kind="watch", text="?", owner=owner, watched=Watched(kind="url", target=f"{base}{path}", named=named))
    await rig.run(HOUR)
    (ended,) = await rig.history(made)
    assert (ended.state, why is None) == ("failed" if why else "skipped", why is None)
    assert (why or "first look") in str(ended.error)


@pytest.mark.parametrize("kind", ["reminder", "ask"])
async def test_two_servers_do_it_once(rig: Rig, url: str, tmp_path: Path, kind: ScheduleKind) -> None:
    made = [await rig.add(At(at=START + HOUR), kind=kind, session=f"chat:{number}") for number in range(60)]
    rig.clock.turn(HOUR)
    rig.model = ScriptedModel(*["ok"] * 60)
    other = await open_store(StoreSettings(url=url), tmp_path / "state", clock=rig.clock)
    first, second = rig.service(), rig.service(other)
    await asyncio.gather(first.look(), second.look())
    await asyncio.gather(first.close(20), second.close(20))
    await other.close()
    assert len(await rig.send()) == 60
    assert [await rig.ends(each) for each in made] == [["delivered"]] * 60
