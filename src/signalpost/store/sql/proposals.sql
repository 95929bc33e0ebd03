-- What a comparison of two workspace files reads.

-- name: replayed_first (the first request received in a time)
SELECT min(position) FROM journal WHERE received_at >= ? AND received_at < ?

-- name: replayed_next (requests received in a time, in their order)
SELECT position, messages FROM journal WHERE position > ? AND received_at >= ? AND received_at < ? ORDER BY position LIMIT ?

-- name: journal_oldest
SELECT min(received_at) FROM journal

-- name: replayed_events (told by somebody else, not made here)
SELECT count(*) FROM events
WHERE received_at >= ? AND received_at < ? AND (note IS NULL OR note NOT LIKE 'derived from event %')

-- name: replayed_repeats (of messages that came in before these events)
SELECT id, note FROM events WHERE id >= ? AND id < ? AND note LIKE 'repeat of event %'

-- name: orders_by_key
SELECT key, order_id, person, event, time, sent, record, purchased FROM orders WHERE key {in_texts}

-- name: orders_begun (named for the first time since an event)
SELECT key FROM orders WHERE event >= ?

-- name: replayed_last (the last request received in a time)
SELECT max(position) FROM journal WHERE received_at >= ? AND received_at < ?

-- name: outcomes (what became of the signals of these events; no reason: it went out, or is going out)
SELECT l.destination, e.name, CASE WHEN l.verdict = 'withheld' THEN coalesce(l.reason, '') ELSE '' END,
       coalesce(l.currency, ''), coalesce(l.value, '')
FROM ledger l JOIN events e ON e.id = l.event
WHERE l.event >= ? AND l.event < ? AND e.received_at >= ? AND e.received_at < ? AND l.destination {in_texts}

-- name: members_by_segment
SELECT s.name, count(*) FROM members m JOIN segments s ON s.slot = m.segment GROUP BY s.name

-- name: wanted_by_audience
SELECT a.name, a.destination, count(*) FROM audience_people p JOIN audiences a ON a.slot = p.audience WHERE p.wanted = 1
GROUP BY a.name, a.destination
