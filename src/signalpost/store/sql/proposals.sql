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

-- name: outcomes (what became of the signals of a time, by the exact value)
SELECT l.destination, e.name, CASE WHEN l.verdict = 'withheld' THEN coalesce(l.reason, '') ELSE '' END AS reason,
       CASE WHEN l.verdict = 'withheld' THEN 'withheld' ELSE 'sent' END AS became, coalesce(l.currency, ''), l.value, count(*)
FROM events e JOIN ledger l ON l.event = e.id
WHERE e.id >= ? AND e.id < ? AND e.received_at >= ? AND e.received_at < ? AND l.destination {in_texts}
GROUP BY 1, 2, 3, 4, 5, 6

-- name: members_by_segment
SELECT s.name, count(*) FROM members m JOIN segments s ON s.slot = m.segment GROUP BY s.name

-- name: wanted_by_audience
SELECT a.name, a.destination, count(*) FROM audience_people p JOIN audiences a ON a.slot = p.audience WHERE p.wanted = 1
GROUP BY a.name, a.destination
