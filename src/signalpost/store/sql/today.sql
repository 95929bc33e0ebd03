-- Statements of `store/today.py`; the words in braces are explained in queries.sql.

-- name: today_sentences (of the newest so many verdicts, newest first)
SELECT destination, verdict, coalesce(reason, ''), sentence
FROM (SELECT event, destination, verdict, reason, sentence FROM ledger ORDER BY event DESC LIMIT ?) l
WHERE verdict IN ('withheld', 'refused', 'unknown', 'warned') AND sentence IS NOT NULL ORDER BY event DESC

-- name: today_waiting
SELECT destination, count(*) FROM outbox GROUP BY destination

-- name: today_waiting_first (of a destination and priority)
SELECT received_at FROM outbox WHERE destination = ? AND priority = ? ORDER BY id LIMIT 1

-- name: today_waiting_names (among the newest so many that wait)
SELECT destination, name, count(*) FROM (SELECT destination, name FROM outbox ORDER BY id DESC LIMIT ?) o GROUP BY destination, name

-- name: today_waiting_purchases (of a destination, among the newest so many, received since)
SELECT coalesce(currency, ''), count(*), sum(coalesce(value_micros, 0) / 1000000), sum(coalesce(value_micros, 0) % 1000000)
FROM (SELECT name, received_at, currency, value_micros FROM outbox WHERE destination = ? AND priority = 0 ORDER BY id DESC LIMIT ?) o
WHERE name = 'Order Completed' AND received_at >= ? GROUP BY coalesce(currency, '')

-- name: today_sizes (of audiences, the latest count of each in a span of hours)
SELECT audience, hour, people FROM audience_sizes WHERE hour >= ? AND hour <= ? ORDER BY hour
