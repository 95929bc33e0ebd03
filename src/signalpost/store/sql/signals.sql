-- The list of signals, filtered, as far back as one likes; one text for both databases, as in queries.sql.

-- name: signals_floor (the event so many verdicts further back)
SELECT event FROM ledger WHERE event < ? AND event >= ? ORDER BY event DESC LIMIT 1 OFFSET ?

-- name: signals_troubled_floor (the same among what a platform found fault with: by an index of its own)
SELECT event FROM ledger WHERE verdict IN ('warned', 'refused', 'unknown') AND verdict = ? AND event < ? AND event >= ?
ORDER BY event DESC LIMIT 1 OFFSET ?

-- name: signals_among (between two events: destination, verdict, reason, event's name, source, value; '' or 0 is any)
SELECT l.event, l.destination, l.verdict, l.reason, l.sentence, l.platform_event, l.value, l.currency, l.decided_at, l.settled_at,
       e.name, e.message_key, e.order_id, e.time
FROM ledger l JOIN events e ON e.id = l.event
WHERE l.event < ? AND l.event >= ?
    AND (CAST(? AS TEXT) = '' OR l.destination = ?) AND (CAST(? AS TEXT) = '' OR l.verdict = ?)
    AND (CAST(? AS TEXT) = '' OR coalesce(l.reason, '') = ?) AND (CAST(? AS BIGINT) = 0 OR l.value IS NOT NULL)
    AND (CAST(? AS TEXT) = '' OR CAST(l.value AS {wide}) >= CAST(? AS {wide}))
    AND (CAST(? AS TEXT) = '' OR e.name = ?) AND (CAST(? AS TEXT) = '' OR substr(e.message_key, 1, length(?)) = ?)
    AND e.received_at >= ? AND e.received_at < ?
ORDER BY l.event DESC, l.destination LIMIT ?

-- name: signals_troubled (the same of one verdict that a platform found fault with)
SELECT l.event, l.destination, l.verdict, l.reason, l.sentence, l.platform_event, l.value, l.currency, l.decided_at, l.settled_at,
       e.name, e.message_key, e.order_id, e.time
FROM ledger l JOIN events e ON e.id = l.event
WHERE l.verdict IN ('warned', 'refused', 'unknown') AND l.verdict = ? AND l.event < ? AND l.event >= ?
    AND (CAST(? AS TEXT) = '' OR l.destination = ?)
    AND (CAST(? AS TEXT) = '' OR coalesce(l.reason, '') = ?) AND (CAST(? AS BIGINT) = 0 OR l.value IS NOT NULL)
    AND (CAST(? AS TEXT) = '' OR CAST(l.value AS {wide}) >= CAST(? AS {wide}))
    AND (CAST(? AS TEXT) = '' OR e.name = ?) AND (CAST(? AS TEXT) = '' OR substr(e.message_key, 1, length(?)) = ?)
    AND e.received_at >= ? AND e.received_at < ?
ORDER BY l.event DESC, l.destination LIMIT ?

-- name: signals_from (the first event received since a moment; a request's events share one)
SELECT min(id) FROM (SELECT id FROM events WHERE received_at >= ? ORDER BY received_at LIMIT 500) first_ones

-- name: signals_upto
SELECT max(id) FROM (SELECT id FROM events WHERE received_at < ? ORDER BY received_at DESC LIMIT 500) last_ones

-- name: signals_received
SELECT received_at FROM events WHERE id = ?

-- name: signals_last_counted (the newest day on which such a signal was counted)
SELECT max(at) FROM sums WHERE span = 86400000 AND (CAST(? AS TEXT) = '' OR destination = ?)
    AND (CAST(? AS TEXT) = '' OR verdict = ?) AND (CAST(? AS TEXT) = '' OR reason = ?) AND (CAST(? AS TEXT) = '' OR name = ?)
    AND at < ? AND destination <> '' AND signals > 0
