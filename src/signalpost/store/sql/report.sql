-- Statements of `store/report.py`; the words in braces are explained in queries.sql.
-- A period is [since, until) in epoch ms; the hourly counters of a period are those whose hour begins in it.

-- name: report_verdicts (of the events received in a period; amounts are told apart so that they can be added exactly)
SELECT l.destination, e.name, l.verdict, coalesce(l.reason, ''),
       CASE WHEN e.name = 'Order Completed' AND l.value IS NOT NULL THEN coalesce(l.currency, '') ELSE '' END,
       CASE WHEN e.name = 'Order Completed' THEN coalesce(l.value, '') ELSE '' END,
       count(*), max(l.sentence)
FROM events e JOIN ledger l ON l.event = e.id WHERE e.received_at >= ? AND e.received_at < ?
GROUP BY 1, 2, 3, 4, 5, 6

-- name: report_events (received in a period)
SELECT count(*) FROM events WHERE received_at >= ? AND received_at < ?

-- name: report_orders_between (first heard of in a period, oldest first, after an event)
SELECT o.key, o.order_id, o.event, o.time, o.sent, o.record, e.received_at
FROM events e JOIN orders o ON o.event = e.id WHERE e.received_at >= ? AND e.received_at < ? ORDER BY e.received_at, o.key

-- name: report_orders_latest
SELECT o.key, o.order_id, o.event, o.time, o.sent, o.record, e.received_at
FROM (SELECT * FROM orders ORDER BY event DESC LIMIT ?) o JOIN events e ON e.id = o.event ORDER BY o.event DESC

-- name: report_orders_named
SELECT o.key, o.order_id, o.event, o.time, o.sent, o.record, e.received_at
FROM orders o JOIN events e ON e.id = o.event WHERE o.order_id {in_texts} ORDER BY o.event LIMIT 20

-- name: report_purchases_told (what became of each report of these orders)
SELECT e.order_id, l.event, l.destination, l.verdict, l.reason, l.sentence, l.platform_event, l.platform_id, l.value, l.currency,
       l.settled_at, e.time
FROM events e JOIN ledger l ON l.event = e.id WHERE e.order_id {in_texts} AND e.name = 'Order Completed' ORDER BY l.event

-- name: report_notices
SELECT destination, what, detail, name, currency, sum(signals), sum(value_micros / 1000000), sum(value_micros % 1000000),
       max(last_event)
FROM notices WHERE hour >= ? AND hour < ? GROUP BY destination, what, detail, name, currency

-- name: report_taken (accepted signals of the events received in a period, by the platform's name)
SELECT l.destination, l.platform_event, count(*) FROM events e JOIN ledger l ON l.event = e.id
WHERE e.received_at >= ? AND e.received_at < ? AND l.verdict IN ('accepted', 'warned') AND l.platform_event IS NOT NULL
GROUP BY l.destination, l.platform_event

-- name: report_orders_before (an event; newest first)
SELECT o.key, o.order_id, o.event, o.time, o.sent, o.record, e.received_at
FROM (SELECT * FROM orders WHERE event < ? ORDER BY event DESC LIMIT ?) o JOIN events e ON e.id = o.event ORDER BY o.event DESC
