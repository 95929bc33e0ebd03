-- Statements of `store/destinations.py`; the words in braces are explained in queries.sql. Each is bounded by an index.

-- name: destination_waiting (among the first so many)
SELECT count(*) FROM (SELECT 1 FROM outbox WHERE destination = ? LIMIT ?) w

-- name: destination_first (the first of a priority)
SELECT priority, event_time, received_at, due_at, name FROM outbox WHERE destination = ? AND priority = ? ORDER BY id LIMIT 1

-- name: destination_last_accepted (the newest minute with an accepted signal, from one on)
SELECT max(minute) FROM rollups WHERE minute >= ? AND destination = ? AND verdict IN ('accepted', 'warned')

-- name: destination_last_accepted_hour
SELECT max(at) FROM sums WHERE span = 3600000 AND at >= ? AND destination = ? AND verdict IN ('accepted', 'warned')

-- name: destination_dead (refused and unknown before an event, newest first: among so many; verdict, reason where '' is any)
SELECT l.event, l.verdict, l.reason, l.sentence, l.value, l.currency, l.settled_at, l.request, e.name, e.time, e.order_id
FROM (SELECT * FROM (SELECT * FROM ledger WHERE destination = ? AND verdict IN ('refused', 'unknown') AND event < ?
                     ORDER BY event DESC LIMIT ?) among
      WHERE (CAST(? AS TEXT) = '' OR verdict = ?) AND (CAST(? AS TEXT) = '' OR coalesce(reason, '') = ?)
      ORDER BY event DESC LIMIT ?) l
JOIN events e ON e.id = l.event ORDER BY l.event DESC

-- name: destination_warned (among the newest so many verdicts)
SELECT l.event, l.verdict, coalesce(l.reason, ''), l.sentence
FROM (SELECT event, destination, verdict, reason, sentence FROM ledger ORDER BY event DESC LIMIT ?) l
WHERE l.destination = ? AND l.verdict = 'warned' ORDER BY l.event DESC

-- name: destination_requests (the newest before a number)
SELECT id, started_at, ended_at, signals, status, summary, platform_request FROM requests
WHERE destination = ? AND id < ? ORDER BY id DESC LIMIT ?

-- name: destination_rests (the newest)
SELECT since, until, failures, sentence FROM rests WHERE destination = ? ORDER BY since DESC LIMIT ?

-- name: destination_next (what is sent next: purchases first)
SELECT event, name, event_time, received_at, due_at, leased_until, attempts, value_micros, currency FROM outbox
WHERE destination = ? ORDER BY priority, id LIMIT ?

-- name: destination_over_time (by steps: step; of a destination days, hours twice, minutes twice from, to)
SELECT at - at % ?, verdict, sum(signals) FROM (
    SELECT at, verdict, signals FROM sums WHERE span = 86400000 AND destination = ? AND at >= ? AND at < ?
    UNION ALL
    SELECT at, verdict, signals FROM sums WHERE span = 3600000 AND destination = ? AND at >= ? AND at < ?
    UNION ALL
    SELECT at, verdict, signals FROM sums WHERE span = 3600000 AND destination = ? AND at >= ? AND at < ?
    UNION ALL
    SELECT minute, verdict, signals FROM rollups WHERE destination = ? AND minute >= ? AND minute < ?
    UNION ALL
    SELECT minute, verdict, signals FROM rollups WHERE destination = ? AND minute >= ? AND minute < ?
) counted GROUP BY 1, 2

-- name: destination_seen (the newest refused and unknown, as examples)
SELECT event, verdict, coalesce(reason, ''), sentence FROM ledger
WHERE destination = ? AND verdict IN ('refused', 'unknown') ORDER BY event DESC LIMIT ?
