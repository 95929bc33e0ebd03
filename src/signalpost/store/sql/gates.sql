-- Statements of `store/gates.py`; the words in braces are explained in queries.sql.

-- name: gates_observed (what observing gates would have withheld, since the start of an hour)
SELECT detail, currency, sum(signals), sum(value_micros / 1000000), sum(value_micros % 1000000)
FROM notices WHERE hour >= ? AND what = 'observed' GROUP BY detail, currency
