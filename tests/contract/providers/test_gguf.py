"""A model that is a file, by its ports: who waits, what is stopped, what is ended, what is started again. The worker is a stand-in."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from assistant.contracts.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    NanobotError,
    ProviderFailed,
    ProviderOverloaded,
    ProviderTimeout,
    ShuttingDown,
    UnsupportedContent,
)
from assistant.contracts.messages import AssistantMessage, UserMessage
from assistant.contracts.models import EmbeddingProvider, ModelProvider, ModelRequest, Sampling
from assistant.providers.gguf.engine import Limits
from assistant.providers.gguf.provider import open_gguf
from assistant.providers.registered import RegisteredModel

from .samples import PICTURE, ROUND, TOOL, unheard, user

WORKER = (sys.executable, str(Path(__file__).parent / "stand_in_worker.py"))
PATIENT = Limits(queue=3, idle=60, load=30, silence=30, obey=30, after_failure=60)


def asked(text: str, *, stream: bool = True, sampling: Sampling | None = None) -> ModelRequest:
    return ModelRequest(instructions=(), messages=(user(text),), stream=stream, sampling=sampling or Sampling())


class House:
    """A file, and what answers for it."""

    def __init__(self, folder: Path, name: str = "tiny.gguf", kind: str = "chat", limits: Limits = PATIENT) -> None:
        self.file = folder / name
        self.file.write_bytes(b"GGUF")
        settings = RegisteredModel.model_validate({"path": str(self.file), "type": kind})
        self._writes, self._embeds = open_gguf("tiny", settings, folder, limits=limits, command=WORKER)

    @property
    def writes(self) -> ModelProvider:
        assert self._writes is not None
        return self._writes

    @property
    def embeds(self) -> EmbeddingProvider:
        assert self._embeds is not None
        return self._embeds

    @property
    def workers(self) -> list[int]:
        """The ids of all that were ever started."""
        noted = Path(f"{self.file}.loads")
        return [int(line) for line in noted.read_text().split()] if noted.exists() else []

    async def ask(self, text: str) -> str:
        async with asyncio.timeout(30):
            return (await self.writes.complete(asked(text), unheard)).text

    def begin(self, text: str) -> tuple[asyncio.Task[AssistantMessage], asyncio.Event]:
        """An answer that is under way, and whether its first words came."""
        heard = asyncio.Event()
        return asyncio.create_task(self.writes.complete(asked(text), lambda _: heard.set())), heard

    async def close(self) -> None:
        for opened in (self._writes, self._embeds):
            if opened is not None:
                await opened.close()


Opens = Callable[..., House]


@pytest.fixture
async def opens(tmp_path: Path) -> AsyncGenerator[Opens]:
    made: list[House] = []

    def opened(name: str = "tiny.gguf", kind: str = "chat", limits: Limits = PATIENT) -> House:
        made.append(House(tmp_path, name, kind, limits))
        return made[-1]

    yield opened
    for house in made:
        await house.close()
        assert [pid for pid in house.workers if is_there(pid)] == []


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def has_gone(pid: int) -> None:
    """Until it has ended and was reaped."""
    async with within():
        while is_there(pid):  # noqa: ASYNC110 - nothing rings when another process is reaped
            await asyncio.sleep(0.01)


@asynccontextmanager
async def within(seconds: float = 30) -> AsyncGenerator[None]:
    async with asyncio.timeout(seconds):
        yield


async def fails(call: Awaitable[object], error: type[NanobotError]) -> NanobotError:
    async with within():
        with pytest.raises(error) as caught:
            await call
    return caught.value


async def test_nothing_is_started_before_the_first_request_and_one_worker_serves_all(opens: Opens) -> None:
    house = opens()
    assert house.workers == []
    assert await house.ask("PID") == await house.ask("PID") == str(house.workers[0])
    assert len(house.workers) == 1


async def test_what_is_asked_reaches_the_worker_with_its_roles_and_its_sampling(opens: Opens) -> None:
    request = ModelRequest(
        instructions=("Be kind.", "Be brief."),
        messages=(*ROUND, user("ORDER")),
        sampling=Sampling(temperature=0.5, max_tokens=7, stop=("x",), seed=3, response_format={"type": "json_object"}),
    )
    async with within():
        sent = json.loads((await opens().writes.complete(request, unheard)).text)
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "user", "user", "user"]
    assert sent["messages"][0]["content"] == "Be kind.\n\nBe brief."
    assert 'read_file with {"path": "a"}' in sent["messages"][2]["content"]
    assert "forty-two" in sent["messages"][3]["content"]
    wanted = {name: value for name, value in sent["sampling"].items() if value is not None}
    assert wanted == {"temperature": 0.5, "max_tokens": 7, "stop": ["x"], "seed": 3, "response_format": {"type": "json_object"}}


async def test_an_answer_has_the_workers_count_and_end(opens: Opens) -> None:
    async with within():
        answer = await opens().writes.complete(asked("ECHO length"), unheard)
    assert (answer.text, answer.finish_reason, answer.model) == ("length", "length", "tiny")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.cached_tokens) == (9, 1, 4)


async def test_a_completion_is_asked_with_the_text_as_it_is(opens: Opens) -> None:
    assert await opens(kind="completion").ask("ECHO once upon  a time") == "once upon  a time"


async def test_vectors_come_in_order_and_are_counted(opens: Opens) -> None:
    async with within():
        made = await opens(kind="embedding").embeds.embed(["a", "bb", "ccc"], None)
    assert made.vectors == ((1, 0, 1), (2, 0, 1), (3, 0, 1))
    assert (made.prompt_tokens, made.model) == (9, "tiny")


async def test_a_vector_that_can_not_be_read_is_a_failure(opens: Opens) -> None:
    await fails(opens(kind="embedding").embeds.embed(["a", "UNREADABLE"], None), ProviderFailed)


async def test_an_empty_answer_is_a_failure(opens: Opens) -> None:
    assert "empty" in str(await fails(opens().ask("NOTHING"), ProviderFailed))


@pytest.mark.parametrize(("marker", "error", "param"), [("LONG", ContextLengthExceeded, None), ("ODD", InvalidRequest, "messages")])
async def test_what_the_worker_refuses_is_refused_in_its_words_and_costs_nothing_else(
    opens: Opens, marker: str, error: type[NanobotError], param: str | None
) -> None:
    house = opens()
    refused = await fails(house.ask(marker), error)
    assert refused.message.startswith("The model 'tiny' ")
    assert (type(refused), refused.param) == (error, param)
    await house.ask("hello")
    assert len(house.workers) == 1


async def test_tools_and_pictures_are_refused_before_anything_is_started(opens: Opens) -> None:
    house = opens()
    tools = ModelRequest(instructions=(), messages=(user("hi"),), tools=(TOOL,))
    assert (await fails(house.writes.complete(tools, unheard), InvalidRequest)).param == "tools"
    shown = ModelRequest(instructions=(), messages=(UserMessage(id="msg_1", parts=(PICTURE,)),), images={"att_1": b"\x89PNG"})
    await fails(house.writes.complete(shown, unheard), UnsupportedContent)
    assert house.workers == []
    async with within():
        assert await house.writes.complete(
            ModelRequest(instructions=(), messages=(user("hi"),), tools=(TOOL,), tool_choice="none"), unheard
        )


async def test_more_than_may_wait_are_turned_away_at_once_and_the_others_are_answered_in_order(opens: Opens) -> None:
    house = opens()
    running, heard = house.begin("WAIT")
    async with within():
        await heard.wait()
    order: list[str] = []

    async def waits(name: str) -> None:
        order.append(await house.ask(f"ECHO {name}"))

    waiting = [asyncio.create_task(waits(name)) for name in "abc"]
    await asyncio.sleep(0)
    overloaded = await fails(house.ask("hello"), ProviderOverloaded)
    assert (overloaded.retry_after or 0) >= 1
    running.cancel()
    async with within():
        await asyncio.gather(*waiting)
    assert order == ["a", "b", "c"]
    assert len(house.workers) == 1


async def test_one_who_waits_and_leaves_gives_the_place_back(opens: Opens) -> None:
    house = opens()
    running, heard = house.begin("WAIT")
    async with within():
        await heard.wait()
    gone = [asyncio.create_task(house.ask("PID")) for _ in range(3)]
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    await asyncio.wait(gone)
    kept = asyncio.create_task(house.ask("ECHO kept"))
    await asyncio.sleep(0)
    running.cancel()
    async with within():
        assert await kept == "kept"


async def test_a_cancelled_answer_stops_and_the_worker_stays(opens: Opens) -> None:
    house = opens()
    running, heard = house.begin("WAIT")
    async with within():
        await heard.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await house.ask("PID") == str(house.workers[0])
    assert len(house.workers) == 1


@pytest.mark.parametrize("marker", ["DEAF", "FREEZE"])
async def test_a_worker_that_does_not_obey_is_ended_and_the_next_request_has_a_new_one(opens: Opens, marker: str) -> None:
    house = opens(limits=Limits(obey=0.2))
    running, heard = house.begin(marker)
    async with within():
        await heard.wait()
    running.cancel()
    assert await house.ask("PID") == str(house.workers[1])
    assert not is_there(house.workers[0])


@pytest.mark.parametrize("marker", ["DEAF", "FREEZE"])
async def test_a_worker_that_shows_no_progress_is_ended(opens: Opens, marker: str) -> None:
    house = opens(limits=Limits(silence=0.5))
    assert "no progress" in str(await fails(house.ask(marker), ProviderTimeout))
    assert await house.ask("PID") == str(house.workers[1])
    assert not is_there(house.workers[0])


@pytest.mark.parametrize("marker", ["CRASH", "BROKE", "GARBAGE", "LIST", "ENDLESS", "OTHER"])
async def test_a_worker_that_breaks_fails_that_request_and_the_next_has_a_new_one(opens: Opens, marker: str) -> None:
    house = opens()
    failed = await fails(house.ask(marker), ProviderFailed)
    assert type(failed) is ProviderFailed
    assert await house.ask("PID") == str(house.workers[1])
    assert not is_there(house.workers[0])


async def test_a_worker_that_is_killed_while_nobody_asks_is_not_missed(opens: Opens) -> None:
    house = opens()
    await house.ask("hello")
    os.kill(house.workers[0], signal.SIGKILL)
    await has_gone(house.workers[0])
    assert await house.ask("PID") == str(house.workers[1])


async def test_a_worker_that_nobody_asks_ends_and_is_started_again(opens: Opens) -> None:
    house = opens(limits=Limits(idle=0.05))
    await house.ask("hello")
    await has_gone(house.workers[0])
    assert await house.ask("PID") == str(house.workers[1])


@pytest.mark.parametrize("name", ["refused.gguf", "dies.gguf", "sleeps.gguf", "babbles.gguf"])
async def test_a_file_that_can_not_be_loaded_is_not_tried_again_and_again(opens: Opens, name: str) -> None:
    house = opens(name, limits=Limits(load=5 if name != "sleeps.gguf" else 0.5, after_failure=60))
    errors = [await fails(house.ask("hello"), ProviderFailed) for _ in range(3)]
    errors += await asyncio.gather(*[fails(house.ask("hello"), ProviderFailed) for _ in range(10)])
    assert {type(error) for error in errors} == {ProviderFailed}
    assert {error.retryable for error in errors if isinstance(error, ProviderFailed)} == {False}
    assert len({error.message for error in errors}) == 1
    assert "can't be loaded" in errors[0].message
    assert str(house.file) not in errors[0].message
    assert len(house.workers) == 1


async def test_a_file_that_was_mended_is_loaded_when_its_time_has_come(opens: Opens) -> None:
    house = opens("refused.gguf", limits=Limits(after_failure=0))
    await fails(house.ask("hello"), ProviderFailed)
    await fails(house.ask("hello"), ProviderFailed)
    assert len(house.workers) == 2


async def test_two_models_answer_side_by_side(opens: Opens) -> None:
    one, other = opens("one.gguf"), opens("other.gguf")
    running, heard = one.begin("WAIT")
    async with within():
        await heard.wait()
    assert await other.ask("ECHO free") == "free"
    running.cancel()


async def test_who_waits_when_it_is_closed_hears_so(opens: Opens) -> None:
    house = opens()
    running, heard = house.begin("WAIT")
    async with within():
        await heard.wait()
    waiting = asyncio.create_task(house.ask("hello"))
    await asyncio.sleep(0)
    async with within():
        await house.close()
        await house.close()
    await fails(running, ShuttingDown)
    await fails(waiting, ShuttingDown)
    await fails(house.ask("hello"), ShuttingDown)


async def test_a_file_that_is_not_there_is_named_by_no_path(tmp_path: Path) -> None:
    settings = RegisteredModel.model_validate({"path": "nowhere/x.gguf"})
    writes, _ = open_gguf("tiny", settings, tmp_path, command=WORKER)
    assert writes is not None
    for call in (writes.probe(), writes.complete(asked("hi"), unheard)):
        failed = await fails(call, ProviderFailed)
        assert "nowhere" not in failed.message
        assert "nothing at its path" in failed.message
    await writes.close()
