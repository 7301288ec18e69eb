"""The statements of keys and limits, in the SQL that SQLite and PostgreSQL share. Times are microseconds."""

ADD_KEY = """
    INSERT INTO api_keys (id, name, prefix, digest, scopes, models, requests, tokens, parallel, created, expires)
    VALUES (:id, :name, :prefix, :digest, :scopes, :models, :requests, :tokens, :parallel, :created, :expires)"""

KEY_COLUMNS = "id, name, prefix, scopes, models, requests, tokens, parallel, created, expires, last_used, revoked"

KEYS = f"SELECT {KEY_COLUMNS} FROM api_keys ORDER BY created, id"  # noqa: S608 - columns of this module

_HOLDS = "revoked IS NULL AND (expires IS NULL OR expires > :now)"

KEY_BY_DIGEST = f"""
    SELECT {KEY_COLUMNS}, NULL FROM api_keys WHERE digest = :digest AND {_HOLDS}"""  # noqa: S608 - as above

KEY_BY_PREVIOUS = f"""
    SELECT {KEY_COLUMNS}, previous_until FROM api_keys WHERE previous = :digest AND previous_until > :now AND {_HOLDS}"""  # noqa: S608 - as above

LIMITS_OF_KEY = """
    SELECT requests, tokens, parallel FROM api_keys WHERE id = :id"""

USED_KEY = """
    UPDATE api_keys SET last_used = :at WHERE id = :id"""

REVOKE_KEY = """
    UPDATE api_keys SET revoked = :now WHERE id = :id AND revoked IS NULL RETURNING id"""

ROTATE_KEY = f"""
    UPDATE api_keys SET previous = digest, previous_until = :until, digest = :digest, prefix = :prefix
    WHERE id = :id AND {_HOLDS} RETURNING id"""  # noqa: S608 - as above

FORGET_USES = """
    DELETE FROM limit_uses WHERE owner = :owner AND at <= :edge AND (until IS NULL OR until <= :now)"""

FORGET_ALL_USES = """
    DELETE FROM limit_uses WHERE at <= :edge AND (until IS NULL OR until <= :now)"""

USES = """
    SELECT COUNT(CASE WHEN tokens = 0 THEN 1 END), COALESCE(MAX(CASE WHEN tokens = 0 THEN at END), 0),
        COALESCE(SUM(tokens), 0), COALESCE(MAX(CASE WHEN tokens > 0 THEN at END), 0)
    FROM limit_uses WHERE owner = :owner AND at > :edge"""

FREED_REQUEST = """
    SELECT at FROM limit_uses WHERE owner = :owner AND at > :edge AND tokens = 0 ORDER BY at LIMIT 1 OFFSET :place"""

FREED_TOKENS = """
    SELECT at FROM (
        SELECT at, SUM(tokens) OVER (ORDER BY at, seq) AS freed FROM limit_uses WHERE owner = :owner AND at > :edge
    ) AS passing WHERE freed >= :excess ORDER BY at LIMIT 1"""

RUNNING_USES = """
    SELECT runner, COUNT(*) FROM limit_uses WHERE owner = :owner AND until > :now GROUP BY runner"""

END_USES_OF = """
    UPDATE limit_uses SET until = NULL WHERE owner = :owner AND runner = :runner AND until IS NOT NULL"""

ADD_USE = """
    INSERT INTO limit_uses (owner, at, tokens, runner, until) VALUES (:owner, :at, :tokens, :runner, :until) RETURNING seq"""

SETTLE_TOKENS = """
    UPDATE limit_uses SET tokens = :tokens WHERE seq = :seq"""

END_USE = """
    UPDATE limit_uses SET until = NULL WHERE seq = :seq"""

REMOVE_USE = """
    DELETE FROM limit_uses WHERE seq = :seq"""
