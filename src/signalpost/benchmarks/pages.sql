-- What `benchmarks/pages.py` fills a store with, in this order. Parameters are numbers and JSON lists of numbers.

-- name: events
INSERT INTO events (id, message_key, kind, name, person, order_id, time, received_at, note, counts)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :events),
drawn AS (SELECT i, (i * 2654435761) % 4294967296 AS h FROM n)
SELECT ((i / :together + 1) << 16) | (i % :together),
    CASE WHEN h % 10 < 8 THEN 'web' ELSE 'shop' END || ':m' || i,
    CASE WHEN i % :every <> 0 AND h % 100 >= 70 THEN 'page' ELSE 'track' END,
    CASE WHEN i % :every = 0 THEN 'Order Completed' WHEN h % 100 < 45 THEN 'Product Viewed'
        WHEN h % 100 < 60 THEN 'Product Added' WHEN h % 100 < 70 THEN 'Checkout Started' ELSE 'Page Viewed' END,
    1 + (h * 31 >> 7) % :people, CASE WHEN i % :every = 0 THEN 'O-' || i END,
    :start + i * :span / :events - 1500, :start + i * :span / :events,
    CASE WHEN i % :every = 0 THEN 'total' END, 1
FROM drawn

-- name: verdicts
INSERT INTO ledger (event, destination, verdict, reason, sentence, platform_event, platform_id, value, currency, decided_at,
                    sent_at, settled_at, attempts, request)
SELECT id, d, verdict,
    CASE verdict WHEN 'withheld' THEN CASE WHEN name = 'Page Viewed' THEN 'not_mapped'
            WHEN r < 890 THEN CASE name WHEN 'Order Completed' THEN 'duplicate_order' ELSE 'repeat' END
            WHEN r < 920 THEN 'consent_denied' WHEN r < 945 THEN 'no_identifier' WHEN r < 965 THEN 'gate:bot'
            WHEN r < 985 THEN 'other_source' ELSE 'too_old' END
        WHEN 'refused' THEN '40002' WHEN 'unknown' THEN 'no_answer' END,
    CASE verdict WHEN 'refused' THEN 'The platform did not accept the parameter `event_time`.' END,
    CASE WHEN verdict <> 'withheld' THEN CASE d WHEN 'tiktok' THEN 'Purchase' ELSE 'checkout' END END,
    CASE WHEN verdict <> 'withheld' THEN coalesce(order_id, 'm' || id) END,
    CASE WHEN name IN ('Order Completed', 'Product Added', 'Checkout Started') THEN printf('%d.%02d', cents / 100, cents % 100) END,
    CASE WHEN name IN ('Order Completed', 'Product Added', 'Checkout Started') THEN CASE WHEN r % 40 = 7 THEN 'EUR' ELSE 'USD' END END,
    received_at + 40, CASE WHEN verdict NOT IN ('withheld', 'waiting') THEN received_at + 400 END,
    CASE WHEN verdict NOT IN ('withheld', 'waiting') THEN received_at + 700 END,
    CASE WHEN verdict IN ('withheld', 'waiting') THEN 0 ELSE 1 END,
    CASE WHEN verdict NOT IN ('withheld', 'waiting') THEN 1 + id / 6553600 END
FROM (SELECT *, CASE WHEN name = 'Page Viewed' THEN 'withheld' WHEN id >= :waiting THEN 'waiting' WHEN r < 830 THEN 'accepted'
          WHEN r < 840 THEN 'warned' WHEN r < 855 THEN 'refused' WHEN r < 860 THEN 'unknown' ELSE 'withheld' END AS verdict
      FROM (SELECT e.id, e.name, e.order_id, e.received_at, d, ((e.id * 7919) % 18000 + 2000) AS cents,
                ((e.id >> 16) * 7 + e.id + CASE d WHEN 'tiktok' THEN 3 ELSE 0 END) * 40503 % 1000 AS r
            FROM events e CROSS JOIN (SELECT 'pinterest' AS d UNION ALL SELECT 'tiktok')))

-- name: what waits
INSERT INTO outbox (id, destination, priority, event, person, name, event_time, received_at, due_at, value_micros, currency, body)
SELECT l.event * 64 + CASE l.destination WHEN 'tiktok' THEN 0 ELSE 1 END, l.destination,
    CASE e.name WHEN 'Order Completed' THEN 0 WHEN 'Checkout Started' THEN 1 WHEN 'Product Added' THEN 2 ELSE 3 END,
    l.event, e.person, e.name, e.time, e.received_at, e.received_at,
    CAST(replace(l.value, '.', '') AS INTEGER) * 10000, l.currency, CAST('{}' AS BLOB)
FROM ledger l JOIN events e ON e.id = l.event WHERE l.event >= :waiting AND l.verdict = 'waiting'

-- name: counters of verdicts
INSERT INTO rollups (minute, destination, name, verdict, reason, currency, signals, value_micros, latency_ms)
SELECT l.decided_at - l.decided_at % 60000, l.destination, e.name, l.verdict, coalesce(l.reason, ''),
    coalesce(l.currency, ''), count(*), sum(coalesce(CAST(replace(l.value, '.', '') AS INTEGER), 0)) * 10000, 660 * count(*)
FROM events e JOIN ledger l ON l.event = e.id WHERE l.verdict <> 'waiting' GROUP BY 1, 2, 3, 4, 5, 6

-- name: counters of events
INSERT INTO rollups (minute, destination, name, verdict, reason, currency, signals, value_micros, latency_ms)
SELECT received_at - received_at % 60000, '', name, 'heard', substr(message_key, 1, instr(message_key, ':') - 1), '',
    count(*), 0, 0
FROM events GROUP BY 1, 3, 5

-- name: requests
INSERT INTO requests (id, destination, started_at, ended_at, signals, status, summary)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :requests)
SELECT i, CASE i % 2 WHEN 0 THEN 'tiktok' ELSE 'pinterest' END, :start + i * :span / :requests,
    :start + i * :span / :requests + 300, 100, 200, '100 of 100 settled' FROM n

-- name: traces
INSERT INTO ledger_trace (event, destination, at, verdict, reason, sentence, request)
SELECT id, 'tiktok', received_at, 'waiting', 'busy', 'The platform asked us to wait.', 1 FROM events WHERE id % 97 = 3

-- name: the journal of the last weeks
INSERT INTO journal (position, source, wire, method, path, headers, body, client_ip, user_agent, received_at, messages)
SELECT id >> 16, 'web', 'pipelines', 'POST', '/v1/batch', '{}', CAST('{"batch":[' || group_concat(printf(
    '{"type":"track","messageId":"%s","userId":"U-%d","event":"%s","timestamp":"%s","context":{"ip":"203.0.113.7","page":'
    || '{"url":"https://shop.example/thanks"}},"properties":{"order_id":"O-%d","total":%d.5,"currency":"USD"}}',
    substr(message_key, instr(message_key, ':') + 1), person, name, strftime('%Y-%m-%dT%H:%M:%SZ', time / 1000, 'unixepoch'),
    id, id % 180 + 20)) || ']}' AS BLOB), '203.0.113.7', 'analytics.js', received_at, count(*)
FROM events WHERE received_at >= :kept GROUP BY id >> 16

-- name: identifiers
INSERT INTO identifiers (key, person)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :people)
SELECT 'email:u' || i || '@shop.example', i FROM n UNION ALL SELECT 'external_id:U-' || i, i FROM n ORDER BY 1

-- name: merges
INSERT INTO merges (event, person, other, joined, why, at)
SELECT id, person, :people + id / 65536, 1, 'same email', received_at FROM events WHERE id % 499 = 1

-- name: clocks
INSERT INTO clocks (hour, clock, name, bucket, signals)
WITH RECURSIVE h(hour) AS (SELECT :start - :start % 3600000 UNION ALL SELECT hour + 3600000 FROM h WHERE hour < :now - 3600000),
told(clock, name) AS (VALUES ('accepted', 'tiktok'), ('accepted', 'pinterest'), ('source', 'web'), ('source', 'shop'),
    ('suppressed', 'tiktok'), ('suppressed', 'pinterest'))
SELECT hour, clock, name, b.value, 1 + b.value % 7 FROM h CROSS JOIN told CROSS JOIN json_each(:buckets) b

-- name: match keys
INSERT INTO coverage (hour, destination, source, name, keys, signals)
WITH RECURSIVE h(hour) AS (SELECT :start - :start % 3600000 UNION ALL SELECT hour + 3600000 FROM h WHERE hour < :now - 3600000),
destinations(d) AS (VALUES ('tiktok'), ('pinterest')), sources(s) AS (VALUES ('web'), ('shop')),
names(name) AS (VALUES ('Order Completed'), ('Product Viewed'), ('Product Added'))
SELECT hour, d, s, name, m.value, 1 + m.value % 9
FROM h CROSS JOIN destinations CROSS JOIN sources CROSS JOIN names CROSS JOIN json_each(:masks) m

-- name: notices
INSERT INTO notices (hour, destination, what, detail, name, currency, signals, value_micros, last_event)
WITH RECURSIVE h(hour) AS (SELECT :start - :start % 3600000 UNION ALL SELECT hour + 3600000 FROM h WHERE hour < :now - 3600000)
SELECT hour, d, what, CASE what WHEN 'observed' THEN 'heavily_discounted' ELSE '' END, 'Order Completed', 'USD', 3,
    190000000, 65536
FROM h CROSS JOIN (SELECT 'tiktok' AS d UNION ALL SELECT 'pinterest')
CROSS JOIN (SELECT 'observed' AS what UNION ALL SELECT 'refunded_after')

-- name: what was new
INSERT INTO marks (kind, source, name, value, at, event)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
SELECT 'property', 'web', 'Product Viewed', 'property ' || i, :start + i * :span / 600, 65536 FROM n

-- name: audit
INSERT INTO audit (at, who, what, subject, note)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
SELECT :start + i * :span / 5000, 'admin@shop.example', 'unmask', 'person ' || i, '' FROM n

-- name: findings
INSERT INTO findings (key, kind, subject, severity, sentence, advice, share, money, currency, examples, link, since, seen_at,
                      closed_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
SELECT 'refused:' || i, 'refused', 'tiktok', CASE i % 3 WHEN 0 THEN 'problem' ELSE 'warning' END,
    'TikTok refused ' || i || ' of 10,000 signals in the last day.', 'Mend what it objects to.', '0.02', i || '.50', 'USD',
    '[65536]', 'docs/leaks/README.md', :start + i * :span / 400, :now, CASE WHEN i < 380 THEN :start + i * :span / 400 + 3600000 END
FROM n

-- name: every segment is exact
UPDATE segments SET ready_at = :start

-- name: and nothing is built any more
DELETE FROM backfills

-- name: who is inside
INSERT INTO members (person, segment, since)
SELECT p.id, s.value, :now - (p.id * 7919 + s.value) % 5184000000
FROM people p CROSS JOIN json_each(:slots) s WHERE (p.id * 31 + s.value * 17) % 10 < 2 ORDER BY 1, 2

-- name: who entered
INSERT INTO moves (person, at, segment, entered, event) SELECT person, since, segment, 1, 65536 FROM members

-- name: and who had left before
INSERT INTO moves (person, at, segment, entered, event)
SELECT person, since - 1728000000, segment, 0, 0 FROM members WHERE person % 3 = 0

-- name: whom audiences want
INSERT INTO audience_people (audience, person, wanted, stale, priority, event, asked_at)
SELECT a.slot, m.person, CASE WHEN m.person % 13 = 0 THEN 0 ELSE 1 END, CASE WHEN m.person % 1999 = 0 THEN 1 ELSE 0 END, 1, 65536,
    m.since
FROM audiences a JOIN members m
ON m.segment = (SELECT s.value FROM json_each(:slots) s WHERE s.key = a.slot % json_array_length(:slots)) ORDER BY 1, 2

-- name: whom the platforms hold
INSERT INTO audience_keys (audience, key, person, state, at)
SELECT audience, 'email:' || printf('%064x', person), person, 'there', :now - 86400000 FROM audience_people WHERE wanted = 1
ORDER BY 1, 2

-- name: how large they were
INSERT INTO audience_sizes (audience, hour, people)
WITH RECURSIVE h(hour) AS (
    SELECT :now - :now % 3600000 - 1296000000 UNION ALL SELECT hour + 3600000 FROM h WHERE hour < :now - 3600000)
SELECT slot, hour, 180000 + hour / 3600000 % 500 FROM audiences CROSS JOIN h

-- name: how the platforms see them
UPDATE audiences SET state = 'ready', platform_id = '71' || slot, status = 'ready', size = 150000, size_at = :now - 3600000,
    synced_at = :now - 60000, loaded_at = :now - 2592000000, usable = 1, way = 'stream', used_by = '[]'

-- name: where the rollout stands
INSERT INTO rollouts (destination, stage, since, held) VALUES ('pinterest', 1, :now - 2592000000, '')
