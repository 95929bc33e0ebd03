-- Segments exact in time, and the audiences that follow them.

-- When the person's membership may change next by time alone; NULL: never.
ALTER TABLE people ADD COLUMN next_at BIGINT;
CREATE INDEX people_due ON people (next_at) WHERE next_at IS NOT NULL;

-- 0: not to be counted as having happened: a repeat, a further report of an order, a test.
ALTER TABLE events ADD COLUMN counts BIGINT NOT NULL DEFAULT 1;

-- The first event that reported the order's purchase; 0: none, or from before this version.
ALTER TABLE orders ADD COLUMN purchased BIGINT NOT NULL DEFAULT 0;

-- Every segment of the workspace: its small number, and whether everybody has been looked at under its present rule.
CREATE TABLE segments (
    slot        {id},
    name        TEXT NOT NULL UNIQUE,
    digest      TEXT NOT NULL,          -- of its rule with all that it names; another one begins a backfill
    ready_at    BIGINT,                 -- since when membership is exact; NULL: being built
    looked      BIGINT NOT NULL DEFAULT 0,  -- events that its backfill read again
    missing     BIGINT NOT NULL DEFAULT 0,  -- of them, those whose request the journal no longer held: they do not count
    removed_at  BIGINT                  -- when it left the workspace file
);

-- Who is inside, since when. By person first: all that an event moves of somebody then lies on one page.
CREATE TABLE members (
    person      BIGINT NOT NULL,
    segment     BIGINT NOT NULL,
    since       BIGINT NOT NULL,
    PRIMARY KEY (person, segment)
) {without_rowid};

-- Every change of membership: entered (1) or left (0), at which moment, by which event (0: by time).
CREATE TABLE moves (
    person      BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    segment     BIGINT NOT NULL,
    entered     BIGINT NOT NULL,
    event       BIGINT NOT NULL,        -- 0: a window ended; -1: the rule or the workspace changed
    PRIMARY KEY (person, at, segment, entered)
) {without_rowid};
CREATE INDEX moves_segment ON moves (segment, at);

-- How far the backfill of new rules has come, over events and then over people; the row goes when it is done.
CREATE TABLE backfills (
    id          {id},
    segments    TEXT NOT NULL,          -- JSON list of names
    slots       TEXT NOT NULL,          -- JSON list of what must be remembered that was not
    traits      TEXT NOT NULL,          -- JSON list of traits that must be kept that were not
    upto        BIGINT NOT NULL,        -- the last event id that the backfill reads; later ones the flow remembers itself
    event       BIGINT NOT NULL,        -- events up to this one are done
    person      BIGINT NOT NULL,        -- people up to this one are done
    total       BIGINT NOT NULL,        -- events and people to look at, for the progress bar
    done        BIGINT NOT NULL,
    missing     BIGINT NOT NULL,        -- events whose request the journal no longer holds
    started_at  BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL
);

-- What the live flow remembers, as of the last start: a slot that is not here needs a backfill.
CREATE TABLE remembered (
    what        TEXT PRIMARY KEY,       -- a memory slot's key, or trait:NAME
    dropped     BIGINT NOT NULL         -- 1: no rule needs it any more, and people still have old times of it
) {without_rowid};

-- Bounds of value tiers that are quantiles, as last computed.
CREATE TABLE cutoffs (
    name        TEXT PRIMARY KEY,
    digest      TEXT NOT NULL,          -- of what they are computed of; another one is computed at once
    at          BIGINT NOT NULL,        -- when they last moved
    computed_at BIGINT NOT NULL,        -- when they were last computed
    bounds      TEXT NOT NULL,          -- JSON list of exact decimals; empty: too few people
    people      BIGINT NOT NULL,        -- how many people they were computed over
    sentence    TEXT NOT NULL           -- what is wrong with them, for people; '' when nothing is
) {without_rowid};

-- Each audience of the workspace at each of its destinations.
CREATE TABLE audiences (
    slot        {id},
    name        TEXT NOT NULL,
    destination TEXT NOT NULL,
    digest      TEXT NOT NULL,          -- of its definition; another one walks through everyone
    state       TEXT NOT NULL,          -- new, ready, gone (deleted there), foreign (not ours any more), stopped, removed (from the file)
    sentence    TEXT NOT NULL,          -- what is wrong, for people; '' when nothing is
    platform_id TEXT,                   -- the platform's audience
    list_id     TEXT,                   -- Pinterest: the customer list that the audience wraps
    status      TEXT NOT NULL,          -- the platform's own word for it
    size        BIGINT,                 -- people the platform says it matched
    size_at     BIGINT,                 -- when it said so
    synced_at   BIGINT,                 -- when the platform last took a change
    loaded_at   BIGINT,                 -- when the first load was complete
    platform_name TEXT NOT NULL DEFAULT '',  -- its name there, unique; written before it is asked for, so that it is made once
    meaning     TEXT NOT NULL DEFAULT '',    -- what the status means, in the platform's file's words
    usable      BIGINT NOT NULL DEFAULT 0,   -- 1: ads can use it, as the platform said at size_at
    way         TEXT NOT NULL DEFAULT '',    -- how it was made, and is changed: stream, file; '' while it is not made
    applied     TEXT NOT NULL DEFAULT '{}',  -- JSON: the ad groups that were told to use it, how, and what went wrong
    used_by     TEXT,                        -- JSON: the ad groups that use it and how, as the platform says; NULL: it does not
    held_by     TEXT NOT NULL DEFAULT '',    -- the process that keeps it: never two at once
    held_until  BIGINT NOT NULL DEFAULT 0,
    UNIQUE (name, destination)
);

-- What a platform would not take or give back, by its sentence.
CREATE TABLE audience_refusals (
    audience    BIGINT NOT NULL,
    adding      BIGINT NOT NULL,        -- 1 it would not add, 0 it would not remove
    sentence    TEXT NOT NULL,
    keys        BIGINT NOT NULL,        -- identifiers
    at          BIGINT NOT NULL,        -- the last time
    PRIMARY KEY (audience, adding, sentence)
) {without_rowid};

-- How many people each audience wanted, by the hour: a jump is seen against what is usual.
CREATE TABLE audience_sizes (
    audience    BIGINT NOT NULL,
    hour        BIGINT NOT NULL,
    people      BIGINT NOT NULL,
    PRIMARY KEY (audience, hour)
) {without_rowid};

-- Whom each audience wants. stale: the platform has not yet taken all of it.
CREATE TABLE audience_people (
    audience    BIGINT NOT NULL,
    person      BIGINT NOT NULL,
    wanted      BIGINT NOT NULL,        -- 1 in, 0 out
    stale       BIGINT NOT NULL,        -- counts up with each change, 0: taken; an answer to an older change settles nothing
    priority    BIGINT NOT NULL,        -- 0 a purchase, refund or wish moved them; 1 anything else; 2 first load
    event       BIGINT NOT NULL,        -- as in moves
    asked_at    BIGINT NOT NULL,        -- intake of that event, or the moment the window ended
    PRIMARY KEY (audience, person)
) {without_rowid};
CREATE INDEX audience_stale ON audience_people (audience, priority, asked_at) WHERE stale > 0;
CREATE INDEX audience_person ON audience_people (person);

-- What the platform holds, or may hold, for whom: removals use exactly what was added.
CREATE TABLE audience_keys (
    audience    BIGINT NOT NULL,
    key         TEXT NOT NULL,          -- kind:hash, as it was sent
    person      BIGINT NOT NULL,
    state       TEXT NOT NULL,          -- adding (asked, not answered), there (taken), removing (asked, not answered)
                                        -- refused (it would not add), stuck (it would not remove)
    at          BIGINT NOT NULL,
    PRIMARY KEY (audience, key, person)
) {without_rowid};
CREATE INDEX audience_keys_person ON audience_keys (person);
