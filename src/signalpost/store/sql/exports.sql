-- Statements of `store/exports.py`; the words in braces are explained in queries.sql. Each gives a page after the last row of the one before.

-- name: export_signals (of the next so many events received in a period, every signal; an event without one has a row too)
SELECT e.received_at, e.id, l.destination, e.time, e.name, e.person, e.order_id, l.verdict, l.reason, l.sentence, l.platform_event,
       l.value, l.currency, l.decided_at, l.settled_at, l.attempts
FROM (SELECT * FROM events WHERE received_at >= ? AND received_at < ? AND (received_at > ? OR id > ?)
      ORDER BY received_at, id LIMIT ?) e
LEFT JOIN ledger l ON l.event = e.id ORDER BY e.received_at, e.id, l.destination

-- name: export_orders (first heard of in a period, the next so many)
SELECT o.key, o.order_id, o.event, o.time, o.sent, o.record, e.received_at
FROM events e JOIN orders o ON o.event = e.id
WHERE e.received_at >= ? AND e.received_at < ? AND (e.received_at > ? OR e.id > ? OR (e.id = ? AND o.key > ?))
ORDER BY e.received_at, e.id, o.key LIMIT ?

-- name: export_moves (of one segment in a period, the next so many)
SELECT at, person, entered, event FROM moves
WHERE segment = ? AND at >= ? AND at < ? AND (at > ? OR person > ? OR (person = ? AND entered > ?))
ORDER BY at, person, entered LIMIT ?

-- name: export_begins (when the first event came that is still known)
SELECT received_at FROM events ORDER BY received_at LIMIT 1
