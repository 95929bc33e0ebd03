-- Statements of `store/trends.py`; the words in braces are explained in queries.sql.

-- name: trend_hours_ended (hours before one that are not yet condensed, oldest first)
SELECT hour FROM coverage WHERE hour < ? UNION SELECT hour FROM clocks WHERE hour < ? ORDER BY 1 LIMIT ?

-- name: trend_keys_condense (the masks of an hour as how many signals had each key: a column for each of `coverage.KEYS`)
INSERT INTO coverage_hours (hour, destination, source, name, signals, k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12, k13, k14, k15, k16, k17)
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
FROM coverage WHERE hour = ? GROUP BY hour, destination, source, name
ON CONFLICT (hour, destination, source, name) DO UPDATE SET signals = coverage_hours.signals + excluded.signals,
    k0 = coverage_hours.k0 + excluded.k0,
    k1 = coverage_hours.k1 + excluded.k1,
    k2 = coverage_hours.k2 + excluded.k2,
    k3 = coverage_hours.k3 + excluded.k3,
    k4 = coverage_hours.k4 + excluded.k4,
    k5 = coverage_hours.k5 + excluded.k5,
    k6 = coverage_hours.k6 + excluded.k6,
    k7 = coverage_hours.k7 + excluded.k7,
    k8 = coverage_hours.k8 + excluded.k8,
    k9 = coverage_hours.k9 + excluded.k9,
    k10 = coverage_hours.k10 + excluded.k10,
    k11 = coverage_hours.k11 + excluded.k11,
    k12 = coverage_hours.k12 + excluded.k12,
    k13 = coverage_hours.k13 + excluded.k13,
    k14 = coverage_hours.k14 + excluded.k14,
    k15 = coverage_hours.k15 + excluded.k15,
    k16 = coverage_hours.k16 + excluded.k16,
    k17 = coverage_hours.k17 + excluded.k17

-- name: trend_keys_drop
DELETE FROM coverage WHERE hour = ?

-- name: trend_keys (of a window by steps: condensed hours and those that still have masks)
SELECT hour - hour % ?, destination, source, name, sum(signals), sum(k0), sum(k1), sum(k2), sum(k3), sum(k4), sum(k5), sum(k6), sum(k7), sum(k8), sum(k9), sum(k10), sum(k11), sum(k12), sum(k13), sum(k14), sum(k15), sum(k16), sum(k17) FROM (
SELECT hour, destination, source, name, signals, k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12, k13, k14, k15, k16, k17 FROM coverage_hours WHERE hour >= ? AND hour < ?
UNION ALL
SELECT hour, destination, source, name, signals,
    ((keys >> 0) & 1) * signals AS k0,
    ((keys >> 1) & 1) * signals AS k1,
    ((keys >> 2) & 1) * signals AS k2,
    ((keys >> 3) & 1) * signals AS k3,
    ((keys >> 4) & 1) * signals AS k4,
    ((keys >> 5) & 1) * signals AS k5,
    ((keys >> 6) & 1) * signals AS k6,
    ((keys >> 7) & 1) * signals AS k7,
    ((keys >> 8) & 1) * signals AS k8,
    ((keys >> 9) & 1) * signals AS k9,
    ((keys >> 10) & 1) * signals AS k10,
    ((keys >> 11) & 1) * signals AS k11,
    ((keys >> 12) & 1) * signals AS k12,
    ((keys >> 13) & 1) * signals AS k13,
    ((keys >> 14) & 1) * signals AS k14,
    ((keys >> 15) & 1) * signals AS k15,
    ((keys >> 16) & 1) * signals AS k16,
    ((keys >> 17) & 1) * signals AS k17
FROM coverage WHERE hour >= ? AND hour < ?
) AS every GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4

-- name: trend_times (of a window: hours that are not condensed)
SELECT hour, clock, name, bucket, signals FROM clocks WHERE hour >= ? AND hour < ?

-- name: trend_times_condensed
SELECT hour, clock, name, histogram FROM clock_hours WHERE hour >= ? AND hour < ?

-- name: trend_times_set
INSERT INTO clock_hours (hour, clock, name, histogram) VALUES (?, ?, ?, ?)
ON CONFLICT (hour, clock, name) DO UPDATE SET histogram = excluded.histogram

-- name: trend_times_drop
DELETE FROM clocks WHERE hour = ?

-- name: prune_clock_hours
DELETE FROM clock_hours WHERE hour < ?

-- name: prune_coverage_hours
DELETE FROM coverage_hours WHERE hour < ?
