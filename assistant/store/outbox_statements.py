"""The statements of the outbox, in the SQL that SQLite and PostgreSQL share.

Every condition on `state` and `yields` of an event at work is written out, so that both databases see which partial index serves it.
"""

ADD_EVENT = """
    INSERT INTO outbox (id, channel, lane, owner, state, yields, due, expires, created, attempts, held, fence, maybe_duplicate, payload)
    VALUES (:id, :channel, :lane, :owner, 'queued', :yields, :due, :expires, :at, 0, 0, 0, 0, :payload)
    ON CONFLICT (id) DO NOTHING RETURNING seq"""

ADD_MEDIA = """
    INSERT INTO outbox_media (event, digest) VALUES (:seq, :digest) ON CONFLICT (event, digest) DO NOTHING"""

MEDIA_HELD = """
    SELECT 1 FROM outbox_media WHERE digest = :digest LIMIT 1"""

# Lanes: what is first in line in each, and what may pass because its time has come.


def first_in_lines(channels: int) -> str:
    """The statement that finds what is first in each line of so many channels (`:c0`, `:c1` …): from lane to lane along an index, so that what waits
    behind the first of each costs nothing, and so do channels that were not asked for."""
    names = " UNION ALL ".join(f"SELECT CAST(:c{number} AS VARCHAR) AS name" for number in range(channels))
    # Numbered parameters of ours only.
    return f"""
    WITH RECURSIVE lines (channel, lane) AS (
        SELECT name, (SELECT MIN(lane) FROM outbox WHERE state = 'queued' AND yields = 0 AND channel = name) FROM ({names}) AS asked
        UNION ALL
        SELECT lines.channel, (
            SELECT MIN(lane) FROM outbox WHERE state = 'queued' AND yields = 0 AND channel = lines.channel AND lane > lines.lane) FROM lines
        WHERE lines.lane IS NOT NULL
    )
    SELECT outbox.lane, outbox.channel, outbox.due FROM lines JOIN outbox ON outbox.seq = (
        SELECT MIN(seq) FROM outbox WHERE state = 'queued' AND yields = 0 AND lane = lines.lane)
    WHERE lines.lane NOT IN (SELECT lane FROM outbox WHERE state = 'sending')"""  # noqa: S608


YIELDING_DUE = """
    SELECT lane, channel, due FROM outbox WHERE state = 'queued' AND yields = 1 AND due <= :now
        AND lane NOT IN (SELECT lane FROM outbox WHERE state = 'sending')"""


def next_yielding(channels: int) -> str:
    """The statement that finds when the next event of so many channels (`:c0`, `:c1` …) falls due that is not in line."""
    names = ", ".join(f":c{number}" for number in range(channels))
    # Numbered parameters of ours only. Not plainly `channel`: SQLite would take the index of channels, and look at all that is queued.
    return f"""
    SELECT due FROM outbox WHERE state = 'queued' AND yields = 1 AND due > :now AND channel || '' IN ({names})
    ORDER BY due LIMIT 1"""  # noqa: S608


# Claims.

LANE_IS_SENDING = """
    SELECT 1 FROM outbox WHERE lane = :lane AND state = 'sending'"""

FALL_IN_LINE = """
    UPDATE outbox SET yields = 0 WHERE lane = :lane AND state = 'queued' AND yields = 1 AND due <= :now"""

ALL_FALL_IN_LINE = """
    UPDATE outbox SET yields = 0 WHERE state = 'queued' AND yields = 1 AND due <= :now"""

FIRST_IN_LINE = """
    SELECT seq, due, expires FROM outbox WHERE lane = :lane AND state = 'queued' AND yields = 0 ORDER BY seq LIMIT 1"""

NEXT_IN_LANE = """
    SELECT MIN(due) FROM outbox WHERE lane = :lane AND state = 'queued' AND yields = 1"""

TAKE = """
    UPDATE outbox SET state = 'sending', fence = fence + 1, attempts = attempts + 1, runner = :runner, lease = :lease
    WHERE seq = :seq RETURNING payload, expires, fence, attempts, held, maybe_duplicate"""

PARTS = """
    SELECT body, started, receipt_id, receipt_at FROM outbox_parts WHERE event = :seq ORDER BY place"""

RENEW = """
    UPDATE outbox SET lease = :lease WHERE id = :id AND fence = :fence AND state = 'sending' RETURNING id"""

CLAIMED = """
    SELECT seq FROM outbox WHERE id = :id AND fence = :fence AND state = 'sending'"""

ADD_PART = """
    INSERT INTO outbox_parts (event, place, body) VALUES (:seq, :place, :body) ON CONFLICT (event, place) DO NOTHING"""

START_PART = """
    UPDATE outbox_parts SET started = :at WHERE event = :seq AND place = :place RETURNING place"""

UNSTART_PART = """
    UPDATE outbox_parts SET started = NULL WHERE event = :seq AND place = :place AND receipt_at IS NULL"""

NOTE_RECEIPT = """
    UPDATE outbox_parts SET receipt_id = :receipt, receipt_at = :at WHERE event = :seq AND place = :place RETURNING place"""

MAYBE_TWICE = """
    UPDATE outbox SET maybe_duplicate = 1 WHERE seq = :seq"""

SETTLE = """
    UPDATE outbox SET state = :state, yields = CASE WHEN held + :counts >= :patience THEN 1 ELSE 0 END, held = held + :counts,
        due = COALESCE(:due, due), ended = :ended, runner = NULL, lease = NULL, trouble_code = :code, trouble_words = :words
    WHERE seq = :seq"""

# What nobody sends any more.

SENDERS = """
    SELECT DISTINCT runner FROM outbox WHERE state = 'sending' AND runner <> :runner"""

PUT_BACK = """
    UPDATE outbox SET state = 'queued', yields = 0, due = :now, runner = NULL, lease = NULL
    WHERE state = 'sending' AND (lease <= :now OR runner = :dead) RETURNING seq"""

# A part that was started and has no receipt may have arrived: then "expired unsent" would be a lie.
_UNCLEAR = "EXISTS (SELECT 1 FROM outbox_parts WHERE event = outbox.seq AND started IS NOT NULL AND receipt_at IS NULL)"

_EXPIRE = f"""
    UPDATE outbox SET state = CASE WHEN {_UNCLEAR} THEN 'unknown' ELSE 'expired' END, ended = :now,
        trouble_code = COALESCE(trouble_code, CASE WHEN {_UNCLEAR} THEN 'interrupted' ELSE 'expired' END),
        trouble_words = COALESCE(trouble_words, CASE WHEN {_UNCLEAR} THEN :unclear ELSE :expired END)"""  # noqa: S608 - a fragment of this file

EXPIRE_IN_LINE = f"""{_EXPIRE} WHERE lane = :lane AND state = 'queued' AND yields = 0 AND expires <= :now"""

EXPIRE_ALL = f"""{_EXPIRE} WHERE state = 'queued' AND expires <= :now"""

# By hand.

_DELIVERY = """
    SELECT seq, payload, state, attempts, created, due, expires, ended, trouble_code, trouble_words, maybe_duplicate, owner FROM outbox"""

DELIVERY = f"{_DELIVERY} WHERE id = :id"

RETRY = f"""
    UPDATE outbox SET state = 'queued', yields = 0, due = :now, expires = :expires, ended = NULL, held = 0,
        trouble_code = NULL, trouble_words = NULL,
        maybe_duplicate = CASE WHEN state = 'unknown' AND {_UNCLEAR} THEN 1 ELSE maybe_duplicate END
    WHERE seq = :seq"""  # noqa: S608 - a fragment of this file

CANCEL = """
    UPDATE outbox SET state = 'cancelled', ended = :now WHERE seq = :seq"""

COUNTS = """
    SELECT channel, state, COUNT(*) FROM outbox GROUP BY state, channel"""

PURGE = """
    DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE ended < :before ORDER BY ended LIMIT :most) RETURNING seq"""


def deliveries_of(*, owner: bool, state: bool, channel: bool, before: bool) -> str:
    """The statement that lists deliveries, the latest first, under the conditions asked for."""
    conditions = {
        "owner = :owner": owner,
        "state = :state": state,
        "channel = :channel": channel,
        "seq < (SELECT seq FROM outbox WHERE id = :before)": before,
    }
    asked = [condition for condition, wanted in conditions.items() if wanted]
    where = f" WHERE {' AND '.join(asked)}" if asked else ""
    return f"{_DELIVERY}{where} ORDER BY seq DESC LIMIT :limit"
