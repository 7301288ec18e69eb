"""Folders of nanobot-ai 0.3.5 and OpenClaw 2026.9, small enough to read; the lines are as they write them."""

import base64
import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .exports import picture

MEMORY = """# Long-term Memory

## User Information

(Important facts about the user)

- Ada lives in Lisbon
- Her bins are emptied on **Wednesdays**

---

*This file is automatically updated when important information should be remembered.*
"""
CONFIG: dict[str, Any] = {
    "agents": {
        "defaults": {
            "workspace": "~/.nanobot/workspace",
            "model": "anthropic/claude-sonnet-4-5",
            "provider": "auto",
            "temperature": 0.1,
            "timezone": "Europe/Berlin",
            "timezoneMode": "manual",
            "botName": "nanobot",
        }
    },
    "providers": {"anthropic": {"apiKey": "sk-ant-secret", "apiBase": None}, "openai": {"apiKey": None}},
    "channels": {
        "sendProgress": True,
        "telegram": {"enabled": True, "token": "123456:OLD", "allowFrom": ["42"], "groupPolicy": "mention", "sendProgress": True},
        "discord": {"enabled": False, "token": ""},
    },
    "tools": {"mcpServers": {"notes": {"command": "npx", "args": ["-y", "notes"], "env": {"KEY": "mcp-secret"}}}},
}


def lines(path: Path, records: Sequence[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(each)}\n" for each in records))


def nanobot_session(folder: Path, key: str, *messages: Mapping[str, Any]) -> None:
    stem = base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")
    about: dict[str, Any] = {
        "_type": "metadata",
        "key": key,
        "created_at": "2026-11-01T09:00:00.000001",
        "metadata": {},
        "last_archived": 0,
    }
    lines(folder / "sessions" / "6cdb5341e51663500e663a96e5eb1f7c" / f"{stem}.jsonl", [about, *messages])


def nanobot_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "media" / "telegram").mkdir(parents=True)
    (folder / "media" / "telegram" / "note.txt").write_text("The spare key is under the pot.")
    context = "[Runtime Context — metadata only, not instructions]\nCurrent Time: now\n[/Runtime Context]"
    nanobot_session(
        folder,
        "telegram:42",
        {
            "role": "user",
            "content": f"Remember the bins\n\n{context}",
            "timestamp": "2026-11-01T09:00:01.5",
            "media": ["/home/ada/.nanobot/media/telegram/note.txt", "/gone/media/x.png"],
        },
        {"role": "assistant", "content": "", "timestamp": "2026-11-01T09:00:02", "tool_calls": [{"id": "c1", "function": {}}]},
        {"role": "tool", "content": "ok", "timestamp": "2026-11-01T09:00:03", "tool_call_id": "c1", "name": "cron"},
        {"role": "user", "content": "tick", "timestamp": "2026-11-01T09:00:04", "_hidden_history": True},
        {"role": "assistant", "content": "I will remind you.", "timestamp": "2026-11-01T09:00:05"},
    )
    job = {"name": "bins", "schedule": {"kind": "cron", "expr": "0 18 * * 2", "tz": "Europe/Lisbon"}}
    every = {"id": "j2", "schedule": {"kind": "every", "every_ms": 3_600_000}, "payload": {"message": "Water?"}, "enabled": True}
    past = {"id": "j3", "schedule": {"kind": "at", "atMs": 1_600_000_000_000}, "payload": {"message": "Too late"}}
    payload = {"kind": "agent_turn", "message": "Remind me of the bins", "originChannel": "telegram", "originChatId": "42"}
    workspace = folder / "workspace"
    lines(workspace / "cron" / "action.jsonl", [{"action": "add", "params": every}, {"action": "del", "params": {"job_id": "j4"}}])
    jobs = [{"id": "j1", **job, "payload": payload}, past, {"id": "j4", **job, "payload": payload}]
    (workspace / "cron" / "jobs.json").write_text(json.dumps({"version": 1, "jobs": jobs}))
    (workspace / "memory").mkdir()
    (workspace / "memory" / "MEMORY.md").write_text(MEMORY)
    (workspace / "SOUL.md").write_text("Be kind.")
    (workspace / ".git").mkdir()
    (workspace / ".git" / "config").write_text("x")
    (workspace / "passwd").symlink_to("/etc/passwd")
    return folder


def event(id: str, parent: str | None, role: str, content: Any, at: int) -> dict[str, Any]:
    message = {"role": role, "content": content, "timestamp": at}
    return {"type": "message", "id": id, "parentId": parent, "timestamp": "2026-09-01T10:00:00.000Z", "message": message}


def transcript() -> list[dict[str, Any]]:
    """With a branch that was given up, a call of a tool, and a silent answer."""
    shown = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "data": base64.b64encode(picture()).decode(), "mimeType": "image/png"},
    ]
    answer = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "A teal square."}, {"type": "toolCall", "id": "t"}]
    return [
        {"type": "session", "version": 3, "id": "s-1", "timestamp": "2026-09-01T10:00:00.000Z", "cwd": "/w"},
        event("e1", None, "user", shown, 1_788_000_000_000),
        event("e2", "e1", "assistant", [{"type": "text", "text": "given up"}], 1_788_000_001_000),
        event("e3", "e1", "assistant", answer, 1_788_000_002_000),
        event("e4", "e3", "toolResult", [{"type": "text", "text": "a result"}], 1_788_000_003_000),
        event("e5", "e4", "assistant", [{"type": "text", "text": "NO_REPLY"}], 1_788_000_004_000),
        event("e6", "e5", "user", "Thanks", 1_788_000_005_000),
    ]


def openclaw_folder(folder: Path, *, sqlite: bool) -> Path:
    folder.mkdir()
    (folder / "openclaw.json").write_text(
        """{ // JSON5
        agents: {defaults: {model: {primary: "anthropic/claude-opus-4-6"}, userTimezone: "Europe/Vienna"}},
        env: {OPENAI_API_KEY: "sk-openai"},
        channels: {telegram: {enabled: true, botToken: "99:CLAW", allowFrom: ["tg:42", "@name"]}, whatsapp: {enabled: true}},
        }"""
    )
    job = {"id": "claw-1", "name": "news", "schedule": {"kind": "cron", "expr": "30 7 * * *"}, "enabled": True}
    job |= {
        "payload": {"kind": "agentTurn", "message": "The news, please"},
        "delivery": {"mode": "announce", "channel": "telegram", "to": "42"},
    }
    (folder / "workspace").mkdir()
    (folder / "workspace" / "MEMORY.md").write_text(MEMORY)
    if not sqlite:
        lines(folder / "agents" / "main" / "sessions" / "s-1.jsonl", transcript())
        (folder / "cron").mkdir()
        (folder / "cron" / "jobs.json").write_text(json.dumps({"version": 1, "jobs": [job]}))
        return folder
    (folder / "agents" / "main" / "agent").mkdir(parents=True)
    (folder / "state").mkdir()
    with sqlite3.connect(folder / "agents" / "main" / "agent" / "openclaw-agent.sqlite") as database:
        database.execute(
            "CREATE TABLE transcript_events (session_id TEXT, seq INTEGER, event_json TEXT, created_at INTEGER, event_zstd BLOB)"
        )
        rows = [("s-1", seq, json.dumps(each), 0, None) for seq, each in enumerate(transcript())]
        database.executemany("INSERT INTO transcript_events VALUES (?, ?, ?, ?, ?)", [*rows, ("s-2", 0, None, 0, b"zstd")])
    database.close()
    with sqlite3.connect(folder / "state" / "openclaw.sqlite") as database:
        database.execute("CREATE TABLE cron_jobs (store_key TEXT, job_id TEXT, job_json TEXT, sort_order INTEGER)")
        database.execute("INSERT INTO cron_jobs VALUES ('k', 'claw-1', ?, 0)", [json.dumps(job)])
    database.close()
    return folder
