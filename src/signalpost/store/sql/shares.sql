-- Statements of `store/shares.py`; the words in braces are explained in queries.sql.

-- name: share_add
INSERT INTO shares (digest, what, subject, made_by, made_at, until) VALUES (?, ?, ?, ?, ?, ?) RETURNING id

-- name: share_of
SELECT id, what, subject, made_by, made_at, until, seen_at FROM shares WHERE digest = ? AND until > ? AND removed_at IS NULL

-- name: share_seen
UPDATE shares SET seen_at = ? WHERE id = ?

-- name: shares_live
SELECT id, what, subject, made_by, made_at, until, seen_at FROM shares
WHERE what = ? AND until > ? AND removed_at IS NULL ORDER BY id DESC LIMIT 100

-- name: share_remove
UPDATE shares SET removed_at = ? WHERE id = ? AND what = ? AND removed_at IS NULL

-- name: signoff_add
INSERT INTO signoffs (destination, who, note, at, checks) VALUES (?, ?, ?, ?, ?)

-- name: signoffs_latest (of each destination)
SELECT s.destination, s.who, s.note, s.at, s.checks FROM signoffs s
WHERE s.id = (SELECT max(o.id) FROM signoffs o WHERE o.destination = s.destination)

-- name: signoffs_of
SELECT destination, who, note, at FROM signoffs WHERE destination = ? ORDER BY id DESC LIMIT ?
