"""What a platform reports of a message that it had accepted: that it did not arrive, that it did, that it was read."""

from assistant.contracts.outbox import DeliveryError
from assistant.store.codec import json_column
from assistant.store.database import SqlValue, Transaction
from assistant.store.occurrence_rows import end_undelivered
from assistant.store.processes import Notifier
from assistant.store.reaching import Offers, follow

REPORTED = """
    SELECT outbox.seq, outbox.id, part.place FROM outbox_parts AS part JOIN outbox ON outbox.seq = part.event
    WHERE part.receipt_id = :receipt AND outbox.channel = :channel ORDER BY outbox.seq DESC LIMIT 1"""
NOT_RECEIVED = """
    UPDATE outbox_parts SET started = NULL, receipt_id = NULL, receipt_at = NULL, receipt_notice = NULL, reached_at = NULL, read_at = NULL
    WHERE event = :seq AND place = :place"""
"""As if it had not been sent: a retry by hand sends it again."""
UNDELIVERED = """
    UPDATE outbox SET state = 'failed', yields = 0, fence = fence + 1, runner = NULL, lease = NULL, ended = :now,
        trouble_code = :code, trouble_words = :words
    WHERE seq = :seq AND state IN ('sent', 'sending', 'queued') RETURNING id"""
"""One that is being sent loses its claim by the fence: its further parts are not sent."""
RECEIVED = """
    UPDATE outbox_parts SET reached_at = COALESCE(reached_at, :now), read_at = CASE WHEN :read = 1 THEN COALESCE(read_at, :now) ELSE read_at END
    WHERE receipt_id = :receipt AND EXISTS (SELECT 1 FROM outbox WHERE outbox.seq = event AND outbox.channel = :channel) RETURNING place"""


def report_undelivered(
    connection: Transaction, notifier: Notifier, channel: str, receipt: str, trouble: DeliveryError, now: int, offers: Offers
) -> str | None:
    """The id of the delivery, which failed by this unless it had before; None: no such message is known. `channel`, `receipt`: as stored. Then
    call `notifier.announced` after the commit."""
    found = connection.execute(REPORTED, {"receipt": receipt, "channel": channel})
    if not found:
        return None
    seq, event, place = found[0]
    connection.execute(NOT_RECEIVED, {"seq": seq, "place": place})
    values: dict[str, SqlValue] = {"seq": seq, "now": now, "code": json_column(trouble.code), "words": json_column(trouble.words)}
    if connection.execute(UNDELIVERED, values):
        if event not in follow(connection, notifier, offers, now):
            end_undelivered(connection, notifier, event, now)
        notifier.announce(connection)
    return str(event)
