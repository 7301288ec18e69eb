"""Where files are kept: what the configuration may say of it."""

import json
from pathlib import Path

import pytest

from assistant.config import ConfigError, load_config
from assistant.store.database import StoreSettings

POSTGRES = "postgresql://localhost/nanobot"
S3 = {"endpoint": "https://s3.example.com", "bucket": "files", "keyId": "AKIA", "secret": "of-mine"}


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"files": "folder"}, ""),
        ({"url": POSTGRES, "files": "folder"}, ""),
        ({"url": POSTGRES, "files": "database"}, ""),
        ({"url": POSTGRES, "files": "s3", "s3": S3}, ""),
        ({"url": POSTGRES, "s3": S3}, ""),
        ({"files": "database"}, "needs PostgreSQL"),
        ({"url": "sqlite:///nanobot.db", "files": "s3", "s3": S3}, "needs PostgreSQL"),
        ({"url": POSTGRES, "files": "s3"}, "needs store.s3"),
        ({"url": POSTGRES, "files": "s3", "s3": {**S3, "endpoint": "s3.example.com"}}, "endpoint"),
        ({"url": POSTGRES, "files": "s3", "s3": {**S3, "endpoint": "https://s3.example.com/files"}}, "endpoint"),
        ({"url": POSTGRES, "files": "s3", "s3": {**S3, "bucket": "../x"}}, "bucket"),
        ({"url": POSTGRES, "files": "s3", "s3": {**S3, "prefix": "a b?"}}, "prefix"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_it_needs(given: dict[str, object], wrong: str, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"store": given}))
    if not wrong:
        load_config(file, {"NANOBOT_HOME": str(tmp_path)}, {})
        return
    with pytest.raises(ConfigError, match=wrong) as refused:
        load_config(file, {"NANOBOT_HOME": str(tmp_path)}, {})
    assert "of-mine" not in str(refused.value)


def test_the_secret_is_not_shown() -> None:
    assert "of-mine" not in repr(StoreSettings.model_validate({"url": POSTGRES, "files": "s3", "s3": S3}))
