CREATE TABLE attachments (
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	session VARCHAR NOT NULL,
	digest VARCHAR NOT NULL,
	at BIGINT NOT NULL,
	used INTEGER NOT NULL,
	size BIGINT NOT NULL,
	label VARCHAR NOT NULL,
	PRIMARY KEY (id)
);

CREATE INDEX attachments_by_digest ON attachments (digest);

CREATE INDEX attachments_by_session ON attachments (owner, session, at);

CREATE TABLE pulse (
	id INTEGER NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE sessions (
	id BIGSERIAL NOT NULL,
	owner VARCHAR NOT NULL,
	key VARCHAR NOT NULL,
	created BIGINT NOT NULL,
	updated BIGINT NOT NULL,
	messages INTEGER NOT NULL,
	context_from INTEGER NOT NULL,
	prompt_tokens BIGINT NOT NULL,
	completion_tokens BIGINT NOT NULL,
	cached_tokens BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE UNIQUE INDEX sessions_by_owner_and_key ON sessions (owner, key);

CREATE INDEX sessions_by_updated ON sessions (owner, updated, id);

CREATE TABLE messages (
	session_id BIGINT NOT NULL,
	seq INTEGER NOT NULL,
	turn_id VARCHAR NOT NULL,
	at BIGINT NOT NULL,
	role VARCHAR NOT NULL,
	payload VARCHAR NOT NULL,
	PRIMARY KEY (session_id, seq),
	FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);

CREATE TABLE turns (
	id VARCHAR NOT NULL,
	session_id BIGINT NOT NULL,
	state VARCHAR NOT NULL,
	runner VARCHAR NOT NULL,
	started BIGINT NOT NULL,
	ended BIGINT,
	error VARCHAR,
	PRIMARY KEY (id),
	FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);

CREATE INDEX turns_by_session ON turns (session_id);

CREATE INDEX turns_running ON turns (runner) WHERE state = 'running';

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

INSERT INTO alembic_version (version_num) VALUES ('0001');

