-- Statements of `store/segments.py`, which only reads; the words in braces are explained in queries.sql.

-- name: segments_sizes
SELECT segment, count(*) FROM members GROUP BY segment

-- name: segments_members (a page of who is inside, by number)
SELECT person, since FROM members WHERE segment = ? AND person > ? ORDER BY person LIMIT ?

-- name: segments_since (since when a person is inside)
SELECT since FROM members WHERE segment = ? AND person = ?

-- name: segments_moves_of_person (newest first; of one moment what time did came before what an event did)
SELECT m.person, m.at, m.segment, m.entered, m.event, e.name, e.time FROM moves m LEFT JOIN events e ON e.id = m.event
WHERE m.person = ? ORDER BY m.at DESC, m.event DESC, m.segment LIMIT ?

-- name: segments_moves_between (of one person in one segment, newest first)
SELECT m.person, m.at, m.segment, m.entered, m.event, e.name, e.time FROM moves m LEFT JOIN events e ON e.id = m.event
WHERE m.person = ? AND m.segment = ? ORDER BY m.at DESC, m.event DESC LIMIT ?

-- name: segments_moves (of one segment, newest first)
SELECT m.person, m.at, m.segment, m.entered, m.event, e.name, e.time FROM moves m LEFT JOIN events e ON e.id = m.event
WHERE m.segment = ? ORDER BY m.at DESC, m.event DESC, m.person LIMIT ?

-- name: segments_moved (how many entered and left since a moment)
SELECT coalesce(sum(entered), 0), count(*) FROM moves WHERE segment = ? AND at >= ? AND at < ?

-- name: segments_steps (the same by steps of so many ms, of whole steps of the clock)
SELECT at - at % ?, sum(entered), count(*) FROM moves WHERE segment = ? AND at >= ? AND at < ? GROUP BY 1 ORDER BY 1

-- name: segments_due_count (how many people time alone moves before a moment)
SELECT count(*) FROM people WHERE next_at < ?

-- name: segments_due (those people, page by page in the order of their moments)
SELECT id, next_at, record FROM people WHERE next_at < ? AND (next_at, id) > (?, ?) ORDER BY next_at, id LIMIT ?

-- name: segments_latest (the newest of one segment, only those who entered or only those who left where that is asked)
SELECT m.person, m.at, m.segment, m.entered, m.event, e.name, e.time
FROM (SELECT person, at, segment, entered, event FROM moves WHERE segment = ? AND at <= ? ORDER BY at DESC LIMIT ?) m
LEFT JOIN events e ON e.id = m.event WHERE m.entered = ? OR m.entered = ? ORDER BY m.at DESC, m.event DESC, m.person

-- name: segments_arrived (of the newest so many moves, those who entered and are still inside)
SELECT m.person, max(m.at) FROM (SELECT person, at, segment, entered FROM moves WHERE segment = ? ORDER BY at DESC LIMIT ?) m
JOIN members p ON p.person = m.person AND p.segment = m.segment
WHERE m.entered = 1 GROUP BY m.person ORDER BY 2 DESC, 1 LIMIT ?

-- name: segments_moves_since (of one segment, newest first)
SELECT person, at, segment, entered, event FROM moves WHERE segment = ? AND at >= ? ORDER BY at DESC LIMIT ?

-- name: segments_event_names
SELECT id, name FROM events WHERE id {in_numbers}

-- name: segments_built (of each, how many of the events that its backfill read were past the journal's retention)
SELECT slot, missing, looked FROM segments
