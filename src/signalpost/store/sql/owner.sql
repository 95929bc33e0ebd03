-- Statements of `store/owner.py`; the words in braces are explained in queries.sql.

-- name: owner
SELECT subject FROM audit WHERE what = ? ORDER BY id LIMIT 1
