-- Statements of `store/rollouts.py`; the words in braces are explained in queries.sql.

-- name: rollouts_all
SELECT destination, stage, since, held FROM rollouts ORDER BY destination

-- name: rollout_set
INSERT INTO rollouts (destination, stage, since, held) VALUES (?, ?, ?, ?)
ON CONFLICT (destination) DO UPDATE SET stage = excluded.stage, since = excluded.since, held = excluded.held

-- name: rollout_drop
DELETE FROM rollouts WHERE destination = ?

-- name: rollout_verdicts (of one destination since a minute)
SELECT name, verdict, reason, CASE WHEN currency = '' THEN 0 ELSE 1 END, sum(signals) FROM rollups
WHERE destination = ? AND minute >= ? GROUP BY name, verdict, reason, CASE WHEN currency = '' THEN 0 ELSE 1 END

-- name: audit_add
INSERT INTO audit (at, who, what, subject, note) VALUES (?, ?, ?, ?, ?)

-- name: audit_of (the newest first)
SELECT at, who, what, note FROM audit WHERE subject = ? ORDER BY id DESC LIMIT ?
