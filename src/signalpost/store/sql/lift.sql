-- Statements of `store/lift.py`; the words in braces are explained in queries.sql.

-- name: lift_entries (into one segment in a span of time, in order, after an entry)
SELECT at, person FROM moves
WHERE segment = ? AND entered = 1 AND at < ? AND at >= ? AND (at > ? OR person > ?) ORDER BY at, person LIMIT ?

-- name: lift_moves (all of these people's in these segments)
SELECT person, at, segment, entered FROM moves WHERE person {in_numbers} AND segment {in_numbers} ORDER BY person, at

-- name: lift_members (who is in these segments now)
SELECT person, segment, since FROM members WHERE person {in_numbers} AND segment {in_numbers}

-- name: lift_destinations (of an audience: since when each has it whole)
SELECT destination, loaded_at FROM audiences WHERE name = ? AND state <> 'removed' ORDER BY destination

-- name: lift_there (which of these people the platforms have in an audience)
SELECT DISTINCT a.destination, k.person FROM audience_keys k JOIN audiences a ON a.slot = k.audience
WHERE a.name = ? AND k.state = 'there' AND k.person {in_numbers}

-- name: lift_changes (of the workspace file's audiences or segments, after a moment)
SELECT at, detail FROM marks WHERE kind = 'revision' AND at > ? ORDER BY at
