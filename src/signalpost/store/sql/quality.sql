-- Statements of `store/quality.py`; the words in braces are explained in queries.sql.

-- name: quality_clocks (by the hour, of one clock)
SELECT hour, name, bucket, signals FROM clocks WHERE clock = ? AND hour >= ? AND hour < ? ORDER BY hour

-- name: quality_coverage
SELECT hour, destination, source, name, keys, signals FROM coverage WHERE hour >= ? AND hour < ? ORDER BY hour

-- name: quality_marks (newest first)
SELECT kind, source, name, value, at, event, detail FROM marks WHERE at >= ? AND at < ? ORDER BY at DESC LIMIT ?
