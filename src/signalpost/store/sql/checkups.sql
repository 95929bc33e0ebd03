-- Statements of `doctor/keeping.py` and `trial.py`; the words in braces are explained in queries.sql.

-- name: checkup_set
INSERT INTO checkups (id, at, result) VALUES (1, ?, ?)
ON CONFLICT (id) DO UPDATE SET at = excluded.at, result = excluded.result

-- name: checkup
SELECT result FROM checkups WHERE id = 1

-- name: account_answer_set
INSERT INTO account_answers (destination, good, sentence, at) VALUES (?, ?, ?, ?)
ON CONFLICT (destination) DO UPDATE SET good = excluded.good, sentence = excluded.sentence, at = excluded.at

-- name: account_answers
SELECT destination, good, sentence, at FROM account_answers

-- name: trial_set
INSERT INTO trials (destination, at, who, result) VALUES (?, ?, ?, ?)
ON CONFLICT (destination) DO UPDATE SET at = excluded.at, who = excluded.who, result = excluded.result

-- name: trial_of
SELECT at, who, result FROM trials WHERE destination = ?
