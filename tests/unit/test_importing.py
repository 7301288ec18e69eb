"""What the formats of others share: rules of jobs, variables of secrets, statements in Markdown, names of files."""

from datetime import UTC, datetime
from typing import Any

import pytest

from assistant.contracts.schedules import At, Cron, Every
from assistant.importing.archive import safe_path
from assistant.importing.peers import rule_of, settings_of, variable_of
from assistant.importing.statements import statements_of


@pytest.mark.parametrize(
    ("when", "rule"),
    [
        ({"kind": "cron", "expr": " 0  9 * * 1-5 "}, Cron(cron="0 9 * * 1-5")),
        ({"kind": "cron", "expr": "0 0 9 * * 1"}, None),
        ({"kind": "every", "everyMs": 3_600_000}, Every(seconds=3600)),
        ({"kind": "every", "every_ms": 59_999}, None),
        ({"kind": "every", "everyMs": float("nan")}, None),
        ({"kind": "at", "atMs": 1_800_000_000_000}, At(at=datetime.fromtimestamp(1_800_000_000, UTC))),
        ({"kind": "at", "at": "2027-01-01T09:00:00Z"}, At(at=datetime(2027, 1, 1, 9, tzinfo=UTC))),
        ({"kind": "at", "at": "tomorrow"}, None),
        ({"kind": "stream"}, None),
        ({}, None),
    ],
)
def test_a_jobs_rule_is_read_or_none(when: dict[str, Any], rule: object) -> None:
    assert rule_of(when) == rule


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("channels", "telegram", "token"), "TELEGRAM_TOKEN"),
        (("providers", "openai", "apiKey"), "OPENAI_API_KEY"),
        (("channels", "slack", "botToken"), "SLACK_BOT_TOKEN"),
        (("providers", "my-server.x", "apiKey"), "MY_SERVER_X_API_KEY"),
        (("providers", "9router", "apiKey"), "IMPORTED_9ROUTER_API_KEY"),
        (("providers", "模型", "apiKey"), "API_KEY"),
    ],
)
def test_a_secret_gets_a_variable(path: tuple[str, ...], name: str) -> None:
    assert variable_of(path) == name


def test_secrets_are_kept_apart_and_what_says_nothing_is_left_out() -> None:
    found = settings_of(
        {
            ("providers", "openai"): {"apiKey": "sk", "apiBase": "", "extraHeaders": {"X-Key": "h"}, "list": True},
            ("channels", "telegram", "token"): "${MINE}",
            ("channels", "telegram", "password"): 1234,
            ("agents", "defaults", "model"): None,
        },
        (),
    )
    assert found.values == {
        ("providers", "openai", "apiKey"): "${OPENAI_API_KEY}",
        ("providers", "openai", "extraHeaders", "X-Key"): "${OPENAI_EXTRA_HEADERS_X_KEY}",
        ("providers", "openai", "list"): True,
        ("channels", "telegram", "token"): "${MINE}",
        ("channels", "telegram", "password"): "${TELEGRAM_PASSWORD}",
    }
    assert found.secrets == {"OPENAI_API_KEY": "sk", "OPENAI_EXTRA_HEADERS_X_KEY": "h", "TELEGRAM_PASSWORD": "1234"}


def test_statements_are_items_and_lines_and_no_templates() -> None:
    text = (
        "# Ada\n\n- **Name**: Ada Lovelace\n* has two cats\n1. Speaks Portuguese\n- [x] Likes `vim` a lot\n\nLives by the river.\n"
        "(Important facts about the user)\n- Timezone:\n- ok\n| a | table |\n```\ncode is not a memory\n```\n> a quote of someone\n"
        "*This file is updated by itself.*\n" + "x" * 1_001
    )
    assert list(statements_of(text)) == [
        "Name: Ada Lovelace",
        "has two cats",
        "Speaks Portuguese",
        "Likes vim a lot",
        "Lives by the river.",
    ]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../b", "a//b", "a\\b", "C:x", "a\0b", "", "x" * 300, "a/" * 40 + "b", "a\nb", "."])
def test_a_name_that_leads_out_or_can_be_no_file_is_none(name: str) -> None:
    assert safe_path(name) is None
