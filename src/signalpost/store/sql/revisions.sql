-- Revisions of the workspace file, and proposals to change it.

-- name: revision_latest
SELECT id, digest, text, at, who, note, origin FROM revisions ORDER BY id DESC LIMIT 1

-- name: revision_newest
SELECT max(id) FROM revisions

-- name: revision_add
INSERT INTO revisions (digest, text, at, who, note, origin) VALUES (?, ?, ?, ?, ?, ?) RETURNING id

-- name: revisions_listed (each with the text before it; the newest first)
SELECT id, digest, text, at, who, note, origin,
    (SELECT e.text FROM revisions e WHERE e.id < r.id ORDER BY e.id DESC LIMIT 1)
FROM revisions r
WHERE id < ? AND (CAST(? AS TEXT) = '' OR origin = ?) AND (CAST(? AS TEXT) = '' OR who = ?)
ORDER BY id DESC LIMIT ?

-- name: revisions_who
SELECT DISTINCT who FROM revisions ORDER BY who LIMIT 50

-- name: revision_of
SELECT id, digest, text, at, who, note, origin FROM revisions WHERE id = ?

-- name: revision_before
SELECT id, digest, text, at, who, note, origin FROM revisions WHERE id < ? ORDER BY id DESC LIMIT 1

-- name: revision_text (of a digest)
SELECT text FROM revisions WHERE digest = ? ORDER BY id DESC LIMIT 1

-- name: revision_proposal (that it came of)
SELECT proposal FROM decided WHERE revision = ? LIMIT 1

-- name: proposal_add
INSERT INTO proposals (base, text, at, who, note, origin, state, since, changed_at) VALUES (?, ?, ?, ?, ?, ?, 'draft', ?, ?) RETURNING id

-- name: proposal_of
SELECT p.id, p.base, p.text, p.at, p.who, p.note, p.origin, p.state, p.since, p.done, p.total, p.sentence, p.changed_at,
    d.who, d.at, d.revision
FROM proposals p LEFT JOIN decided d ON d.proposal = p.id
WHERE p.id = ?

-- name: proposals_open (the newest first)
SELECT p.id, p.base, p.text, p.at, p.who, p.note, p.origin, p.state, p.since, p.done, p.total, p.sentence, p.changed_at,
    d.who, d.at, d.revision
FROM proposals p LEFT JOIN decided d ON d.proposal = p.id
WHERE p.state NOT IN ('applied', 'discarded')
ORDER BY p.id DESC LIMIT ?

-- name: proposals_closed (the newest first)
SELECT p.id, p.base, p.text, p.at, p.who, p.note, p.origin, p.state, p.since, p.done, p.total, p.sentence, p.changed_at,
    d.who, d.at, d.revision
FROM proposals p LEFT JOIN decided d ON d.proposal = p.id
WHERE p.state IN ('applied', 'discarded')
ORDER BY p.id DESC LIMIT ?

-- name: proposal_result
SELECT result FROM proposals WHERE id = ?

-- name: proposal_edit (what was planned of another text is forgotten)
UPDATE proposals
SET text = ?, base = ?, note = ?, state = 'draft', since = NULL, done = 0, total = 0, result = NULL, sentence = '', changed_at = ?
WHERE id = ? AND state IN ('draft', 'compared', 'failed')

-- name: proposal_compare
UPDATE proposals
SET base = ?, state = 'comparing', since = ?, done = 0, total = 0, result = NULL, sentence = '', changed_at = ?
WHERE id = ? AND (state IN ('draft', 'compared', 'failed') OR state = 'comparing' AND changed_at < ?)

-- name: proposal_progress
UPDATE proposals SET done = ?, total = ?, changed_at = ? WHERE id = ? AND state = 'comparing'

-- name: proposal_compared
UPDATE proposals SET state = 'compared', result = ?, done = total, sentence = '', changed_at = ? WHERE id = ? AND state = 'comparing'

-- name: proposal_move (from the second state to the first)
UPDATE proposals SET state = ?, sentence = ?, changed_at = ? WHERE id = ? AND state = ?

-- name: proposal_back (to what it was before it was to be applied)
UPDATE proposals SET state = CASE WHEN result IS NULL THEN 'draft' ELSE 'compared' END, sentence = ?, changed_at = ?
WHERE id = ? AND state IN ('wanted', 'applying')

-- name: proposals_in (in a state, the oldest first)
SELECT id FROM proposals WHERE state = ? ORDER BY id

-- name: decided_set
INSERT INTO decided (proposal, who, at, revision) VALUES (?, ?, ?, ?)
ON CONFLICT (proposal) DO UPDATE SET who = excluded.who, at = excluded.at, revision = excluded.revision

-- name: decided_forget
DELETE FROM decided WHERE proposal = ?
