"""The bench measures what it says: what is wrong is counted, what waits is seen."""

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from bench.channels import Run, as_markdown
from bench.figures import Figure, at_least, at_most
from bench.load import Load, run
from bench.measured import Measured, percentile
from bench.pinger import Pings
from bench.standins import STANDINS
from bench.table import MarkersMissing, as_text, write_into
from channels.catalog import OWN
from tests.doubles.model_server import ModelServer
from tests.process_usage import cpu_seconds


@pytest.mark.parametrize("stream", [False, True])
async def test_right_answers_are_counted_and_timed(stream: bool) -> None:
    async with ModelServer() as model:
        began = time.perf_counter()
        measured = await run(Load(url=model.url, connections=3, requests=20, stream=stream, warm_up=5))
        elapsed = time.perf_counter() - began
        assert model.stats.requests == 25
    assert not measured.errors
    assert sum(latency is not None for latency in measured.latencies) == 20
    assert 20 / elapsed < measured.rate
    assert 0 < measured.first(50) <= measured.latency(50) <= measured.latency(100) < elapsed * 1000


async def test_a_run_with_the_name_of_another_goes_on_with_its_session() -> None:
    async with ModelServer() as model:
        for _ in range(2):
            await run(Load(url=model.url, connections=1, requests=3, sessions="same", name="one"))
        assert {json.loads(body)["session_id"] for body in model.bodies} == {"one"}


def test_processor_time_counts_the_work_of_a_process() -> None:
    before = cpu_seconds(os.getpid())
    worked = time.thread_time() + 0.05
    while time.thread_time() < worked:
        pass
    assert cpu_seconds(os.getpid()) - before >= 0.05


async def test_as_many_requests_are_under_way_as_there_are_connections() -> None:
    async with ModelServer() as model:
        model.configure(latency_ms=50)
        measured = await run(Load(url=model.url, connections=8, requests=16))
        assert model.stats.max_inflight == 8
    assert measured.latency(0) >= 49


@pytest.mark.parametrize(
    ("mode", "stream", "problem"),
    [("500", False, "HTTP 500"), ("drop", False, "connection lost"), ("midcut", True, "connection lost"), ("nodone", True, "no [DONE]")],
)
async def test_what_is_not_a_whole_answer_is_an_error(mode: str, stream: bool, problem: str) -> None:
    async with ModelServer() as model:
        model.configure(mode=mode)
        measured = await run(Load(url=model.url, connections=2, requests=6, stream=stream))
    assert measured.errors == {problem: 6}
    assert measured.rate == 0


async def test_other_words_than_the_model_said_are_an_error() -> None:
    async with ModelServer() as model:
        model.configure(text="something else")
        measured = await run(Load(url=model.url, connections=1, requests=2))
    assert measured.errors == {"wrong content": 2}


async def test_a_server_that_hangs_ends_the_run_in_time() -> None:
    async with ModelServer() as model, asyncio.timeout(10):
        model.configure(mode="hang")
        measured = await run(Load(url=model.url, connections=2, requests=4, timeout=0.2))
    assert measured.errors == {"no answer in time": 4}


def test_a_wait_counts_that_began_before_the_window_or_ended_after_it() -> None:
    pings = Pings(samples=[(1.0, 0.5), (2.0, 0.001), (2.9, 0.2), (9.0, 7.0)])
    assert pings.longest(1.4, 3.0) == pytest.approx(500)
    assert pings.longest(1.6, 3.0) == pytest.approx(200)


def test_percentiles_are_by_nearest_rank_of_what_was_answered() -> None:
    assert percentile([5, None, 1, 3], 50) == 3
    assert percentile([*range(1, 101)], 99) == 99
    assert Measured(seconds=2, latencies=[5, None, 1, 3], firsts=[], errors={"HTTP 500": 1}).rate == 1.5


def test_a_figure_is_judged_by_its_median_and_by_its_errors() -> None:
    assert Figure(name="a", unit="ms", samples=(1, 2, 30), target=at_most(2)).verdict == "ok"
    assert Figure(name="a", unit="ms", samples=(1, 2, 30), target=at_least(3)).verdict == "missed"
    assert Figure(name="a", unit="ms", samples=(float("nan"),), target=at_least(3)).verdict == "missed"
    assert Figure(name="a", unit="ms", samples=(1,), target=at_most(2), errors=1).verdict == "missed"
    assert Figure(name="a", unit="ms", samples=(1,)).verdict == ""


def test_the_table_replaces_only_what_stands_between_its_markers(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    template = Path(__file__).parents[1] / "docs" / "performance.md"
    document.write_text(template.read_text(encoding="utf-8"), encoding="utf-8")
    before = document.read_text(encoding="utf-8").partition("<!--")[0]
    for value in (1234.5, 0.5):
        write_into(document, [Figure(name="a|b", unit="ms", samples=(value,), target=at_most(2))], "Measured here.")
    text = document.read_text(encoding="utf-8")
    assert text.startswith(before)
    assert "Measured here." in text
    assert "| a/b | 0.50 ms |  | ≤ 2 | ok |  |" in text
    assert "1,234" not in text
    assert "## What was found" in text


def test_a_document_without_markers_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "other.md"
    document.write_text("words", encoding="utf-8")
    with pytest.raises(MarkersMissing):
        write_into(document, [], "")
    assert document.read_text(encoding="utf-8") == "words"


def test_the_table_for_the_terminal_is_aligned() -> None:
    lines = as_text([Figure(name="x" * 30, unit="s", samples=(1, 2, 3)), Figure(name="y", unit="s", samples=(1,))]).splitlines()
    assert len({line.index(word) for line, word in zip(lines, ("measured", "2.00", "1.00"), strict=True)}) == 1


def test_every_channel_of_this_project_is_measured() -> None:
    assert set(STANDINS) == set(OWN)


def test_a_channel_that_is_over_the_target_is_named() -> None:
    slow, fast = Run(seconds=1, cpu=1, memory=90, p50=9.1, p10=7), Run(seconds=1, cpu=1, memory=90, p50=7.9, p10=7)
    table = as_markdown({"none": [fast], "irc": [slow, slow, fast], "ntfy": [slow, fast, fast]})
    assert [line.split(" | ")[4] for line in table.splitlines()[3:]] == ["9.1 (over the target)", "7.9"]
