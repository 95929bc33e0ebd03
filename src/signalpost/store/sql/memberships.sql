-- What the pipeline writes of segments and audiences; one text for both databases, as in queries.sql.

-- name: segment_slots
SELECT name, slot FROM segments

-- name: segment_rows
SELECT name, slot, digest, ready_at, removed_at FROM segments ORDER BY slot

-- name: segment_add
INSERT INTO segments (slot, name, digest, ready_at) SELECT coalesce(max(slot), 0) + 1, ?, ?, ? FROM segments

-- name: segment_changed
UPDATE segments SET digest = ?, ready_at = NULL, removed_at = NULL WHERE name = ?

-- name: segment_removed
UPDATE segments SET removed_at = ? WHERE name = ? AND removed_at IS NULL

-- name: segment_ready
UPDATE segments SET ready_at = ?, looked = ?, missing = ? WHERE name = ?

-- name: person_moved (by time alone: that is no news of them)
UPDATE people SET record = ?, next_at = ? WHERE id = ?

-- name: people_due (who moves next, up to a moment)
SELECT record FROM people WHERE next_at <= ? ORDER BY next_at LIMIT ?

-- name: people_next_due
SELECT min(next_at) FROM people WHERE next_at > ?

-- name: member_set
INSERT INTO members (segment, person, since) VALUES (?, ?, ?)
ON CONFLICT (person, segment) DO UPDATE SET since = excluded.since

-- name: member_drop
DELETE FROM members WHERE segment = ? AND person = ?

-- name: members_of_person
SELECT segment FROM members WHERE person = ?

-- name: move_add
INSERT INTO moves (person, at, segment, entered, event) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (person, at, segment, entered) DO UPDATE SET event = {least}(moves.event, excluded.event)

-- name: moves_join (what moved a person who was merged into another)
INSERT INTO moves (person, at, segment, entered, event) SELECT ?, at, segment, entered, event FROM moves m WHERE m.person = ?
ON CONFLICT (person, at, segment, entered) DO UPDATE SET event = {least}(moves.event, excluded.event)

-- name: moves_forget
DELETE FROM moves WHERE person = ?

-- name: wanted_set (the most urgent of what the platform has not taken yet says how urgent it is)
INSERT INTO audience_people (audience, person, wanted, stale, priority, event, asked_at) VALUES (?, ?, ?, 1, ?, ?, ?)
ON CONFLICT (audience, person) DO UPDATE SET
    wanted = excluded.wanted,
    stale = audience_people.stale + 1,
    event = CASE WHEN audience_people.stale > 0 AND audience_people.priority < excluded.priority
        THEN audience_people.event ELSE excluded.event END,
    asked_at = CASE WHEN audience_people.stale > 0 AND audience_people.priority < excluded.priority
        THEN audience_people.asked_at ELSE excluded.asked_at END,
    priority = CASE WHEN audience_people.stale > 0 THEN {least}(audience_people.priority, excluded.priority)
        ELSE excluded.priority END

-- name: wanted_join (a person was merged into another: what the platform holds of them is the other's to keep or to take back)
INSERT INTO audience_people (audience, person, wanted, stale, priority, event, asked_at)
SELECT audience, ?, 0, stale + 1, priority, event, asked_at FROM audience_people WHERE person = ?
ON CONFLICT (audience, person) DO UPDATE SET stale = audience_people.stale + 1

-- name: keys_join
INSERT INTO audience_keys (audience, key, person, state, at)
SELECT audience, key, ?, state, at FROM audience_keys WHERE person = ?
ON CONFLICT (audience, key, person) DO NOTHING

-- name: wanted_drop
DELETE FROM audience_people WHERE person = ?

-- name: keys_drop
DELETE FROM audience_keys WHERE person = ?

-- name: wanted_forget (somebody who is no more, at their wish or by age: the platforms are to forget them too)
UPDATE audience_people SET wanted = 0, stale = stale + 1, priority = 0, asked_at = ? WHERE person = ?

-- name: audience_slots
SELECT name, destination, slot FROM audiences

-- name: prune_moves (who entered and left long ago; who is inside now, and since when, stays in members)
DELETE FROM moves WHERE at < ?

-- name: remembered
SELECT what, dropped FROM remembered

-- name: remembered_add
INSERT INTO remembered (what, dropped) VALUES (?, 0) ON CONFLICT (what) DO UPDATE SET dropped = 0

-- name: remembered_dropped (no rule needs it any more: what people have of it grows old)
UPDATE remembered SET dropped = 1 WHERE what = ?

-- name: events_last
SELECT coalesce(max(id), 0) FROM events

-- name: people_count
SELECT count(*) FROM people

-- name: people_page
SELECT record FROM people WHERE id > ? ORDER BY id LIMIT ?

-- name: backfill_add
INSERT INTO backfills (id, segments, slots, traits, upto, event, person, total, done, missing, started_at, changed_at)
SELECT coalesce(max(id), 0) + 1, ?, ?, ?, ?, 0, 0, ?, 0, 0, ?, ? FROM backfills

-- name: backfill_rows
SELECT id, segments, slots, traits, upto, event, person, total, done, missing FROM backfills ORDER BY id

-- name: backfill_went
UPDATE backfills SET event = ?, person = ?, done = done + ?, missing = missing + ?, changed_at = ? WHERE id = ?

-- name: backfill_done
DELETE FROM backfills WHERE id = ?

-- name: events_page (for the backfill: in the order in which they came)
SELECT id, kind, name, person, time, received_at, counts, note FROM events WHERE id > ? AND id <= ? ORDER BY id LIMIT ?

-- name: merged_of (whom these people were merged into, if anybody)
SELECT other, person FROM merges WHERE joined = 1 AND other {in_numbers}

-- name: wanted_of_people
SELECT audience, person, wanted FROM audience_people WHERE person {in_numbers}
