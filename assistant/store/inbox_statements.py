"""The statements of the inbox, of pairings and of the channels' states, in the SQL that SQLite and PostgreSQL share."""

ACCEPT = """
    INSERT INTO inbox (id, channel, external_id, owner, session, role, state, at, ended, crashes, payload)
    VALUES (:id, :channel, :external_id, :owner, :session, :role, :state, :at, :ended, 0, :payload)
    ON CONFLICT (channel, external_id) DO NOTHING RETURNING id"""

ACCEPTED_BEFORE = """
    SELECT id FROM inbox WHERE channel = :channel AND external_id = :external_id"""

NOTE_CHAT = """
    INSERT INTO chats (channel, chat_id, external_id, at) VALUES (:channel, :chat_id, :external_id, :at)
    ON CONFLICT (channel, chat_id) DO UPDATE SET external_id = excluded.external_id, at = excluded.at"""

CHAT = """
    SELECT 1 FROM chats WHERE channel = :channel AND chat_id = :chat_id"""

LAST_SEEN = """
    SELECT chat_id, external_id FROM chats WHERE channel = :channel AND at >= :since"""

TAKERS = """
    SELECT DISTINCT runner FROM inbox WHERE owner = :owner AND session = :session AND state = 'taken' AND runner IS NOT NULL"""

IN_LINE = """
    SELECT seq, LENGTH(payload) FROM inbox WHERE owner = :owner AND session = :session AND state = 'waiting' ORDER BY seq LIMIT :most"""

TAKE = """
    UPDATE inbox SET state = 'taken', turn = :turn, runner = :runner
    WHERE owner = :owner AND session = :session AND state = 'waiting' AND seq <= :last RETURNING seq, role, payload"""

WAITING = """
    SELECT owner, session FROM inbox WHERE state = 'waiting' GROUP BY owner, session ORDER BY MIN(seq)"""

TAKEN_BY_OTHERS = """
    SELECT turn, runner, crashes, preview, owner, session, role, payload FROM inbox
    WHERE state = 'taken' AND (runner IS NULL OR runner <> :runner) ORDER BY seq"""

TAKE_OVER = """
    UPDATE inbox SET runner = :runner, crashes = :crashes WHERE turn = :turn AND state = 'taken'"""

SETTLE = """
    UPDATE inbox SET state = :state, ended = :at, runner = NULL WHERE turn = :turn AND state = 'taken'"""

HAND_BACK = """
    UPDATE inbox SET runner = NULL WHERE turn = :turn AND state = 'taken' AND runner = :runner"""

NOTE_PREVIEW = """
    UPDATE inbox SET preview = :preview WHERE turn = :turn AND state = 'taken'"""

PURGE = """
    DELETE FROM inbox WHERE ended < :before RETURNING seq"""

# Pairings.

_PAIRING = """
    SELECT channel, sender_id, sender_name, chat_id, code, created, expires FROM pairings"""

FORGET_EXPIRED = """
    DELETE FROM pairings WHERE expires <= :now"""

PAIRING = f"{_PAIRING} WHERE channel = :channel AND sender_id = :sender_id"

PAIRING_BY_CODE = f"{_PAIRING} WHERE UPPER(code) = :code AND expires > :now"

OPEN_PAIRINGS = """
    SELECT COUNT(*) FROM pairings WHERE channel = :channel AND code IS NOT NULL"""

ADD_PAIRING = """
    INSERT INTO pairings (channel, sender_id, sender_name, chat_id, code, created, expires)
    VALUES (:channel, :sender_id, :sender_name, :chat_id, :code, :created, :expires)"""

APPROVE = """
    UPDATE pairings SET code = NULL, expires = NULL WHERE channel = :channel AND sender_id = :sender_id"""

PAIRED = """
    SELECT 1 FROM pairings WHERE channel = :channel AND sender_id = :sender_id AND code IS NULL"""

PAIRINGS = f"{_PAIRING} WHERE expires IS NULL OR expires > :now ORDER BY created DESC, channel, sender_id"

REVOKE = """
    DELETE FROM pairings WHERE channel = :channel AND sender_id = :sender_id RETURNING sender_id"""

# The states of channels.

NOTE_STATE = """
    INSERT INTO channel_states (runner, name, state, detail, since) VALUES (:runner, :name, :state, :detail, :since)
    ON CONFLICT (runner, name) DO UPDATE SET state = excluded.state, detail = excluded.detail, since = excluded.since"""

STATES = """
    SELECT name, state, detail, since FROM channel_states ORDER BY name, since DESC"""

STATING = """
    SELECT DISTINCT runner FROM channel_states WHERE runner <> :runner"""

FORGET_STATES = """
    DELETE FROM channel_states WHERE runner = :runner"""
