"""What tests of mounting share."""

from pathlib import Path

import pytest

from assistant.providers.presets import PRESETS


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment's keys and settings are hidden; the current folder holds no configuration."""
    for preset in PRESETS.values():
        monkeypatch.delenv(preset.key_variable or "NONE", raising=False)
    monkeypatch.setenv("NANOBOT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"
