-- Statements of `glances.py`; the words in braces are explained in queries.sql.

-- name: glances_last
SELECT max(id) FROM people

-- name: glances_people (those whose numbers are in a stretch)
SELECT record FROM people WHERE id >= ? AND id < ? ORDER BY id

-- name: glances_merged (who was merged into these people)
SELECT other, person FROM merges WHERE person {in_numbers} AND joined = 1

-- name: glances_events (of these people, those of these names that count)
SELECT id, kind, name, person, time, received_at, note FROM events
WHERE person {in_numbers} AND person <> 0 AND name {in_texts} AND counts = 1 ORDER BY id
