"""What tests of more than one folder need."""

import gc
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.postgres import empty_database, running_postgres

# A shell that starts the tests in its background has them ignore Ctrl-C, and every process that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Where this is set, each worker compiles all tests anew, half of what finding them takes, and each process that a test starts compiles nanobot.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No test speaks TLS, and a client that loads this machine's certificates takes 40 ms for it, half of what starting a server and asking it takes.
os.environ |= {"SSL_CERT_FILE": "", "SSL_CERT_DIR": str(Path(__file__).parent)}

# Thousands of tests are found, and stay: to look for garbage among them takes two fifths of the time that finding them takes, and more later.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture
def corpus() -> Path:
    """Real documents that are not part of the project; tests that need them are skipped where they are not at hand."""
    folder = Path(__file__).parents[2] / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("the corpus of real documents is not at hand")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Generator[str]:
    """The address of the PostgreSQL that all tests of this process share, without a database's name."""
    with running_postgres() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'nanobot.db'}"
        return
    with empty_database(request.getfixturevalue("postgres_server")) as made:
        yield made
