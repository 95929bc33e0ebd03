-- What the console shows of people; one text for both databases, as in queries.sql.

-- name: people_latest (by when something was last learned of them: before this moment and number)
SELECT id, record, changed_at FROM people WHERE (changed_at, id) < (?, ?) ORDER BY changed_at DESC, id DESC LIMIT ?

-- name: people_entered (who entered a segment by this moment and is inside, newest first)
SELECT v.person, p.record, v.at FROM moves v
JOIN members m ON m.segment = v.segment AND m.person = v.person AND m.since <= v.at
JOIN people p ON p.id = v.person
WHERE v.segment = ? AND v.entered = 1 AND (v.at, v.person) < (?, ?) ORDER BY v.at DESC, v.person DESC LIMIT ?

-- name: person_row
SELECT record, changed_at FROM people WHERE id = ?

-- name: person_events (newest first)
SELECT id, message_key, kind, name, person, order_id, time, received_at, note FROM events
WHERE person = ? AND person <> 0 AND id < ? ORDER BY id DESC LIMIT ?

-- name: person_moves (newest first)
SELECT v.at, s.name, v.entered, v.event FROM moves v JOIN segments s ON s.slot = v.segment
WHERE v.person = ? AND v.at <= ? ORDER BY v.at DESC, v.segment LIMIT ?

-- name: person_members
SELECT s.name, m.since FROM members m JOIN segments s ON s.slot = m.segment WHERE m.person = ? ORDER BY m.since DESC, s.name

-- name: person_orders
SELECT key, order_id, person, event, time, sent, record, purchased FROM orders WHERE key {in_texts} ORDER BY time

-- name: person_merges (who was joined with them or kept apart, newest first)
SELECT event, person, other, joined, why, at, snapshot, kept FROM merges WHERE person = ? OR other = ? ORDER BY event DESC LIMIT 100

-- name: person_wanted (audiences that want them, or are to let go of them)
SELECT a.slot, a.name, a.destination, p.wanted, p.stale, p.asked_at FROM audience_people p JOIN audiences a ON a.slot = p.audience
WHERE p.person = ? ORDER BY a.name, a.destination

-- name: person_held (what platforms hold of them, by state)
SELECT a.slot, a.name, a.destination, k.state, count(*), max(k.at) FROM audience_keys k JOIN audiences a ON a.slot = k.audience
WHERE k.person = ? GROUP BY a.slot, a.name, a.destination, k.state ORDER BY a.name, a.destination

-- name: person_waiting (signals not sent yet, newest first)
SELECT event, destination, name, due_at FROM outbox WHERE person = ? ORDER BY id DESC LIMIT 100

-- name: person_erased (when somebody erased them in the console, and what was held then)
SELECT at, who, note FROM audit WHERE what = 'erase' AND subject = ? ORDER BY id DESC LIMIT 1

-- name: ledger_of_events
SELECT event, destination, verdict, reason, platform_event, platform_id, value, currency, sent_at, settled_at FROM ledger
WHERE event {in_numbers} ORDER BY event, destination

-- name: wishes_waiting (of the console's own, which the pipeline has not taken yet)
SELECT j.body FROM (SELECT position FROM backlog ORDER BY position DESC LIMIT 2000) b CROSS JOIN journal j
WHERE j.position = b.position AND j.wire = 'wishes'
