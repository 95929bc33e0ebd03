-- Audiences: whom they want, what the platforms hold, and who keeps them.

-- name: audiences_registered
SELECT slot, name, destination, digest, state FROM audiences ORDER BY slot

-- name: audience_register
INSERT INTO audiences (slot, name, destination, digest, state, sentence, status)
SELECT coalesce(max(slot), 0) + 1, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), 'new', '', '' FROM audiences

-- name: audience_redefine (changed, or back in the workspace file)
UPDATE audiences SET digest = ?, sentence = CASE WHEN state = 'removed' THEN '' ELSE sentence END,
       state = CASE WHEN state <> 'removed' THEN state WHEN platform_id IS NULL THEN 'new' ELSE 'ready' END WHERE slot = ?

-- name: audience_removed
UPDATE audiences SET state = 'removed', sentence = ? WHERE slot = ?

-- name: audiences_standing
SELECT slot, name, destination, state, sentence, platform_id, list_id, status, size, size_at, synced_at, loaded_at, platform_name,
       meaning, usable, way, applied, used_by FROM audiences ORDER BY slot

-- name: audience_standing
SELECT slot, name, destination, state, sentence, platform_id, list_id, status, size, size_at, synced_at, loaded_at, platform_name,
       meaning, usable, way, applied, used_by FROM audiences WHERE slot = ?

-- name: audience_hold (ours already, or nobody's any more)
UPDATE audiences SET held_by = ?, held_until = ? WHERE slot = ? AND (held_by = ? OR held_until < ?)

-- name: audience_release
UPDATE audiences SET held_until = 0 WHERE held_by = ?

-- name: audience_keepers
SELECT DISTINCT held_by FROM audiences WHERE held_until > ?

-- name: audience_held (whether it is still ours, and still the same at the platform)
SELECT coalesce(platform_id, ''), coalesce(list_id, '') FROM audiences
WHERE slot = ? AND held_by = ? AND state NOT IN ('removed', 'gone', 'foreign')

-- name: audience_heads (each with people of whom something is open, and how urgent the first is)
SELECT slot, priority FROM (
    SELECT a.slot AS slot, (SELECT p.priority FROM audience_people p WHERE p.audience = a.slot AND p.stale > 0
                            ORDER BY p.priority, p.asked_at LIMIT 1) AS priority
    FROM audiences a WHERE a.state <> 'removed') heads WHERE priority IS NOT NULL

-- name: audience_asked (the next in turn)
SELECT person, wanted, stale, priority, asked_at FROM audience_people WHERE audience = ? AND stale > 0
ORDER BY priority, asked_at LIMIT ?

-- name: audience_present
SELECT count(*) FROM audience_people WHERE audience = ? AND person {in_numbers}

-- name: audience_keys_of
SELECT key FROM audience_keys WHERE person {in_numbers} AND audience = ?

-- name: audience_holders
SELECT k.key, k.person, k.state, coalesce(p.wanted, 0) FROM audience_keys k
LEFT JOIN audience_people p ON p.audience = k.audience AND p.person = k.person
WHERE k.audience = ? AND k.key {in_texts}

-- name: audience_key_set
INSERT INTO audience_keys (audience, key, person, state, at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (audience, key, person) DO UPDATE SET state = excluded.state, at = excluded.at

-- name: audience_key_forget
DELETE FROM audience_keys WHERE audience = ? AND key = ? AND person = ?

-- name: audience_keys_are
UPDATE audience_keys SET state = ?, at = ? WHERE audience = ? AND key {in_texts}

-- name: audience_keys_gone
DELETE FROM audience_keys WHERE audience = ? AND key {in_texts}

-- name: audience_keys_clear
DELETE FROM audience_keys WHERE audience = ?

-- name: audience_settled (an answer to an older change settles nothing)
UPDATE audience_people SET stale = 0 WHERE audience = ? AND person = ? AND stale = ?

-- name: audience_forget (whoever is neither wanted nor held)
DELETE FROM audience_people WHERE audience = ? AND person {in_numbers} AND wanted = 0 AND stale = 0
AND NOT EXISTS (SELECT 1 FROM audience_keys k WHERE k.audience = audience_people.audience AND k.person = audience_people.person)

-- name: audience_took
UPDATE audiences SET synced_at = ?, sentence = '', state = CASE WHEN state = 'stopped' THEN 'ready' ELSE state END WHERE slot = ?

-- name: audience_refusal
INSERT INTO audience_refusals (audience, adding, sentence, keys, at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (audience, adding, sentence) DO UPDATE SET keys = audience_refusals.keys + excluded.keys, at = excluded.at

-- name: audience_refusals_of
SELECT adding, sentence, keys, at FROM audience_refusals WHERE audience = ? ORDER BY at DESC, sentence

-- name: audience_refusals_clear
DELETE FROM audience_refusals WHERE audience = ?

-- name: audience_unlucky (whose identifiers were refused or stuck since before)
SELECT DISTINCT person FROM audience_keys WHERE audience = ? AND state IN ('refused', 'stuck') AND at < ?

-- name: audience_refused_forget
DELETE FROM audience_keys WHERE audience = ? AND person = ? AND state = 'refused'

-- name: audience_ask_again
UPDATE audience_people SET stale = stale + 1, priority = 1, asked_at = ? WHERE audience = ? AND person = ?

-- name: audience_named
UPDATE audiences SET platform_name = ?, way = ? WHERE slot = ?

-- name: audience_made
UPDATE audiences SET platform_id = ?, list_id = ?,
       state = CASE WHEN CAST(? AS TEXT) IS NULL THEN state ELSE 'ready' END, sentence = '' WHERE slot = ?

-- name: audience_says
UPDATE audiences SET state = ?, sentence = ? WHERE slot = ?

-- name: audience_seen
UPDATE audiences SET status = ?, size = ?, size_at = ?, meaning = ?, usable = ?, used_by = coalesce(?, used_by) WHERE slot = ?

-- name: audience_applied
UPDATE audiences SET applied = ? WHERE slot = ?

-- name: audience_loaded (complete once nobody is open and no backfill may still bring people)
UPDATE audiences SET loaded_at = ? WHERE slot = ? AND loaded_at IS NULL AND platform_id IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM audience_people p WHERE p.audience = audiences.slot AND p.stale > 0)
AND NOT EXISTS (SELECT 1 FROM backfills)

-- name: audience_rebuild
UPDATE audiences SET state = 'new', sentence = '', platform_id = NULL, list_id = NULL, platform_name = '', way = '', status = '',
       meaning = '', usable = 0, size = NULL, size_at = NULL, loaded_at = NULL, applied = '{}', used_by = NULL WHERE slot = ?

-- name: audience_people_gone
DELETE FROM audience_people WHERE audience = ? AND wanted = 0

-- name: audience_people_again
UPDATE audience_people SET stale = stale + 1, priority = 2, event = -1, asked_at = ? WHERE audience = ?

-- name: audience_figures
SELECT audience, sum(wanted), sum(CASE WHEN wanted = 1 AND stale = 0 THEN 1 ELSE 0 END),
       sum(CASE WHEN stale > 0 THEN 1 ELSE 0 END), sum(CASE WHEN stale > 0 AND priority = 0 THEN 1 ELSE 0 END),
       min(CASE WHEN stale > 0 THEN asked_at END)
FROM audience_people GROUP BY audience

-- name: audience_key_figures
SELECT state, count(DISTINCT key) FROM audience_keys WHERE audience = ? GROUP BY state

-- name: audience_reachable (people with an identifier at the platform)
SELECT count(DISTINCT person) FROM audience_keys WHERE audience = ? AND state = 'there'

-- name: audience_waiting (the next so many in turn: how many, since when the first waits, how many are urgent)
SELECT count(*), min(asked_at), coalesce(sum(CASE WHEN priority = 0 THEN 1 ELSE 0 END), 0)
FROM (SELECT asked_at, priority FROM audience_people WHERE audience = ? AND stale > 0 ORDER BY priority, asked_at LIMIT ?) p

-- name: audience_next (the next in turn, and what moved them)
SELECT p.person, p.wanted, p.priority, p.event, p.asked_at, e.name
FROM (SELECT person, wanted, priority, event, asked_at FROM audience_people WHERE audience = ? AND stale > 0
      ORDER BY priority, asked_at LIMIT ?) p
LEFT JOIN events e ON e.id = p.event ORDER BY p.priority, p.asked_at, p.person

-- name: audience_sizes_since
SELECT hour, people FROM audience_sizes WHERE audience = ? AND hour >= ? ORDER BY hour
