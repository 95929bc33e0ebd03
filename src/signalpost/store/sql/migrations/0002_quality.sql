-- Signal quality: what is known of orders, and what is counted so that every leak is visible.

-- purchases.Record as JSON: claims of each source, refunds, cancellation, fraud flag, pixel. NULL: from before this version.
ALTER TABLE orders ADD COLUMN record {bytes};
CREATE INDEX orders_event ON orders (event);

-- What is counted beside verdicts, by hour: what an observing gate would have withheld, orders paid back after they were sent.
CREATE TABLE notices (
    hour         BIGINT NOT NULL,       -- epoch ms of the hour's start
    destination  TEXT NOT NULL,
    what         TEXT NOT NULL,         -- observed, cancelled_after, refunded_after, flagged_after
    detail       TEXT NOT NULL,         -- the gate's name, else ''
    name         TEXT NOT NULL,         -- canonical event
    currency     TEXT NOT NULL,
    signals      BIGINT NOT NULL,
    value_micros BIGINT NOT NULL,
    last_event   BIGINT NOT NULL,       -- the latest example
    PRIMARY KEY (hour, destination, what, detail, name, currency)
) {without_rowid};

-- Histograms of how long things take, by hour: clocks.bucket (of holds the time itself) -> how many.
CREATE TABLE clocks (
    hour         BIGINT NOT NULL,
    clock        TEXT NOT NULL,         -- source: event time to intake; accepted: intake to accepted; held: of that, our own hold
    name         TEXT NOT NULL,         -- of the source or the destination
    bucket       BIGINT NOT NULL,
    signals      BIGINT NOT NULL,
    PRIMARY KEY (hour, clock, name, bucket)
) {without_rowid};

-- Which match keys signals had when they were made, by hour: a bit for each key (coverage.KEYS).
CREATE TABLE coverage (
    hour         BIGINT NOT NULL,
    destination  TEXT NOT NULL,
    source       TEXT NOT NULL,
    name         TEXT NOT NULL,
    keys         BIGINT NOT NULL,
    signals      BIGINT NOT NULL,
    PRIMARY KEY (hour, destination, source, name, keys)
) {without_rowid};

-- What was seen for the first time, and when: change markers beside a drop.
CREATE TABLE marks (
    kind         TEXT NOT NULL,         -- library, host, property, revision
    source       TEXT NOT NULL,
    name         TEXT NOT NULL,         -- of the event for a property, of the library; else ''
    value        TEXT NOT NULL,         -- the version, the host, the property; for a revision its digest
    at           BIGINT NOT NULL,
    event        BIGINT NOT NULL,
    detail       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (kind, source, name, value)
);
CREATE INDEX marks_at ON marks (at);

-- Signals made, by UTC day: for caps ("at most 5 for each purchase").
CREATE TABLE tallies (
    destination  TEXT NOT NULL,
    day          BIGINT NOT NULL,       -- epoch ms of the day's start
    name         TEXT NOT NULL,
    signals      BIGINT NOT NULL,
    PRIMARY KEY (destination, day, name)
) {without_rowid};

-- Where each destination's rollout stands.
CREATE TABLE rollouts (
    destination  TEXT PRIMARY KEY,
    stage        BIGINT NOT NULL,       -- 0 is the first
    since        BIGINT NOT NULL,
    held         TEXT NOT NULL          -- why it does not go on, in a sentence; '' when it may
) {without_rowid};

-- Who changed what by hand, or what changed by itself.
CREATE TABLE audit (
    id           {serial},
    at           BIGINT NOT NULL,
    who          TEXT NOT NULL,
    what         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    note         TEXT NOT NULL
);

-- Everything wrong or doubtful, from when to when.
CREATE TABLE findings (
    id           {serial},
    key          TEXT NOT NULL,         -- kind and subject; at most one open row each
    kind         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    severity     TEXT NOT NULL,         -- warning, problem
    sentence     TEXT NOT NULL,
    advice       TEXT NOT NULL,
    share        TEXT,                  -- of the signals looked at, as a decimal from 0 to 1
    money        TEXT,                  -- at stake, exact decimal
    currency     TEXT,
    examples     TEXT NOT NULL,         -- JSON list of event ids
    link         TEXT NOT NULL,         -- the docs page of this leak
    since        BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL,
    closed_at    BIGINT,
    alerted_at   BIGINT
);
CREATE INDEX findings_open ON findings (closed_at, key);
CREATE UNIQUE INDEX findings_one_open ON findings (key) WHERE closed_at IS NULL;
CREATE INDEX findings_since ON findings (since);

-- What the platforms themselves say they received, as they were last asked.
CREATE TABLE platform_views (
    destination  TEXT NOT NULL,
    what         TEXT NOT NULL,         -- event_quality_score, received
    name         TEXT NOT NULL,         -- the platform's event
    day          TEXT NOT NULL,         -- YYYY-MM-DD, UTC
    at           BIGINT NOT NULL,
    value        TEXT NOT NULL,         -- JSON
    PRIMARY KEY (destination, what, name, day)
) {without_rowid};
