import json
import subprocess
import sys
from pathlib import Path

import jsonschema_rs

from assistant.config import Config
from assistant.config.json_schema import leaves, schema_of
from assistant.config.reference import defaults_file, renewed, schema_file

ROOT = Path(__file__).parents[2]


def test_config_json_is_the_defaults_written_out():
    assert (ROOT / "config.json").read_text(encoding="utf-8") == defaults_file()
    assert Config.model_validate(json.loads(defaults_file())) == Config()


def test_the_page_names_every_key_as_it_is():
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == renewed(page), "run python -m assistant.config.reference"


def test_every_key_has_a_meaning():
    assert [".".join(path) for path, key in leaves(schema_of(Config)) if not key["description"]] == []


def test_loading_imports_nothing_heavy():
    heavy = ["sqlmodel", "sqlalchemy", "alembic", "aiohttp", "fastapi", "typer", "rich", "structlog", "PIL", "pypdf"]
    code = f"import sys, assistant.config; print([name for name in {heavy} if name in sys.modules])"
    seen = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert seen.stdout.strip() == "[]"


def test_the_schema_in_the_repository_is_current_and_the_defaults_fit_it():
    text = (ROOT / "docs" / "config.schema.json").read_text(encoding="utf-8")
    assert text == schema_file(), "run python -m assistant.config.reference"
    schema = jsonschema_rs.validator_for(json.loads(text))
    assert [str(error) for error in schema.iter_errors(json.loads(defaults_file()))] == []
    assert schema.is_valid({"channels": {"telegram": {"groupPolicy": "open"}}, "providers": {"openai": {"apiKey": "${KEY}"}}})
    assert not schema.is_valid({"api": {"prot": 8900}})
    assert not schema.is_valid({"api": {"port": "x"}})


def test_every_key_of_the_schema_is_described():
    undescribed = [
        name
        for section in (json.loads(schema_file()), *json.loads(schema_file())["$defs"].values())
        for name, key in section.get("properties", {}).items()
        if not key.get("description") and "$ref" not in key
    ]
    assert undescribed == []
