-- Statements of `store/sums.py`; the words in braces are explained in queries.sql.

-- name: sums_upto
SELECT span, upto FROM summed

-- name: sums_reach (of a span: never back)
INSERT INTO summed (span, upto) VALUES (?, ?) ON CONFLICT (span) DO UPDATE SET upto = {greatest}(summed.upto, excluded.upto)

-- name: sums_next (the first minute counted from one on)
SELECT min(minute) FROM rollups WHERE minute >= ?

-- name: sums_of_minutes (the hours that begin in [from, to); who else sums them up writes the same)
INSERT INTO sums (span, at, destination, name, verdict, reason, currency, signals, units, millionths, latency_ms)
SELECT 3600000, minute - minute % 3600000, destination, name, verdict, reason, currency, sum(signals),
       sum(value_micros / 1000000), sum(value_micros % 1000000), sum(latency_ms)
FROM rollups WHERE minute >= ? AND minute < ?
GROUP BY minute - minute % 3600000, destination, name, verdict, reason, currency
ON CONFLICT DO NOTHING

-- name: sums_of_hours (the days that begin in [from, to))
INSERT INTO sums (span, at, destination, name, verdict, reason, currency, signals, units, millionths, latency_ms)
SELECT 86400000, at - at % 86400000, destination, name, verdict, reason, currency, sum(signals), sum(units), sum(millionths),
       sum(latency_ms)
FROM sums WHERE span = 3600000 AND at >= ? AND at < ?
GROUP BY at - at % 86400000, destination, name, verdict, reason, currency
ON CONFLICT DO NOTHING

-- name: sums_read (days, hours twice, minutes twice: each from, to)
SELECT destination, name, verdict, reason, currency, sum(signals), sum(units), sum(millionths), sum(latency_ms) FROM (
    SELECT destination, name, verdict, reason, currency, signals, units, millionths, latency_ms FROM sums
    WHERE span = 86400000 AND at >= ? AND at < ?
    UNION ALL
    SELECT destination, name, verdict, reason, currency, signals, units, millionths, latency_ms FROM sums
    WHERE span = 3600000 AND at >= ? AND at < ?
    UNION ALL
    SELECT destination, name, verdict, reason, currency, signals, units, millionths, latency_ms FROM sums
    WHERE span = 3600000 AND at >= ? AND at < ?
    UNION ALL
    SELECT destination, name, verdict, reason, currency, signals, value_micros / 1000000, value_micros % 1000000, latency_ms
    FROM rollups WHERE minute >= ? AND minute < ?
    UNION ALL
    SELECT destination, name, verdict, reason, currency, signals, value_micros / 1000000, value_micros % 1000000, latency_ms
    FROM rollups WHERE minute >= ? AND minute < ?
) counted GROUP BY destination, name, verdict, reason, currency

-- name: sums_read_by (by steps of whole hours: step; days, hours twice, minutes twice: each from, to)
SELECT at - at % ?, destination, name, verdict, reason, currency, sum(signals), sum(units), sum(millionths), sum(latency_ms) FROM (
    SELECT at, destination, name, verdict, reason, currency, signals, units, millionths, latency_ms FROM sums
    WHERE span = 86400000 AND at >= ? AND at < ?
    UNION ALL
    SELECT at, destination, name, verdict, reason, currency, signals, units, millionths, latency_ms FROM sums
    WHERE span = 3600000 AND at >= ? AND at < ?
    UNION ALL
    SELECT at, destination, name, verdict, reason, currency, signals, units, millionths, latency_ms FROM sums
    WHERE span = 3600000 AND at >= ? AND at < ?
    UNION ALL
    SELECT minute, destination, name, verdict, reason, currency, signals, value_micros / 1000000, value_micros % 1000000,
           latency_ms
    FROM rollups WHERE minute >= ? AND minute < ?
    UNION ALL
    SELECT minute, destination, name, verdict, reason, currency, signals, value_micros / 1000000, value_micros % 1000000,
           latency_ms
    FROM rollups WHERE minute >= ? AND minute < ?
) counted GROUP BY 1, destination, name, verdict, reason, currency ORDER BY 1

-- name: prune_sums (of a span)
DELETE FROM sums WHERE span = ? AND at < ?
