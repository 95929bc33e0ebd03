-- Revisions of the workspace file, and proposals to change it.

-- name: revision_latest
SELECT id, digest, text, at, who, note, origin FROM revisions ORDER BY id DESC LIMIT 1

-- name: revision_add
INSERT INTO revisions (digest, text, at, who, note, origin) VALUES (?, ?, ?, ?, ?, ?) RETURNING id

-- name: revisions_latest
SELECT id, digest, text, at, who, note, origin FROM revisions ORDER BY id DESC LIMIT ?

-- name: revision_of
SELECT id, digest, text, at, who, note, origin FROM revisions WHERE id = ?

-- name: proposal_add
INSERT INTO proposals (base, text, at, who, note, origin, state, since, changed_at) VALUES (?, ?, ?, ?, ?, ?, 'draft', ?, ?) RETURNING id
