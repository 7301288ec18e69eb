"""What tests of more than one folder need."""

import gc
import os
import shutil
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.postgres import name_of, new_database, passing_database, running_postgres

# A shell that starts the tests in its background has them ignore Ctrl-C, and every process that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Where this is set, each worker compiles all tests anew, half of what finding them takes, and each process that a test starts compiles nanobot.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A store waits for the disk at each commit, and no test cuts the power: their folders are in memory, where there is room for those that are in use.
if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 4_000_000_000:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")

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


@pytest.fixture(scope="session")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database as a new store makes it, to be copied."""
    path = tmp_path_factory.mktemp("made") / "nanobot.db"
    _make(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def made_on_postgres(postgres_server: str) -> str:
    """The name of such a database on the PostgreSQL."""
    url = new_database(postgres_server)
    _make(url)
    return name_of(url)


def _make(url: str) -> None:
    from assistant.store.store import make_or_look, open_engine  # here, as many test runs need no database

    link = open_engine(url).connect(writes=True)
    link.begin()
    make_or_look(link)
    link.commit()
    link.close()


@pytest.fixture
def empty() -> None:
    """For a test whose database is to have no tables."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """The address of a new database of each kind. Unless it is to be `empty`, it has its tables: to copy them takes a tenth of making them."""
    bare = "empty" in request.fixturenames
    if request.param == "sqlite":
        if not bare:
            shutil.copyfile(request.getfixturevalue("made_database"), tmp_path / "nanobot.db")
        yield f"sqlite:///{tmp_path / 'nanobot.db'}"
        return
    like = "template1" if bare else request.getfixturevalue("made_on_postgres")
    with passing_database(request.getfixturevalue("postgres_server"), like=like) as made:
        yield made
