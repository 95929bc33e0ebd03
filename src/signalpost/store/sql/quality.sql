-- Statements of `store/quality.py`; the words in braces are explained in queries.sql.

-- name: quality_marks (newest first)
SELECT kind, source, name, value, at, event, detail FROM marks WHERE at >= ? AND at < ? ORDER BY at DESC, kind, value LIMIT ?
