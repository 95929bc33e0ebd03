-- The console: who may do what, what was changed, and sums that are quick to read.

-- People who use the console.
CREATE TABLE users (
    id          {serial},
    email       TEXT NOT NULL UNIQUE,   -- lower case: the name one signs in by
    name        TEXT NOT NULL,
    role        TEXT NOT NULL,          -- viewer, operator, admin
    password    TEXT NOT NULL DEFAULT '',  -- argon2's own notation; '': only by single sign-on or a link
    subject     TEXT UNIQUE,            -- issuer and subject of single sign-on, once it was used
    made_at     BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL DEFAULT 0,
    removed_at  BIGINT                  -- may not come in any more; the row stays for the audit's sake
);

-- Browsers that are signed in. Only a hash of the cookie's value is kept, here as in the tables below.
CREATE TABLE sessions (
    digest      TEXT PRIMARY KEY,
    account     BIGINT NOT NULL,        -- a row of users
    made_at     BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    agent       TEXT NOT NULL DEFAULT ''   -- the browser as it named itself, for the list of one's sessions
) {without_rowid};
CREATE INDEX sessions_account ON sessions (account);

-- Links that let somebody in once: the first admin, somebody invited, a forgotten password.
CREATE TABLE links (
    digest      TEXT PRIMARY KEY,
    what        TEXT NOT NULL,          -- first (make the first admin), invite, password, enter (straight in, as the demo's)
    account     BIGINT NOT NULL,        -- a row of users; 0: nobody yet
    made_at     BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    used_at     BIGINT                  -- a link of kind enter stays usable
) {without_rowid};

-- Keys for programs.
CREATE TABLE api_keys (
    id          {serial},
    digest      TEXT NOT NULL UNIQUE,
    start       TEXT NOT NULL,          -- its first letters, to tell keys apart
    name        TEXT NOT NULL,
    role        TEXT NOT NULL,
    made_by     TEXT NOT NULL,
    made_at     BIGINT NOT NULL,
    used_at     BIGINT,
    until       BIGINT,                 -- NULL: for ever
    removed_at  BIGINT
);

CREATE INDEX audit_at ON audit (at);

-- Every text of the workspace file that was ever in force.
CREATE TABLE revisions (
    id          {serial},
    digest      TEXT NOT NULL,          -- of the text
    text        TEXT NOT NULL,          -- as in the file: variables by their names, never their values
    at          BIGINT NOT NULL,
    who         TEXT NOT NULL,
    note        TEXT NOT NULL,
    origin      TEXT NOT NULL           -- start (the file was found so), apply, rollback
);

-- Changes of the workspace file that are proposed, and what they would do.
CREATE TABLE proposals (
    id          {serial},
    base        TEXT NOT NULL,          -- digest of the text that it changes
    text        TEXT NOT NULL,
    at          BIGINT NOT NULL,
    who         TEXT NOT NULL,
    note        TEXT NOT NULL,
    origin      TEXT NOT NULL,          -- editor, segment, setup, rollback, command
    state       TEXT NOT NULL,          -- draft, comparing, compared, failed, wanted (to be applied), applying, applied, discarded
    since       BIGINT,                 -- from when events are replayed
    done        BIGINT NOT NULL DEFAULT 0,
    total       BIGINT NOT NULL DEFAULT 0,
    result      {bytes},                -- proposals.Comparison as JSON
    sentence    TEXT NOT NULL DEFAULT '',  -- why it failed
    changed_at  BIGINT NOT NULL
);

CREATE INDEX proposals_state ON proposals (state);

-- Who applied or discarded a proposal, and the revision that came of it.
CREATE TABLE decided (
    proposal    BIGINT PRIMARY KEY,
    who         TEXT NOT NULL,
    at          BIGINT NOT NULL,
    revision    BIGINT                  -- NULL: not in force, or not yet
) {without_rowid};
CREATE INDEX decided_revision ON decided (revision);

-- Links to read-only pages for people without an account.
CREATE TABLE shares (
    id          {serial},
    digest      TEXT NOT NULL UNIQUE,
    what        TEXT NOT NULL,          -- checklist
    subject     TEXT NOT NULL,          -- a destination; '' for all
    made_by     TEXT NOT NULL,
    made_at     BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    seen_at     BIGINT,
    removed_at  BIGINT
);

-- Who signed a checklist off, and what it said then.
CREATE TABLE signoffs (
    id          {serial},
    destination TEXT NOT NULL,
    who         TEXT NOT NULL,
    note        TEXT NOT NULL,
    at          BIGINT NOT NULL,
    checks      {bytes} NOT NULL        -- the checklist as JSON
);
CREATE INDEX signoffs_destination ON signoffs (destination, at);

-- Destinations whose signals wait because somebody said so.
CREATE TABLE pauses (
    destination TEXT PRIMARY KEY,
    since       BIGINT NOT NULL,
    who         TEXT NOT NULL,
    note        TEXT NOT NULL
) {without_rowid};

-- rollups summed up by the hour and by the UTC day, once these are over; span is how many ms each row holds.
CREATE TABLE sums (
    span         BIGINT NOT NULL,
    at           BIGINT NOT NULL,       -- epoch ms of its start
    destination  TEXT NOT NULL,
    name         TEXT NOT NULL,
    verdict      TEXT NOT NULL,
    reason       TEXT NOT NULL,
    currency     TEXT NOT NULL,
    signals      BIGINT NOT NULL,
    units        BIGINT NOT NULL,       -- the value in two parts, so that no sum of minutes is too large to be exact:
    millionths   BIGINT NOT NULL,       -- units of the currency, and millionths of it
    latency_ms   BIGINT NOT NULL,
    PRIMARY KEY (span, at, destination, name, verdict, reason, currency)
) {without_rowid};

-- Up to when rollups are summed up.
CREATE TABLE summed (
    span         BIGINT PRIMARY KEY,
    upto         BIGINT NOT NULL
) {without_rowid};

-- How many people each segment held at the beginning of each hour; since the last of them the moves say it exactly.
CREATE TABLE segment_sizes (
    segment     BIGINT NOT NULL,
    at          BIGINT NOT NULL,        -- epoch ms of the hour's beginning
    people      BIGINT NOT NULL,        -- inside at that moment
    entered     BIGINT NOT NULL,        -- in the hour that begins then
    gone        BIGINT NOT NULL,
    PRIMARY KEY (segment, at)
) {without_rowid};

-- What is costly to count, as counted last.
CREATE TABLE counted (
    what        TEXT NOT NULL,          -- people (all of them), audience, forecast (of a segment)
    subject     BIGINT NOT NULL,        -- its number; 0 where there is only one
    at          BIGINT NOT NULL,
    facts       {bytes} NOT NULL,       -- JSON, as in store/sizes.py
    PRIMARY KEY (what, subject)
) {without_rowid};

-- The winner's record before the merge, so that the merge can be undone: then joined is 2. NULL: from before this version.
ALTER TABLE merges ADD COLUMN kept {bytes};

-- What somebody did, newest first.
CREATE INDEX events_person ON events (person, id) WHERE person <> 0;

-- What a platform found fault with, newest first: few among many verdicts.
CREATE INDEX ledger_troubled ON ledger (verdict, event) WHERE verdict IN ('warned', 'refused', 'unknown');


-- What each platform said when it was last asked whether it knows the account.
CREATE TABLE account_answers (
    destination TEXT PRIMARY KEY,
    good        BIGINT NOT NULL,
    sentence    TEXT NOT NULL,
    at          BIGINT NOT NULL
) {without_rowid};

-- The latest send-test of each destination, whole.
CREATE TABLE trials (
    destination TEXT PRIMARY KEY,
    at          BIGINT NOT NULL,
    who         TEXT NOT NULL,
    result      {bytes} NOT NULL        -- trial.Trial as JSON
) {without_rowid};

-- The checklists as they were last gone through: one row, number 1.
CREATE TABLE checkups (
    id          {id},
    at          BIGINT NOT NULL,
    result      {bytes} NOT NULL        -- doctor.Checkup as JSON
);

-- When a destination rested and why; the present rest is in breakers.
CREATE TABLE rests (
    destination TEXT NOT NULL,
    since       BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    failures    BIGINT NOT NULL,
    sentence    TEXT NOT NULL,
    PRIMARY KEY (destination, since)
) {without_rowid};

-- What may be sent again, and the latest requests of a destination, without reading all the rest.
CREATE INDEX ledger_dead ON ledger (destination, event) WHERE verdict IN ('refused', 'unknown');
CREATE INDEX requests_destination ON requests (destination, id);

-- What people wrote about a finding: who looks after it, what was found out.
CREATE TABLE finding_notes (
    finding     BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    who         TEXT NOT NULL,
    note        TEXT NOT NULL,
    PRIMARY KEY (finding, at)
) {without_rowid};

-- coverage and clocks of hours that are over, condensed: how many signals had each key (coverage.KEYS), one histogram as JSON.
CREATE TABLE coverage_hours (
    hour         BIGINT NOT NULL,
    destination  TEXT NOT NULL,
    source       TEXT NOT NULL,
    name         TEXT NOT NULL,
    signals      BIGINT NOT NULL,
    k0 BIGINT NOT NULL,
    k1 BIGINT NOT NULL,
    k2 BIGINT NOT NULL,
    k3 BIGINT NOT NULL,
    k4 BIGINT NOT NULL,
    k5 BIGINT NOT NULL,
    k6 BIGINT NOT NULL,
    k7 BIGINT NOT NULL,
    k8 BIGINT NOT NULL,
    k9 BIGINT NOT NULL,
    k10 BIGINT NOT NULL,
    k11 BIGINT NOT NULL,
    k12 BIGINT NOT NULL,
    k13 BIGINT NOT NULL,
    k14 BIGINT NOT NULL,
    k15 BIGINT NOT NULL,
    k16 BIGINT NOT NULL,
    k17 BIGINT NOT NULL,
    PRIMARY KEY (hour, destination, source, name)
) {without_rowid};
CREATE TABLE clock_hours (
    hour         BIGINT NOT NULL,
    clock        TEXT NOT NULL,
    name         TEXT NOT NULL,
    histogram    TEXT NOT NULL,
    PRIMARY KEY (hour, clock, name)
) {without_rowid};
