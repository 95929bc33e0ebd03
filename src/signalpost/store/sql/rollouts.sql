-- Statements of `store/rollouts.py`; the words in braces are explained in queries.sql.

-- name: rollouts_all
SELECT destination, stage, since, held FROM rollouts ORDER BY destination

-- name: rollout_set
INSERT INTO rollouts (destination, stage, since, held) VALUES (?, ?, ?, ?)
ON CONFLICT (destination) DO UPDATE SET stage = excluded.stage, since = excluded.since, held = excluded.held

-- name: rollout_drop
DELETE FROM rollouts WHERE destination = ?

-- name: audit_add
INSERT INTO audit (at, who, what, subject, note) VALUES (?, ?, ?, ?, ?)

-- name: audit_of (the newest first)
SELECT at, who, what, note FROM audit WHERE subject = ? ORDER BY id DESC LIMIT ?
