-- What is exported of the history, a page at a time; one text for both databases, as in queries.sql.

-- name: history_size
SELECT (SELECT count(*) FROM events WHERE person <> 0), (SELECT count(*) FROM people), (SELECT count(*) FROM orders)

-- name: history_events (of people who can be recognised; also those that do not count, which may still tell something of them)
SELECT id, kind, name, person, order_id, time, received_at, note, counts FROM events
WHERE id > ? AND person <> 0 ORDER BY id LIMIT ?

-- name: history_events_named
SELECT id, kind, name, person, order_id, time, received_at, note, counts FROM events
WHERE id > ? AND counts = 1 AND person <> 0 AND name {in_texts} ORDER BY id LIMIT ?

-- name: history_people (a person's number is that of the event that made them)
SELECT p.id, p.record, e.received_at FROM people p LEFT JOIN events e ON e.id = p.id WHERE p.id > ? ORDER BY p.id LIMIT ?

-- name: history_orders
SELECT key, person, record FROM orders WHERE key > ? AND person <> 0 AND record IS NOT NULL ORDER BY key LIMIT ?

-- name: history_merges (who became whom)
SELECT event, other, person FROM merges WHERE joined = 1 ORDER BY event

-- name: history_rights (who wished to be left alone, or no longer)
SELECT id, kind, person FROM events WHERE kind IN ('suppress', 'unsuppress') AND person <> 0 ORDER BY id
