-- Every statement Signalpost runs, by name. `?` is a parameter; `{in_texts}` and `{in_numbers}` take one list parameter
-- (json_each on SQLite, = ANY on PostgreSQL); `{skip_locked}` is empty on SQLite, which has one writer.

-- name: journal_append
INSERT INTO journal (source, wire, method, path, headers, body, client_ip, user_agent, received_at, messages)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING position

-- name: backlog_add
INSERT INTO backlog (position, messages) VALUES (?, ?)

-- name: backlog_next (oldest first)
SELECT position, messages FROM backlog ORDER BY position LIMIT ?

-- name: backlog_count
SELECT count(*), coalesce(sum(messages), 0) FROM backlog

-- name: backlog_done
DELETE FROM backlog WHERE position = ?

-- name: backlog_claim (a batch's requests, once: whoever finds fewer than it decided on was overtaken)
DELETE FROM backlog WHERE position {in_numbers}

-- name: journal_read
SELECT position, source, wire, method, path, headers, body, client_ip, user_agent, received_at FROM journal
WHERE position {in_numbers} ORDER BY position

-- name: refusal_add
INSERT INTO refusals (position, place, path, sentence) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: refusals_of
SELECT place, path, sentence FROM refusals WHERE position = ? ORDER BY place

-- name: events_known (message keys already processed)
SELECT message_key, id FROM events WHERE message_key {in_texts}

-- name: event_add (a client may have guessed under which key a repeat is kept and used it first: then the repeat has no row)
INSERT INTO events (id, message_key, kind, name, person, order_id, time, received_at, note, counts)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (message_key) DO NOTHING

-- name: event_by_id
SELECT id, message_key, kind, name, person, order_id, time, received_at, note FROM events WHERE id = ?

-- name: events_by_message (any source)
SELECT id, message_key, kind, name, person, order_id, time, received_at, note FROM events
WHERE message_key {in_texts} ORDER BY id

-- name: events_by_order
SELECT id, message_key, kind, name, person, order_id, time, received_at, note FROM events
WHERE order_id = ? ORDER BY id LIMIT 200

-- name: identifiers_owned
SELECT key, person FROM identifiers WHERE key {in_texts}

-- name: identifiers_of
SELECT key FROM identifiers WHERE person = ? ORDER BY key

-- name: identifier_set
INSERT INTO identifiers (key, person) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET person = excluded.person

-- name: identifiers_move
UPDATE identifiers SET person = ? WHERE person = ?

-- name: identifiers_drop
DELETE FROM identifiers WHERE person = ?

-- name: people_read
SELECT record FROM people WHERE id {in_numbers}

-- name: person_set
INSERT INTO people (id, record, changed_at, next_at) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET record = excluded.record, changed_at = excluded.changed_at, next_at = excluded.next_at

-- name: person_drop
DELETE FROM people WHERE id = ?

-- name: merge_add
INSERT INTO merges (event, person, other, joined, why, snapshot, at, kept) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: merge_forget (what was known of those who were merged into these)
UPDATE merges SET snapshot = NULL, kept = NULL WHERE person {in_numbers} AND joined > 0 AND snapshot IS NOT NULL RETURNING other

-- name: merge_undone (they are two again)
UPDATE merges SET joined = 2, snapshot = NULL, kept = NULL WHERE other = ? AND joined = 1

-- name: outbox_part (what waits of somebody who is two again, of the one whose number it came in under)
UPDATE outbox SET person = ? WHERE person = ?
AND EXISTS (SELECT 1 FROM events e WHERE e.id = outbox.event AND e.person = ?)

-- name: merges_of
SELECT event, person, other, joined, why, at FROM merges WHERE person = ? OR other = ? ORDER BY event LIMIT 100

-- name: merged_into (who a person became)
SELECT person FROM merges WHERE other = ? AND joined = 1 ORDER BY event DESC LIMIT 1

-- name: orders_known
SELECT key, order_id, person, event, time, sent, record, purchased FROM orders WHERE order_id {in_texts} ORDER BY event

-- name: order_set
INSERT INTO orders (key, order_id, person, event, time, sent, record, purchased) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    sent = excluded.sent, person = excluded.person, record = excluded.record, purchased = excluded.purchased

-- name: orders_hand (to another person, or to nobody)
UPDATE orders SET person = ? WHERE key {in_texts}

-- name: ledger_add
INSERT INTO ledger (event, destination, verdict, reason, sentence, platform_event, platform_id, value, currency, decided_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: ledger_of
SELECT destination, verdict, reason, sentence, platform_event, platform_id, value, currency, decided_at, sent_at, settled_at,
       attempts, request FROM ledger WHERE event = ? ORDER BY destination

-- name: ledger_settle (only what still waits: a verdict is never overwritten without a trace)
UPDATE ledger SET verdict = ?, reason = ?, sentence = ?, sent_at = ?, settled_at = ?, attempts = ?, request = ?
WHERE event = ? AND destination = ? AND verdict = 'waiting'

-- name: ledger_reopen
UPDATE ledger SET verdict = 'waiting', reason = NULL, sentence = NULL, settled_at = NULL
WHERE event = ? AND destination = ? AND verdict IN ('refused', 'unknown')

-- name: ledger_recent
SELECT l.event, l.destination, l.verdict, l.reason, l.sentence, l.platform_event, l.value, l.currency, l.decided_at, l.settled_at,
       e.name, e.message_key, e.order_id, e.time
FROM ledger l JOIN events e ON e.id = l.event ORDER BY l.event DESC, l.destination LIMIT ?

-- name: ledger_totals
SELECT destination, verdict, coalesce(reason, ''), count(*) FROM ledger GROUP BY destination, verdict, reason

-- name: ledger_platform_ids
SELECT platform_event, platform_id, value, currency, verdict FROM ledger
WHERE destination = ? AND verdict IN ('accepted', 'warned') ORDER BY event

-- name: events_first_since (the first received from a moment on)
SELECT id FROM events WHERE received_at >= ? ORDER BY received_at LIMIT 1

-- name: ledger_find (what replay may take up again, newest first: verdicts, times since, reason where '' is any, events from, to)
SELECT l.event, l.verdict, l.reason, l.sentence, l.platform_event, l.platform_id, l.decided_at, l.request, e.time, e.name,
       l.value, l.currency
FROM ledger l JOIN events e ON e.id = l.event
WHERE l.destination = ? AND l.verdict IN ('refused', 'unknown') AND l.verdict {in_texts} AND e.time >= ? AND (CAST(? AS TEXT) = '' OR l.reason = ?)
    AND l.event >= ? AND l.event <= ?
ORDER BY l.event DESC LIMIT ?

-- name: trace_add
INSERT INTO ledger_trace (event, destination, at, verdict, reason, sentence, request) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: trace_of
SELECT destination, at, verdict, reason, sentence, request FROM ledger_trace WHERE event = ? ORDER BY at

-- name: destination_slots
SELECT name, slot FROM destinations

-- name: destination_slot_add
INSERT INTO destinations (name, slot) VALUES (?, (SELECT coalesce(max(slot), -1) + 1 FROM destinations))

-- name: outbox_add (in hand from the start when leased_until is set)
INSERT INTO outbox (id, destination, priority, event, person, name, event_time, received_at, due_at, leased_until, attempts,
                    first_attempt_at, value_micros, currency, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: outbox_due (nothing of a paused destination)
SELECT id, event, priority, name, event_time, received_at, attempts, first_attempt_at, value_micros, currency, body, person
FROM outbox
WHERE destination = ? AND leased_until <= ? AND due_at <= ? AND destination NOT IN (SELECT p.destination FROM pauses p)
ORDER BY priority, id LIMIT ? {skip_locked}

-- name: outbox_lease
UPDATE outbox SET leased_until = ?, attempts = attempts + 1, first_attempt_at = coalesce(first_attempt_at, ?) WHERE id = ?

-- name: outbox_release (an attempt that surely did not arrive counts as none)
UPDATE outbox SET leased_until = 0, due_at = ?, first_attempt_at = ? WHERE id = ?

-- name: outbox_release_all (at start: nobody else holds the embedded database)
UPDATE outbox SET leased_until = 0 WHERE leased_until > 0

-- name: outbox_done
DELETE FROM outbox WHERE id = ?

-- name: outbox_present (of these)
SELECT id FROM outbox WHERE id {in_numbers}

-- name: outbox_next_due
SELECT min(CASE WHEN leased_until > due_at THEN leased_until ELSE due_at END) FROM outbox WHERE destination = ?

-- name: outbox_counts
SELECT destination, count(*), min(received_at) FROM outbox GROUP BY destination

-- name: outbox_of_people (waiting and in nobody's hands)
SELECT id, destination, event, person, body FROM outbox WHERE person {in_numbers} AND leased_until = 0

-- name: outbox_body
UPDATE outbox SET body = ? WHERE id = ? AND leased_until = 0

-- name: outbox_move
UPDATE outbox SET person = ? WHERE person = ?

-- name: outbox_withdraw
DELETE FROM outbox WHERE person = ? AND leased_until = 0 RETURNING event, destination, name, currency, value_micros

-- name: outbox_stop (one that nobody has in hand and that surely never arrived)
DELETE FROM outbox WHERE id = ? AND leased_until = 0 AND first_attempt_at IS NULL
RETURNING event, destination, name, currency, value_micros

-- name: outbox_withdraw_later (what is in hand just now: it ends, and is not tried again)
UPDATE outbox SET person = -1 WHERE person = ? AND leased_until > 0

-- name: request_add
INSERT INTO requests (destination, started_at, ended_at, signals, status, summary, platform_request)
VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id

-- name: request_by_id
SELECT id, destination, started_at, ended_at, signals, status, summary, platform_request FROM requests WHERE id = ?

-- name: breaker_set
INSERT INTO breakers (destination, since, until, failures, sentence) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (destination) DO UPDATE SET until = excluded.until, failures = excluded.failures, sentence = excluded.sentence

-- name: breaker_clear
DELETE FROM breakers WHERE destination = ?

-- name: rest_add (the present rest, ending now)
INSERT INTO rests (destination, since, until, failures, sentence)
SELECT destination, since, ?, failures, sentence FROM breakers WHERE destination = ? ON CONFLICT DO NOTHING

-- name: prune_rests
DELETE FROM rests WHERE until < ?

-- name: breakers
SELECT destination, since, until, failures, sentence FROM breakers ORDER BY destination

-- name: rollup_add (money beyond 2^61 millionths a minute is nobody's turnover, and must not overflow the counter)
INSERT INTO rollups (minute, destination, name, verdict, reason, currency, signals, value_micros, latency_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (minute, destination, name, verdict, reason, currency) DO UPDATE SET
    signals = rollups.signals + excluded.signals,
    value_micros = {least}({greatest}(rollups.value_micros + excluded.value_micros, -2305843009213693952), 2305843009213693952),
    latency_ms = rollups.latency_ms + excluded.latency_ms

-- name: prune_journal
DELETE FROM journal WHERE position IN (
    SELECT j.position FROM journal j WHERE j.received_at < ? AND NOT EXISTS (SELECT 1 FROM backlog b WHERE b.position = j.position)
    ORDER BY j.received_at LIMIT ?)

-- name: prune_refusals
DELETE FROM refusals WHERE position < (SELECT coalesce(min(position), 0) FROM journal)

-- name: prune_events (with their verdicts; what still waits stays)
SELECT id FROM events e WHERE e.received_at < ? AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.event = e.id)
ORDER BY e.received_at LIMIT ?

-- name: event_drop
DELETE FROM events WHERE id = ?

-- name: ledger_drop
DELETE FROM ledger WHERE event = ?

-- name: trace_drop
DELETE FROM ledger_trace WHERE event = ?

-- name: merge_drop
DELETE FROM merges WHERE event = ?

-- name: order_drop (with the event it was first counted for)
DELETE FROM orders WHERE order_id = (SELECT e.order_id FROM events e WHERE e.id = ?) AND event = ?

-- name: prune_requests
DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE started_at < ? ORDER BY started_at LIMIT ?)

-- name: prune_people
SELECT id FROM people p WHERE p.changed_at < ? AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.person = p.id)
ORDER BY p.changed_at LIMIT ?

-- name: prune_rollups
DELETE FROM rollups WHERE minute < ?

-- name: events_repeating (of one message key: what lies between key# and key$)
SELECT id, message_key, kind, name, person, order_id, time, received_at, note FROM events
WHERE message_key > ? AND message_key < ? ORDER BY message_key LIMIT 200

-- name: outbox_of_event_and_person (by the person's index)
SELECT destination, due_at, attempts, body FROM outbox WHERE person = ? AND event = ?

-- name: backlog_oldest
SELECT b.position, j.received_at FROM backlog b JOIN journal j ON j.position = b.position ORDER BY b.position LIMIT 1

-- name: events_count
SELECT count(*) FROM events

-- name: journal_held (which of these requests are still there)
SELECT position FROM journal WHERE position {in_numbers}

-- name: outbox_stop_derived (what was derived of an order and waits)
DELETE FROM outbox WHERE leased_until = 0 AND first_attempt_at IS NULL AND event IN (
    SELECT e.id FROM events e WHERE e.order_id = ? AND e.note LIKE 'derived from event %')
RETURNING event, destination, name, currency, value_micros

-- name: notice_add
INSERT INTO notices (hour, destination, what, detail, name, currency, signals, value_micros, last_event)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (hour, destination, what, detail, name, currency) DO UPDATE SET
    signals = notices.signals + excluded.signals,
    value_micros = {least}({greatest}(notices.value_micros + excluded.value_micros, -2305843009213693952), 2305843009213693952),
    last_event = excluded.last_event

-- name: clock_add
INSERT INTO clocks (hour, clock, name, bucket, signals) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (hour, clock, name, bucket) DO UPDATE SET signals = clocks.signals + excluded.signals

-- name: coverage_add
INSERT INTO coverage (hour, destination, source, name, keys, signals) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (hour, destination, source, name, keys) DO UPDATE SET signals = coverage.signals + excluded.signals

-- name: tally_add
INSERT INTO tallies (destination, day, name, signals) VALUES (?, ?, ?, ?)
ON CONFLICT (destination, day, name) DO UPDATE SET signals = tallies.signals + excluded.signals

-- name: tallies (of these destinations since a day)
SELECT destination, name, sum(signals) FROM tallies WHERE destination {in_texts} AND day >= ? GROUP BY destination, name

-- name: mark_add (the first time counts)
INSERT INTO marks (kind, source, name, value, at, event) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: prune_notices
DELETE FROM notices WHERE hour < ?

-- name: prune_clocks
DELETE FROM clocks WHERE hour < ?

-- name: prune_coverage
DELETE FROM coverage WHERE hour < ?

-- name: prune_tallies
DELETE FROM tallies WHERE day < ?
