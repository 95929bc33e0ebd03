-- Statements of `store/valuing.py`; the words in braces are explained in queries.sql.

-- name: cutoffs_all
SELECT name, digest, at, computed_at, bounds, people, sentence FROM cutoffs ORDER BY name

-- name: cutoffs_write
INSERT INTO cutoffs (name, digest, at, computed_at, bounds, people, sentence) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, at = excluded.at, computed_at = excluded.computed_at,
  bounds = excluded.bounds, people = excluded.people, sentence = excluded.sentence

-- name: cutoffs_forget
DELETE FROM cutoffs WHERE name {in_texts}

-- name: valuing_people (after a person, by id)
SELECT id, record FROM people WHERE id > ? ORDER BY id LIMIT ?
