"""What a platform reports of a message that it had accepted: that it did not arrive, that it did, that it was read."""

from dataclasses import replace
from datetime import timedelta

from assistant.contracts.outbox import DeliveryError, OutboundEvent
from assistant.contracts.util import derived_id
from assistant.store.codec import decode_event, decode_inbound, from_micros, json_column
from assistant.store.database import SqlValue, Transaction
from assistant.store.occurrence_rows import end_undelivered
from assistant.store.outbox_rows import add_events, prepare_event
from assistant.store.processes import Notifier
from assistant.store.reaching import Offers, follow

REPORTED = """
    SELECT outbox.seq, outbox.id, part.place FROM outbox_parts AS part JOIN outbox ON outbox.seq = part.event
    WHERE part.receipt_id = :receipt AND outbox.channel = :channel ORDER BY outbox.seq DESC LIMIT 1"""
NOT_RECEIVED = """
    UPDATE outbox_parts SET started = NULL, receipt_id = NULL, receipt_at = NULL, receipt_notice = NULL, reached_at = NULL, read_at = NULL
    WHERE event = :seq AND place = :place"""
"""As if it had not been sent: a retry by hand sends it again."""
ASKED_IN = "SELECT payload FROM inbox WHERE turn = :turn ORDER BY seq DESC LIMIT 1"
PAYLOAD = "SELECT payload, expires FROM outbox WHERE seq = :seq"
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
            add_events(connection, [prepare_event(told, now) for told in _told(connection, seq, trouble, now)], notifier)
        notifier.announce(connection)
    return str(event)


def _told(connection: Transaction, seq: int, trouble: DeliveryError, now: int) -> list[OutboundEvent]:
    """For the chat in which the message was asked for, and whose answer called it sent."""
    payload, expires = connection.execute(PAYLOAD, {"seq": seq})[0]
    event = decode_event(payload, from_micros(expires))
    turn = event.origin.turn_id if event.origin.kind == "tool" else None
    asked = connection.execute(ASKED_IN, {"turn": json_column(turn)}) if turn is not None else []
    address = decode_inbound(asked[0][0]).address if asked else event.address
    if address.lane == event.address.lane:
        return []
    why = "" if event.person is not None and event.person.hidden else f": {trouble.words.rstrip('.')}"
    return [
        OutboundEvent(
            id=derived_id("evt", "undelivered", event.id),
            address=address,
            text=f"My message to {event.receiver} did not arrive, though it had been accepted{why}.",
            expires_at=from_micros(now) + timedelta(days=1),
            origin=replace(event.origin, kind="notice"),
        )
    ]
