-- Statements of `store/sizes.py`; the words in braces are explained in queries.sql.

-- name: sizes_hour
INSERT INTO segment_sizes (segment, at, people, entered, gone) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (segment, at) DO UPDATE SET people = excluded.people, entered = excluded.entered, gone = excluded.gone

-- name: sizes_newest
SELECT segment, max(at) FROM segment_sizes GROUP BY segment

-- name: sizes_hours
SELECT segment, at, people, entered, gone FROM segment_sizes WHERE segment {in_numbers} AND at >= ? ORDER BY segment, at

-- name: sizes_prune
DELETE FROM segment_sizes WHERE at < ?

-- name: sizes_fact
INSERT INTO counted (what, subject, at, facts) VALUES (?, ?, ?, ?)
ON CONFLICT (what, subject) DO UPDATE SET at = excluded.at, facts = excluded.facts

-- name: sizes_facts
SELECT subject, facts FROM counted WHERE what = ?

-- name: sizes_fact_of
SELECT facts FROM counted WHERE what = ? AND subject = ?
