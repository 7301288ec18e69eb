"""Which tests run commands beside others: all commands of a machine's sandboxes share one user, and so one limit of processes."""

import fcntl
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest


@pytest.fixture
def alone() -> None:
    """For a test whose command takes all the processes that there are: no other one runs a command meanwhile."""


@pytest.fixture(autouse=True)
def commands_beside(request: pytest.FixtureRequest) -> Generator[None]:
    """Imported where tests run commands: waits for one that must be alone, and keeps it waiting."""
    with (Path(tempfile.gettempdir()) / "nanobot-tests-commands.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if "alone" in request.fixturenames else fcntl.LOCK_SH)
        yield
