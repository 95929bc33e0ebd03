-- Statements of `store/pauses.py`; the words in braces are explained in queries.sql. `outbox_due` of queries.sql obeys them.

-- name: pauses_all
SELECT destination, since, who, note FROM pauses ORDER BY destination

-- name: pause_add (the first one stands)
INSERT INTO pauses (destination, since, who, note) VALUES (?, ?, ?, ?) ON CONFLICT (destination) DO NOTHING

-- name: pause_drop
DELETE FROM pauses WHERE destination = ?
