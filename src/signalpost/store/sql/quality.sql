-- Statements of `store/quality.py`; the words in braces are explained in queries.sql.

-- name: quality_coverage (signals of each hour, and of them those with the key of each bit: a sum for each of `coverage.KEYS`)
SELECT hour, destination, source, name, sum(signals),
    sum(((keys >> 0) & 1) * signals),
    sum(((keys >> 1) & 1) * signals),
    sum(((keys >> 2) & 1) * signals),
    sum(((keys >> 3) & 1) * signals),
    sum(((keys >> 4) & 1) * signals),
    sum(((keys >> 5) & 1) * signals),
    sum(((keys >> 6) & 1) * signals),
    sum(((keys >> 7) & 1) * signals),
    sum(((keys >> 8) & 1) * signals),
    sum(((keys >> 9) & 1) * signals),
    sum(((keys >> 10) & 1) * signals),
    sum(((keys >> 11) & 1) * signals),
    sum(((keys >> 12) & 1) * signals),
    sum(((keys >> 13) & 1) * signals),
    sum(((keys >> 14) & 1) * signals),
    sum(((keys >> 15) & 1) * signals),
    sum(((keys >> 16) & 1) * signals),
    sum(((keys >> 17) & 1) * signals)
FROM coverage WHERE hour >= ? AND hour < ? GROUP BY hour, destination, source, name ORDER BY hour, destination, source, name

-- name: quality_marks (newest first)
SELECT kind, source, name, value, at, event, detail FROM marks WHERE at >= ? AND at < ? ORDER BY at DESC, kind, value LIMIT ?
