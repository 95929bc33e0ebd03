-- The first schema. One text for both databases; the words in braces differ:
--   {id} an integer primary key we choose, {serial} one the database counts up and never uses twice, {bytes} raw bytes.

-- Accepted requests, raw. Rows are dropped by age (retention.journal), never changed.
CREATE TABLE journal (
    position    {serial},
    source      TEXT NOT NULL,
    wire        TEXT NOT NULL,
    method      TEXT NOT NULL,
    path        TEXT NOT NULL,
    headers     TEXT NOT NULL,          -- JSON object, only what the wire needs again
    body        {bytes} NOT NULL,
    client_ip   TEXT,
    user_agent  TEXT,
    received_at BIGINT NOT NULL,
    messages    BIGINT NOT NULL         -- how many events it holds: to cut batches without reading bodies
);
CREATE INDEX journal_age ON journal (received_at);

-- Requests not yet taken through the pipeline. A row appears with its journal row and goes with the batch that processed it:
-- claimed, not "position > last", so that nothing is skipped when several writers commit out of order.
CREATE TABLE backlog (
    position    {id},
    messages    BIGINT NOT NULL
);

-- What was wrong with single messages of accepted requests.
CREATE TABLE refusals (
    position    BIGINT NOT NULL,
    place       BIGINT NOT NULL,
    path        TEXT NOT NULL,
    sentence    TEXT NOT NULL,
    PRIMARY KEY (position, place)
);

-- Every event taken from the journal: id = position * 65536 + place in the request, so ids follow time and repeat the same.
CREATE TABLE events (
    id          {id},
    message_key TEXT NOT NULL,          -- source:message id; a repeat is stored as source:message id#id
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,          -- canonical
    person      BIGINT NOT NULL,        -- 0: nobody recognisable
    order_id    TEXT,
    time        BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    note        TEXT                    -- how the value was found, or what the event was a repeat of
);
CREATE UNIQUE INDEX events_message ON events (message_key);
CREATE INDEX events_order ON events (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX events_age ON events (received_at);

CREATE TABLE identifiers (
    key         TEXT PRIMARY KEY,       -- kind:value
    person      BIGINT NOT NULL
) {without_rowid};
CREATE INDEX identifiers_person ON identifiers (person);

CREATE TABLE people (
    id          {id},
    record      {bytes} NOT NULL,       -- events.Person as JSON
    changed_at  BIGINT NOT NULL
);
CREATE INDEX people_age ON people (changed_at);

-- Why two people are one, or were kept apart.
CREATE TABLE merges (
    event       BIGINT NOT NULL,
    person      BIGINT NOT NULL,
    other       BIGINT NOT NULL,
    joined      BIGINT NOT NULL,        -- 1 merged, 0 kept apart
    why         TEXT NOT NULL,
    snapshot    {bytes},                -- the other's record before the merge
    at          BIGINT NOT NULL,
    PRIMARY KEY (event, person, other)
);
CREATE INDEX merges_person ON merges (person);
CREATE INDEX merges_other ON merges (other);

-- Purchases already counted, by order id; an id the shop used twice has two rows.
CREATE TABLE orders (
    key         TEXT PRIMARY KEY,       -- order id, or order id~event for a reused id
    order_id    TEXT NOT NULL,
    person      BIGINT NOT NULL,
    event       BIGINT NOT NULL,
    time        BIGINT NOT NULL,
    sent        TEXT NOT NULL           -- the destinations that count it, separated by spaces
);
CREATE INDEX orders_order ON orders (order_id);

-- One row for each event and destination. waiting -> accepted | warned | refused | unknown; withheld is final at once.
-- refused or unknown -> waiting only by replay, which leaves a row in ledger_trace.
CREATE TABLE ledger (
    event          BIGINT NOT NULL,
    destination    TEXT NOT NULL,
    verdict        TEXT NOT NULL,
    reason         TEXT,                -- a key of gates.REASONS, or the platform's code
    sentence       TEXT,                -- the platform's answer, explained; personal data redacted
    platform_event TEXT,
    platform_id    TEXT,                -- what the platform deduplicates on
    value          TEXT,
    currency       TEXT,
    decided_at     BIGINT NOT NULL,
    sent_at        BIGINT,
    settled_at     BIGINT,
    attempts       BIGINT NOT NULL DEFAULT 0,
    request        BIGINT,
    PRIMARY KEY (event, destination)
) {without_rowid};

-- Every verdict that was replaced, and every attempt that did not settle.
CREATE TABLE ledger_trace (
    event       BIGINT NOT NULL,
    destination TEXT NOT NULL,
    at          BIGINT NOT NULL,
    verdict     TEXT NOT NULL,
    reason      TEXT,
    sentence    TEXT,
    request     BIGINT
);
CREATE INDEX ledger_trace_event ON ledger_trace (event, destination);

-- A small number for each destination name, given once: part of the ids of its signals.
CREATE TABLE destinations (
    name        TEXT PRIMARY KEY,
    slot        BIGINT NOT NULL UNIQUE
) {without_rowid};

-- Rendered signals on their way. due_at: not before; leased_until: somebody is sending it until then (0: nobody).
-- id = event * 64 + the destination's slot.
CREATE TABLE outbox (
    id               {id},
    destination      TEXT NOT NULL,
    priority         BIGINT NOT NULL,   -- 0 purchase, 1 checkout, 2 cart, 3 rest
    event            BIGINT NOT NULL,
    person           BIGINT NOT NULL,
    name             TEXT NOT NULL,
    event_time       BIGINT NOT NULL,
    received_at      BIGINT NOT NULL,
    due_at           BIGINT NOT NULL,
    leased_until     BIGINT NOT NULL DEFAULT 0,
    attempts         BIGINT NOT NULL DEFAULT 0,
    first_attempt_at BIGINT,            -- the first attempt that may have reached the platform
    value_micros     BIGINT,
    currency         TEXT,
    body             {bytes} NOT NULL
);
CREATE INDEX outbox_next ON outbox (destination, priority, id);
CREATE INDEX outbox_person ON outbox (person);

-- Every HTTP request made to a platform.
CREATE TABLE requests (
    id          {serial},
    destination TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL,
    signals     BIGINT NOT NULL,
    status      BIGINT,                 -- NULL: no answer
    summary     TEXT NOT NULL,          -- accepted 200, or what went wrong
    platform_request TEXT
);
CREATE INDEX requests_age ON requests (started_at);

-- Why a destination is not sending now, and when it tries again.
CREATE TABLE breakers (
    destination TEXT PRIMARY KEY,
    since       BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    failures    BIGINT NOT NULL,
    sentence    TEXT NOT NULL
);

-- Counters per minute: signals by destination, event, verdict and reason, with value in millionths of the currency.
CREATE TABLE rollups (
    minute       BIGINT NOT NULL,       -- epoch ms of the minute's start
    destination  TEXT NOT NULL,         -- '' for what is counted once: events, refused messages
    name         TEXT NOT NULL,
    verdict      TEXT NOT NULL,
    reason       TEXT NOT NULL,
    currency     TEXT NOT NULL,
    signals      BIGINT NOT NULL,
    value_micros BIGINT NOT NULL,
    latency_ms   BIGINT NOT NULL,       -- sum, intake to verdict
    PRIMARY KEY (minute, destination, name, verdict, reason, currency)
) {without_rowid};
