-- Statements of `store/usecases.py`; the words in braces are explained in queries.sql.

-- name: usecases_orders (the newest: their records, and whether they belong to somebody)
SELECT person, record FROM orders ORDER BY event DESC LIMIT ?

-- name: usecases_heard (the newest request of each of the last ones, by its source)
SELECT source, count(*), max(received_at) FROM (SELECT source, received_at FROM journal ORDER BY position DESC LIMIT ?) j
GROUP BY source
