"""People, their identities, and codes that join chats. Each owner of rows that is a person becomes one."""

import orjson
import sqlalchemy as sa
from alembic import op

from assistant.store.migrations import columns

revision = "0010"
down_revision = "0009"

_OWNERS = " UNION ".join(
    f"SELECT owner FROM {table}"  # noqa: S608 - names of ours
    for table in ("sessions WHERE substr(key, 1, 5) <> 'once:'", "attachments", "inbox", "outbox", "jobs", "files", "responses")
)
_ADD = (
    "INSERT INTO people (id, name, role, created) VALUES (:id, :name, :role, :at)",
    "INSERT INTO identities (identity, person, source, created) VALUES (:id, :id, :source, :at)",
)


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.String, primary_key=True),
        *columns(sa.String, "name", "role"),
        sa.Column("zone", sa.String),
        *columns(sa.Integer, "quiet_start", "quiet_end", nullable=True),
        sa.Column("created", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "identities",
        sa.Column("identity", sa.String, primary_key=True),
        *columns(sa.String, "person", "source"),
        sa.Column("created", sa.BigInteger, nullable=False),
    )
    op.create_index("identities_by_person", "identities", ["person"])
    op.create_table(
        "link_codes",
        sa.Column("digest", sa.String, primary_key=True),
        *columns(sa.String, "person"),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger),
    )
    op.create_table(
        "link_tries",
        sa.Column("identity", sa.String, primary_key=True),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
    )
    _people_of_rows()


def _people_of_rows() -> None:
    bind = op.get_bind()
    found: dict[str, tuple[str, str, int]] = {}
    for id, name, at in bind.execute(sa.text("SELECT id, name, created FROM api_keys ORDER BY created, id")).all():
        found[f"key:{id}"] = name, "cli", at
    paired = "SELECT channel, sender_id, sender_name, created FROM pairings WHERE code IS NULL"
    for channel, sender, name, at in bind.execute(sa.text(paired)).all():
        found[f"{channel}:{sender}"] = name, "pairing", at
    groups = _groups()
    for (owner,) in bind.execute(sa.text(f"SELECT owner FROM ({_OWNERS}) AS owners ORDER BY owner")).all():  # noqa: S608 - as above
        if owner not in groups:
            found.setdefault(owner, ("", "seen", 0))
    for id, (name, source, at) in found.items():
        values = {"id": id, "name": name, "role": "owner" if id == "local" else "user", "source": source, "at": at}
        for statement in _ADD:
            bind.execute(sa.text(statement), values)


def _groups() -> set[str]:
    """The owners that are group chats. An old row does not say it, but a group's session is named by the same chat as its owner; a private chat's
    is only where the platform gives both the same id, as Telegram does, whose groups have negative ones."""
    bind = op.get_bind()
    groups = {
        owner
        for owner, payload in bind.execute(sa.text("SELECT owner, payload FROM inbox")).all()
        if not orjson.loads(payload).get("private", True)
    }
    for owner, key in bind.execute(sa.text("SELECT owner, key FROM sessions")).all():
        channel, _, chat = owner.partition(":")
        of_itself = key == owner or key.startswith(f"{owner}:")
        if of_itself and (chat.startswith("-") if channel == "telegram" else channel == "discord"):
            groups.add(owner)
    return groups
