-- Statements of `store/views.py`; the words in braces are explained in queries.sql.

-- name: view_set
INSERT INTO platform_views (destination, what, name, day, at, value) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (destination, what, name, day) DO UPDATE SET at = excluded.at, value = excluded.value

-- name: views_of (between two days; how the last asking went has no day)
SELECT destination, name, day, at, value FROM platform_views
WHERE what = ? AND day >= ? AND day <= ? AND name <> '' ORDER BY destination, name, day

-- name: views_asked
SELECT destination, what, at, value FROM platform_views WHERE name = '' AND day = '' ORDER BY destination, what

-- name: views_prune
DELETE FROM platform_views WHERE destination = ? AND day <> '' AND day < ?
