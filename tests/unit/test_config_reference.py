import json
import subprocess
import sys
from pathlib import Path

from assistant.config import Config
from assistant.config.keys import walk
from assistant.config.reference import defaults_file, meaning, renewed

ROOT = Path(__file__).parents[2]


def test_config_json_is_the_defaults_written_out():
    assert (ROOT / "config.json").read_text(encoding="utf-8") == defaults_file()
    assert Config.model_validate(json.loads(defaults_file())) == Config()


def test_the_page_names_every_key_as_it_is():
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == renewed(page), "run python -m assistant.config.reference"


def test_every_key_has_a_meaning():
    assert [".".join(path) for path, key in walk(Config) if not meaning(key)] == []


def test_loading_imports_nothing_heavy():
    heavy = ["sqlmodel", "sqlalchemy", "alembic", "aiohttp", "fastapi", "typer", "rich", "structlog", "PIL", "pypdf"]
    code = f"import sys, assistant.config; print([name for name in {heavy} if name in sys.modules])"
    seen = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert seen.stdout.strip() == "[]"
