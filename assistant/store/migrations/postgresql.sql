CREATE TABLE answers (
	owner VARCHAR NOT NULL,
	key VARCHAR NOT NULL,
	claim VARCHAR NOT NULL,
	fingerprint VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	runner VARCHAR NOT NULL,
	expires BIGINT NOT NULL,
	status INTEGER,
	headers VARCHAR,
	body BYTEA,
	PRIMARY KEY (owner, key)
);

CREATE INDEX answers_expiring ON answers (expires);

CREATE TABLE api_keys (
	id VARCHAR NOT NULL,
	name VARCHAR NOT NULL,
	prefix VARCHAR NOT NULL,
	digest VARCHAR NOT NULL,
	previous VARCHAR,
	previous_until BIGINT,
	scopes VARCHAR NOT NULL,
	models VARCHAR,
	requests INTEGER,
	tokens BIGINT,
	parallel INTEGER,
	created BIGINT NOT NULL,
	expires BIGINT,
	last_used BIGINT,
	revoked BIGINT,
	PRIMARY KEY (id)
);

CREATE UNIQUE INDEX api_keys_by_digest ON api_keys (digest);

CREATE UNIQUE INDEX api_keys_by_previous ON api_keys (previous);

CREATE TABLE approval_grants (
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	session VARCHAR NOT NULL,
	person VARCHAR NOT NULL,
	agent VARCHAR NOT NULL,
	tool VARCHAR NOT NULL,
	likeness VARCHAR NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE INDEX approval_grants_by_owner ON approval_grants (owner, session);

CREATE TABLE approvals (
	id VARCHAR NOT NULL,
	code VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	session VARCHAR NOT NULL,
	person VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	answer VARCHAR,
	turn VARCHAR NOT NULL,
	place VARCHAR NOT NULL,
	run VARCHAR,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	started BIGINT,
	ended BIGINT,
	digest VARCHAR NOT NULL,
	payload VARCHAR NOT NULL,
	PRIMARY KEY (id)
);

CREATE INDEX approvals_approved ON approvals (run) WHERE state = 'approved';

CREATE INDEX approvals_by_code ON approvals (code);

CREATE INDEX approvals_by_owner ON approvals (owner, session);

CREATE INDEX approvals_by_person ON approvals (person, created, id);

CREATE INDEX approvals_by_turn ON approvals (turn);

CREATE INDEX approvals_ended ON approvals (ended);

CREATE INDEX approvals_waiting ON approvals (expires) WHERE state = 'waiting';

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

CREATE TABLE audit (
	at BIGINT NOT NULL,
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	session VARCHAR NOT NULL,
	turn VARCHAR NOT NULL,
	agent VARCHAR NOT NULL,
	cause VARCHAR NOT NULL,
	cause_id VARCHAR NOT NULL,
	caller VARCHAR NOT NULL,
	tool VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	text VARCHAR NOT NULL,
	ref VARCHAR NOT NULL,
	read INTEGER NOT NULL,
	approval VARCHAR NOT NULL,
	PRIMARY KEY (at, id)
);

CREATE INDEX audit_by_owner ON audit (owner, at);

CREATE TABLE blob_chunks (
	blob VARCHAR NOT NULL,
	seq INTEGER NOT NULL,
	data BYTEA NOT NULL,
	PRIMARY KEY (blob, seq)
);

CREATE TABLE blobs (
	id VARCHAR NOT NULL,
	name VARCHAR,
	place VARCHAR NOT NULL,
	size BIGINT NOT NULL,
	sha256 VARCHAR NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE UNIQUE INDEX blobs_by_name ON blobs (name);

CREATE INDEX blobs_without_name ON blobs (at) WHERE name IS NULL;

CREATE TABLE browsers (
	id VARCHAR NOT NULL,
	digest VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	caller VARCHAR NOT NULL,
	scopes VARCHAR,
	models VARCHAR,
	key VARCHAR,
	proof VARCHAR,
	name VARCHAR NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	last_used BIGINT,
	PRIMARY KEY (id)
);

CREATE INDEX browsers_by_caller ON browsers (caller);

CREATE UNIQUE INDEX browsers_by_digest ON browsers (digest);

CREATE TABLE budget_windows (
	subject VARCHAR NOT NULL,
	period VARCHAR NOT NULL,
	start BIGINT NOT NULL,
	tokens BIGINT NOT NULL,
	cost BIGINT NOT NULL,
	noticed INTEGER NOT NULL,
	PRIMARY KEY (subject, period, start)
);

CREATE TABLE budgets (
	subject VARCHAR NOT NULL,
	period VARCHAR NOT NULL,
	unit VARCHAR NOT NULL,
	amount BIGINT NOT NULL,
	PRIMARY KEY (subject, period, unit)
);

CREATE TABLE channel_holds (
	channel VARCHAR NOT NULL,
	runner VARCHAR NOT NULL,
	asked BIGINT NOT NULL,
	answered BIGINT NOT NULL,
	PRIMARY KEY (channel)
);

CREATE TABLE channel_notes (
	channel VARCHAR NOT NULL,
	key VARCHAR NOT NULL,
	value VARCHAR NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (channel, key)
);

CREATE INDEX channel_notes_by_age ON channel_notes (channel, at);

CREATE TABLE channel_states (
	runner VARCHAR NOT NULL,
	name VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	detail VARCHAR NOT NULL,
	since BIGINT NOT NULL,
	PRIMARY KEY (runner, name)
);

CREATE TABLE chats (
	channel VARCHAR NOT NULL,
	chat_id VARCHAR NOT NULL,
	external_id VARCHAR NOT NULL,
	at BIGINT NOT NULL,
	identity VARCHAR,
	PRIMARY KEY (channel, chat_id)
);

CREATE INDEX chats_by_identity ON chats (identity);

CREATE TABLE continuations (
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	session VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	turn VARCHAR NOT NULL,
	at BIGINT NOT NULL,
	ended BIGINT,
	runner VARCHAR,
	crashes INTEGER NOT NULL,
	payload VARCHAR NOT NULL,
	PRIMARY KEY (id)
);

CREATE INDEX continuations_by_owner ON continuations (owner, session);

CREATE INDEX continuations_ended ON continuations (ended);

CREATE INDEX continuations_taken ON continuations (turn) WHERE state = 'taken';

CREATE INDEX continuations_waiting ON continuations (owner, session, at) WHERE state = 'waiting';

CREATE TABLE files (
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	digest VARCHAR NOT NULL,
	at BIGINT NOT NULL,
	size BIGINT NOT NULL,
	name VARCHAR NOT NULL,
	purpose VARCHAR NOT NULL,
	PRIMARY KEY (id)
);

CREATE INDEX files_by_digest ON files (digest);

CREATE INDEX files_by_owner ON files (owner, at, id);

CREATE TABLE freezes (
	id VARCHAR NOT NULL,
	made BIGINT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE identities (
	identity VARCHAR NOT NULL,
	person VARCHAR NOT NULL,
	source VARCHAR NOT NULL,
	created BIGINT NOT NULL,
	PRIMARY KEY (identity)
);

CREATE INDEX identities_by_person ON identities (person);

CREATE TABLE inbox (
	seq BIGSERIAL NOT NULL,
	id VARCHAR NOT NULL,
	channel VARCHAR NOT NULL,
	external_id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	session VARCHAR NOT NULL,
	role VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	at BIGINT NOT NULL,
	ended BIGINT,
	turn VARCHAR,
	runner VARCHAR,
	crashes INTEGER NOT NULL,
	preview VARCHAR,
	payload VARCHAR NOT NULL,
	PRIMARY KEY (seq)
);

CREATE UNIQUE INDEX inbox_by_external_id ON inbox (channel, external_id);

CREATE INDEX inbox_by_turn ON inbox (turn);

CREATE INDEX inbox_ended ON inbox (ended);

CREATE INDEX inbox_taken ON inbox (owner, session) WHERE state = 'taken';

CREATE INDEX inbox_waiting ON inbox (owner, session, seq) WHERE state = 'waiting';

CREATE TABLE jobs (
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	workflow VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	runner VARCHAR,
	cancel INTEGER NOT NULL,
	created BIGINT NOT NULL,
	ended BIGINT,
	error VARCHAR,
	payload VARCHAR NOT NULL,
	results VARCHAR,
	PRIMARY KEY (id)
);

CREATE INDEX jobs_at_work ON jobs (runner) WHERE ended IS NULL;

CREATE INDEX jobs_by_owner ON jobs (owner, id);

CREATE INDEX jobs_ended ON jobs (ended);

CREATE TABLE ledger (
	at BIGINT NOT NULL,
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	caller VARCHAR NOT NULL,
	session VARCHAR NOT NULL,
	agent VARCHAR NOT NULL,
	cause VARCHAR NOT NULL,
	cause_id VARCHAR NOT NULL,
	operation VARCHAR NOT NULL,
	provider VARCHAR NOT NULL,
	model VARCHAR NOT NULL,
	prompt_tokens BIGINT NOT NULL,
	completion_tokens BIGINT NOT NULL,
	cached_tokens BIGINT NOT NULL,
	reasoning_tokens BIGINT NOT NULL,
	cost BIGINT,
	cost_source VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	estimate BIGINT NOT NULL,
	runner VARCHAR,
	PRIMARY KEY (at, id)
);

CREATE INDEX ledger_reserved ON ledger (runner) WHERE state = 'reserved';

CREATE TABLE limit_uses (
	seq BIGSERIAL NOT NULL,
	owner VARCHAR NOT NULL,
	at BIGINT NOT NULL,
	tokens BIGINT NOT NULL,
	runner VARCHAR NOT NULL,
	until BIGINT,
	PRIMARY KEY (seq)
);

CREATE INDEX limit_uses_by_owner ON limit_uses (owner, at, tokens);

CREATE INDEX limit_uses_by_time ON limit_uses (at);

CREATE INDEX limit_uses_running ON limit_uses (owner, until) WHERE until IS NOT NULL;

CREATE TABLE link_codes (
	digest VARCHAR NOT NULL,
	person VARCHAR NOT NULL,
	expires BIGINT NOT NULL,
	used BIGINT,
	PRIMARY KEY (digest)
);

CREATE TABLE link_tries (
	identity VARCHAR NOT NULL,
	since BIGINT NOT NULL,
	count INTEGER NOT NULL,
	PRIMARY KEY (identity)
);

CREATE TABLE mcp_grants (
	name VARCHAR NOT NULL,
	url VARCHAR NOT NULL,
	grant_json VARCHAR NOT NULL,
	claim VARCHAR NOT NULL,
	until BIGINT NOT NULL,
	PRIMARY KEY (name)
);

CREATE TABLE mcp_servers (
	name VARCHAR NOT NULL,
	origin VARCHAR NOT NULL,
	listed VARCHAR NOT NULL,
	approved VARCHAR NOT NULL,
	offers VARCHAR NOT NULL,
	revision BIGINT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (name)
);

CREATE TABLE memories (
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	number INTEGER NOT NULL,
	text VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	provenance VARCHAR NOT NULL,
	about VARCHAR NOT NULL,
	digest VARCHAR NOT NULL,
	session VARCHAR,
	message VARCHAR,
	seq INTEGER NOT NULL,
	learned INTEGER NOT NULL,
	seen BIGINT NOT NULL,
	until BIGINT,
	superseded VARCHAR,
	PRIMARY KEY (id)
);

CREATE INDEX memories_by_digest ON memories (owner, digest);

CREATE UNIQUE INDEX memories_by_owner ON memories (owner, number);

CREATE INDEX memories_by_subject ON memories (owner, about);

CREATE TABLE memory_owners (
	owner VARCHAR NOT NULL,
	learn INTEGER NOT NULL,
	PRIMARY KEY (owner)
);

CREATE TABLE memory_tombstones (
	owner VARCHAR NOT NULL,
	digest VARCHAR NOT NULL,
	words VARCHAR NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (owner, digest)
);

CREATE TABLE outbox (
	seq BIGSERIAL NOT NULL,
	id VARCHAR NOT NULL,
	channel VARCHAR NOT NULL,
	lane VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	yields INTEGER NOT NULL,
	due BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	created BIGINT NOT NULL,
	ended BIGINT,
	attempts INTEGER NOT NULL,
	held INTEGER NOT NULL,
	fence INTEGER NOT NULL,
	runner VARCHAR,
	lease BIGINT,
	trouble_code VARCHAR,
	trouble_words VARCHAR,
	maybe_duplicate INTEGER NOT NULL,
	payload VARCHAR NOT NULL,
	follows INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (seq)
);

CREATE INDEX outbox_by_channel ON outbox (channel, state, seq);

CREATE UNIQUE INDEX outbox_by_id ON outbox (id);

CREATE INDEX outbox_by_owner ON outbox (owner, seq);

CREATE INDEX outbox_ended ON outbox (ended);

CREATE INDEX outbox_expiring ON outbox (expires) WHERE state = 'queued';

CREATE INDEX outbox_in_line ON outbox (lane, seq) WHERE state = 'queued' AND yields = 0;

CREATE INDEX outbox_lines ON outbox (channel, lane) WHERE state = 'queued' AND yields = 0;

CREATE UNIQUE INDEX outbox_sending ON outbox (lane) WHERE state = 'sending';

CREATE INDEX outbox_to_follow ON outbox (seq) WHERE follows = 1 AND state IN ('failed', 'expired');

CREATE INDEX outbox_yielding ON outbox (due, lane) WHERE state = 'queued' AND yields = 1;

CREATE INDEX outbox_yielding_by_lane ON outbox (lane, due) WHERE state = 'queued' AND yields = 1;

CREATE TABLE pairings (
	channel VARCHAR NOT NULL,
	sender_id VARCHAR NOT NULL,
	sender_name VARCHAR NOT NULL,
	chat_id VARCHAR NOT NULL,
	code VARCHAR,
	created BIGINT NOT NULL,
	expires BIGINT,
	PRIMARY KEY (channel, sender_id)
);

CREATE TABLE people (
	id VARCHAR NOT NULL,
	name VARCHAR NOT NULL,
	role VARCHAR NOT NULL,
	zone VARCHAR,
	quiet_start INTEGER,
	quiet_end INTEGER,
	created BIGINT NOT NULL,
	prefers VARCHAR,
	PRIMARY KEY (id)
);

CREATE TABLE pulse (
	id INTEGER NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE responses (
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	previous VARCHAR,
	session VARCHAR,
	at BIGINT NOT NULL,
	state VARCHAR NOT NULL,
	runner VARCHAR NOT NULL,
	input VARCHAR NOT NULL,
	body VARCHAR NOT NULL,
	PRIMARY KEY (id)
);

CREATE INDEX responses_by_at ON responses (at);

CREATE INDEX responses_running ON responses (runner) WHERE state = 'running';

CREATE TABLE schedules (
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	created BIGINT NOT NULL,
	ended BIGINT,
	next_at BIGINT,
	last BIGINT,
	zones VARCHAR NOT NULL,
	failures INTEGER NOT NULL,
	untold INTEGER NOT NULL,
	watch VARCHAR,
	payload VARCHAR NOT NULL,
	PRIMARY KEY (id)
);

CREATE INDEX schedules_by_owner ON schedules (owner, created, id);

CREATE INDEX schedules_ended ON schedules (ended);

CREATE INDEX schedules_next ON schedules (next_at) WHERE state = 'active' AND next_at IS NOT NULL;

CREATE INDEX schedules_untold ON schedules (id) WHERE untold = 1;

CREATE TABLE search_spaces (
	id SERIAL NOT NULL,
	owner VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	entries INTEGER NOT NULL,
	terms BIGINT NOT NULL,
	seen BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE UNIQUE INDEX search_spaces_by_owner ON search_spaces (owner, kind);

CREATE TABLE search_terms (
	space INTEGER NOT NULL,
	term BIGINT NOT NULL,
	entry BIGINT NOT NULL,
	weight INTEGER NOT NULL,
	PRIMARY KEY (space, term, entry)
);

CREATE TABLE session_profiles (
	owner VARCHAR NOT NULL,
	session VARCHAR NOT NULL,
	context_from INTEGER NOT NULL,
	text VARCHAR NOT NULL,
	PRIMARY KEY (owner, session)
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
	revision INTEGER DEFAULT '0' NOT NULL,
	read INTEGER DEFAULT '0' NOT NULL,
	title VARCHAR,
	opening VARCHAR DEFAULT '' NOT NULL,
	PRIMARY KEY (id)
);

CREATE UNIQUE INDEX sessions_by_owner_and_key ON sessions (owner, key);

CREATE INDEX sessions_by_updated ON sessions (owner, updated, id);

CREATE TABLE tasks (
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	runner VARCHAR,
	cancel INTEGER NOT NULL,
	background INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	crashes INTEGER NOT NULL,
	depth INTEGER NOT NULL,
	created BIGINT NOT NULL,
	started BIGINT,
	deadline BIGINT,
	ended BIGINT,
	session VARCHAR NOT NULL,
	parent VARCHAR NOT NULL,
	turn VARCHAR NOT NULL,
	handover VARCHAR NOT NULL,
	continuation VARCHAR,
	payload VARCHAR NOT NULL,
	outcome VARCHAR,
	PRIMARY KEY (id)
);

CREATE INDEX tasks_by_owner ON tasks (owner, created, id);

CREATE INDEX tasks_by_turn ON tasks (turn) WHERE ended IS NULL;

CREATE INDEX tasks_ended ON tasks (ended);

CREATE INDEX tasks_open ON tasks (handover, state) WHERE handover IN ('', 'kept');

CREATE TABLE job_nodes (
	job VARCHAR NOT NULL,
	path VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	starts INTEGER NOT NULL,
	turn VARCHAR NOT NULL,
	started BIGINT NOT NULL,
	ended BIGINT,
	output VARCHAR,
	error VARCHAR,
	PRIMARY KEY (job, path),
	FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
);

CREATE INDEX job_nodes_running ON job_nodes (turn) WHERE state = 'running';

CREATE TABLE memory_learned (
	session_id BIGINT NOT NULL,
	seq INTEGER NOT NULL,
	claim BIGINT NOT NULL,
	PRIMARY KEY (session_id),
	FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);

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

CREATE TABLE occurrences (
	schedule VARCHAR NOT NULL,
	instant BIGINT NOT NULL,
	id VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	started BIGINT,
	ended BIGINT,
	ref VARCHAR,
	runner VARCHAR,
	crashes INTEGER NOT NULL,
	root BIGINT,
	round INTEGER NOT NULL,
	material VARCHAR,
	error VARCHAR,
	PRIMARY KEY (schedule, instant),
	FOREIGN KEY(schedule) REFERENCES schedules (id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX occurrences_by_id ON occurrences (id);

CREATE INDEX occurrences_by_ref ON occurrences (ref) WHERE ref IS NOT NULL;

CREATE INDEX occurrences_ended ON occurrences (ended);

CREATE INDEX occurrences_held ON occurrences (runner) WHERE state = 'claimed';

CREATE INDEX occurrences_waiting ON occurrences (instant) WHERE state = 'waiting';

CREATE TABLE outbox_media (
	event BIGINT NOT NULL,
	digest VARCHAR NOT NULL,
	PRIMARY KEY (event, digest),
	FOREIGN KEY(event) REFERENCES outbox (seq) ON DELETE CASCADE
);

CREATE INDEX outbox_media_by_digest ON outbox_media (digest);

CREATE TABLE outbox_parts (
	event BIGINT NOT NULL,
	place INTEGER NOT NULL,
	body VARCHAR NOT NULL,
	started BIGINT,
	receipt_id VARCHAR,
	receipt_at BIGINT,
	receipt_notice VARCHAR,
	reached_at BIGINT,
	read_at BIGINT,
	PRIMARY KEY (event, place),
	FOREIGN KEY(event) REFERENCES outbox (seq) ON DELETE CASCADE
);

CREATE INDEX outbox_parts_by_receipt ON outbox_parts (receipt_id) WHERE receipt_id IS NOT NULL;

CREATE TABLE response_files (
	id VARCHAR NOT NULL,
	response VARCHAR NOT NULL,
	digest VARCHAR NOT NULL,
	name VARCHAR NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(response) REFERENCES responses (id) ON DELETE CASCADE
);

CREATE INDEX response_files_by_digest ON response_files (digest);

CREATE INDEX response_files_by_response ON response_files (response);

CREATE TABLE search_entries (
	id BIGSERIAL NOT NULL,
	space INTEGER NOT NULL,
	ref VARCHAR,
	session_id BIGINT,
	seq INTEGER,
	at BIGINT NOT NULL,
	text VARCHAR,
	terms BYTEA NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE SET NULL
);

CREATE UNIQUE INDEX search_entries_by_message ON search_entries (session_id, seq);

CREATE UNIQUE INDEX search_entries_by_ref ON search_entries (space, ref) WHERE ref IS NOT NULL;

CREATE INDEX search_entries_by_time ON search_entries (space, at);

CREATE INDEX search_entries_orphaned ON search_entries (id) WHERE session_id IS NULL AND ref IS NULL;

CREATE TABLE search_marks (
	session_id BIGINT NOT NULL,
	space INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	PRIMARY KEY (session_id),
	FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);

CREATE TABLE summaries (
	session_id BIGINT NOT NULL,
	seq INTEGER NOT NULL,
	results_from INTEGER NOT NULL,
	text VARCHAR NOT NULL,
	tokens INTEGER NOT NULL,
	made_by VARCHAR NOT NULL,
	at BIGINT NOT NULL,
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
	lease BIGINT,
	PRIMARY KEY (id),
	FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);

CREATE INDEX turns_by_session ON turns (session_id);

CREATE INDEX turns_open ON turns (session_id, started) WHERE ended IS NULL;

CREATE TABLE search_vectors (
	entry BIGINT NOT NULL,
	space INTEGER NOT NULL,
	model VARCHAR NOT NULL,
	vector BYTEA NOT NULL,
	PRIMARY KEY (entry),
	FOREIGN KEY(entry) REFERENCES search_entries (id) ON DELETE CASCADE
);

CREATE INDEX search_vectors_by_space ON search_vectors (space, model);

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

INSERT INTO alembic_version (version_num) VALUES ('0023');

