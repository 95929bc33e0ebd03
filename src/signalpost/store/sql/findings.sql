-- Statements of `store/findings.py`; the words in braces are explained in queries.sql.

-- name: findings_orders (the newest)
SELECT key, order_id, person, event, time, sent, record, purchased FROM orders ORDER BY event DESC LIMIT ?

-- name: findings_told (what destinations were told of these events)
SELECT event, destination, verdict, platform_event, platform_id, value, currency, settled_at FROM ledger
WHERE event {in_numbers}

-- name: findings_samples (among the newest so many verdicts)
SELECT l.event, l.destination, l.verdict, coalesce(l.reason, ''), coalesce(l.sentence, '')
FROM (SELECT * FROM ledger ORDER BY event DESC LIMIT ?) l WHERE l.verdict IN ('withheld', 'refused', 'unknown')
ORDER BY l.event DESC

-- name: findings_notices
SELECT destination, what, detail, name, currency, sum(signals), sum(CAST(value_micros AS {wide})), max(last_event) FROM notices
WHERE hour >= ? GROUP BY destination, what, detail, name, currency

-- name: findings_counting_since
SELECT min(minute) FROM rollups WHERE minute >= ?

-- name: findings_set_aside (requests that could not be processed)
SELECT r.position FROM (SELECT * FROM refusals ORDER BY position DESC LIMIT ?) r JOIN journal j ON j.position = r.position
WHERE r.place = -1 AND r.path = '$' AND r.sentence LIKE 'Signalpost could not process%' AND j.received_at >= ?
ORDER BY r.position DESC

-- name: findings_waiting (purchases that wait for a destination, among the first so many)
SELECT coalesce(currency, ''), count(*), sum(CAST(coalesce(value_micros, 0) AS {wide}))
FROM (SELECT currency, value_micros FROM outbox WHERE destination = ? AND priority = 0 ORDER BY id LIMIT ?) o
GROUP BY coalesce(currency, '')

-- name: findings_pending (signals that wait, among the newest so many)
SELECT destination, name, coalesce(currency, ''), count(*), sum(CAST(coalesce(value_micros, 0) AS {wide}))
FROM (SELECT destination, name, currency, value_micros FROM outbox ORDER BY id DESC LIMIT ?) o
GROUP BY destination, name, coalesce(currency, '')

-- name: findings_of_now
SELECT id, kind, subject, severity, sentence, advice, share, money, currency, examples, link, since, seen_at, closed_at, alerted_at
FROM findings WHERE closed_at IS NULL ORDER BY id

-- name: findings_between (open at some time from then to then)
SELECT id, kind, subject, severity, sentence, advice, share, money, currency, examples, link, since, seen_at, closed_at, alerted_at
FROM findings WHERE since < ? AND (closed_at IS NULL OR closed_at >= ?) ORDER BY since DESC, id DESC LIMIT ?

-- name: finding_by_id
SELECT id, kind, subject, severity, sentence, advice, share, money, currency, examples, link, since, seen_at, closed_at, alerted_at
FROM findings WHERE id = ?

-- name: finding_open (at most one of a key)
INSERT INTO findings (key, kind, subject, severity, sentence, advice, share, money, currency, examples, link, since, seen_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: finding_see (a warning that has grown into a problem is told again)
UPDATE findings SET alerted_at = CASE WHEN severity = 'warning' AND ? = 'problem' THEN NULL ELSE alerted_at END,
    severity = ?, sentence = ?, advice = ?, share = ?, money = ?, currency = ?, examples = ?, link = ?, seen_at = {greatest}(seen_at, ?)
WHERE id = ? AND closed_at IS NULL

-- name: finding_close
UPDATE findings SET closed_at = ? WHERE id = ? AND closed_at IS NULL

-- name: finding_told
UPDATE findings SET alerted_at = ? WHERE id = ?

-- name: findings_prune
DELETE FROM findings WHERE closed_at IS NOT NULL AND closed_at < ?

-- name: revision_sections (of the workspace file when it was last read: section, digest)
SELECT name, value FROM marks WHERE kind = 'section'

-- name: revision_forget
DELETE FROM marks WHERE kind = 'section'

-- name: revision_section
INSERT INTO marks (kind, source, name, value, at, event) VALUES ('section', '', ?, ?, 0, 0)

-- name: revision_mark (one that comes back is marked again)
INSERT INTO marks (kind, source, name, value, at, event, detail) VALUES ('revision', '', '', ?, ?, 0, ?)
ON CONFLICT (kind, source, name, value) DO UPDATE SET at = excluded.at, detail = excluded.detail

-- name: doctor_last (when each verdict was last counted: to the hour where hours are summed up, from then on to the minute)
SELECT destination, name, verdict, max(at) FROM (
    SELECT destination, name, verdict, at FROM sums WHERE span = 3600000 AND at >= ?
    UNION ALL
    SELECT destination, name, verdict, minute FROM rollups
    WHERE minute >= ? AND minute >= coalesce((SELECT upto FROM summed WHERE span = 3600000), 0)
) counted WHERE destination <> '' GROUP BY destination, name, verdict

-- name: doctor_trials (oldest first)
SELECT subject, note, at FROM audit WHERE what = 'send-test' ORDER BY id

-- name: findings_changes (of an audience, that the platform has not taken: the first in turn, without those of a first load)
SELECT count(*), min(asked_at), min(CASE WHEN priority = 0 THEN asked_at END)
FROM (SELECT asked_at, priority FROM audience_people WHERE audience = ? AND stale > 0 AND priority < 2
      ORDER BY priority, asked_at LIMIT ?) p

-- name: findings_members
SELECT count(*) FROM audience_people WHERE audience = ? AND wanted = 1

-- name: findings_nameless (of its newest so many: settled members, and those for whom the platform holds nothing)
SELECT count(*), coalesce(sum(CASE WHEN EXISTS (SELECT 1 FROM audience_keys k WHERE k.person = p.person AND k.audience = p.audience)
                                   THEN 0 ELSE 1 END), 0)
FROM (SELECT audience, person, wanted, stale FROM audience_people WHERE audience = ? ORDER BY person DESC LIMIT ?) p
WHERE p.wanted = 1 AND p.stale = 0

-- name: findings_overlap (of its newest so many: those whom others want too)
SELECT s.audience, count(*)
FROM (SELECT person, wanted FROM audience_people WHERE audience = ? ORDER BY person DESC LIMIT ?) p
JOIN audience_people s ON s.person = p.person AND s.wanted = 1
WHERE p.wanted = 1 AND s.audience {in_numbers} GROUP BY s.audience

-- name: findings_sizes (audience, hour, people)
SELECT audience, hour, people FROM audience_sizes WHERE hour >= ?

-- name: findings_size
INSERT INTO audience_sizes (audience, hour, people) VALUES (?, ?, ?)
ON CONFLICT (audience, hour) DO UPDATE SET people = excluded.people

-- name: findings_sizes_prune
DELETE FROM audience_sizes WHERE hour < ?

-- name: findings_building (being built, and built with gaps)
SELECT segments, missing, done FROM backfills
UNION ALL
SELECT name, missing, looked FROM segments WHERE missing > 0 AND ready_at IS NOT NULL AND removed_at IS NULL

-- name: findings_closed (from then to then, the last closed first)
SELECT id, kind, subject, severity, sentence, advice, share, money, currency, examples, link, since, seen_at, closed_at, alerted_at
FROM findings WHERE closed_at >= ? AND closed_at < ? ORDER BY closed_at DESC, id DESC LIMIT ?

-- name: findings_earlier (how often findings of these keys were open before, and when the last of them ended)
SELECT key, count(*), max(closed_at) FROM findings WHERE closed_at IS NOT NULL AND key {in_texts} GROUP BY key

-- name: finding_notes_of (oldest first)
SELECT finding, at, who, note FROM finding_notes WHERE finding {in_numbers} ORDER BY finding, at

-- name: finding_note
INSERT INTO finding_notes (finding, at, who, note) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
