"""What tests of more than one folder need."""

import signal
from pathlib import Path

import pytest

# A shell that starts the tests in its background has them ignore Ctrl-C, and every process that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def corpus() -> Path:
    """Real documents that are not part of the project; tests that need them are skipped where they are not at hand."""
    folder = Path(__file__).parents[2] / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("the corpus of real documents is not at hand")
    return folder
