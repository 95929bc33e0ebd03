-- Users, sessions, links, API keys and the audit.

-- name: users_admin_any
SELECT 1 FROM users WHERE removed_at IS NULL AND role = 'admin' LIMIT 1

-- name: user_add (somebody who was removed comes back with nothing of before)
INSERT INTO users (email, name, role, password, made_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (email) DO UPDATE SET name = excluded.name, role = excluded.role, password = excluded.password, subject = NULL,
    made_at = excluded.made_at, seen_at = 0, removed_at = NULL
WHERE users.removed_at IS NOT NULL
RETURNING id

-- name: user_by_email
SELECT id, name, email, role, password FROM users WHERE email = ? AND removed_at IS NULL

-- name: user_by_id
SELECT id, name, email, role, password FROM users WHERE id = ? AND removed_at IS NULL

-- name: user_by_subject
SELECT id, name, email, role FROM users WHERE subject = ? AND removed_at IS NULL

-- name: user_known (whoever has or had this address: user, subject, when removed)
SELECT id, name, email, role, coalesce(subject, ''), removed_at FROM users WHERE email = ?

-- name: users_all
SELECT id, name, email, role, made_at, seen_at, password <> '', subject IS NOT NULL
FROM users WHERE removed_at IS NULL ORDER BY email

-- name: user_seen
UPDATE users SET seen_at = {greatest}(seen_at, ?) WHERE id = ?

-- name: user_name
UPDATE users SET name = ? WHERE id = ? AND removed_at IS NULL

-- name: user_password
UPDATE users SET password = ? WHERE id = ? AND removed_at IS NULL

-- name: user_subject
UPDATE users SET subject = ? WHERE id = ? AND removed_at IS NULL

-- name: user_role
UPDATE users SET role = ? WHERE id = ? AND removed_at IS NULL

-- name: user_remove
UPDATE users SET removed_at = ?, password = '', subject = NULL WHERE id = ? AND removed_at IS NULL

-- name: users_admins (who has been in before; they are locked, so that two who demote each other do so in turn)
UPDATE users SET role = role WHERE role = 'admin' AND removed_at IS NULL AND seen_at > 0 RETURNING id

-- name: session_add
INSERT INTO sessions (digest, account, made_at, until, agent) VALUES (?, ?, ?, ?, ?)

-- name: session_of
SELECT u.id, u.name, u.email, u.role
FROM sessions s JOIN users u ON u.id = s.account
WHERE s.digest = ? AND s.until > ? AND u.removed_at IS NULL

-- name: session_end
DELETE FROM sessions WHERE digest = ?

-- name: sessions_of (the newest first)
SELECT digest, made_at, until, agent FROM sessions WHERE account = ? AND until > ? ORDER BY made_at DESC, digest

-- name: sessions_end (all of an account but one)
DELETE FROM sessions WHERE account = ? AND digest <> ?

-- name: session_end_of (by the first letters of its digest)
DELETE FROM sessions WHERE account = ? AND substr(digest, 1, 16) = ?

-- name: prune_sessions
DELETE FROM sessions WHERE until <= ?

-- name: link_add
INSERT INTO links (digest, what, account, made_at, until) VALUES (?, ?, ?, ?, ?)

-- name: link_of
SELECT what, account FROM links WHERE digest = ? AND until > ? AND (used_at IS NULL OR what = 'enter')

-- name: link_use
UPDATE links SET used_at = ? WHERE digest = ? AND until > ? AND (used_at IS NULL OR what = 'enter')

-- name: links_drop
DELETE FROM links WHERE what = ? AND account = ?

-- name: links_drop_of
DELETE FROM links WHERE account = ?

-- name: prune_links
DELETE FROM links WHERE until <= ?

-- name: key_of
SELECT id, name, role FROM api_keys WHERE digest = ? AND removed_at IS NULL AND (until IS NULL OR until > ?)

-- name: key_add
INSERT INTO api_keys (digest, start, name, role, made_by, made_at, until) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id

-- name: keys_all
SELECT id, start, name, role, made_by, made_at, used_at, until FROM api_keys WHERE removed_at IS NULL ORDER BY id DESC

-- name: key_used
UPDATE api_keys SET used_at = {greatest}(coalesce(used_at, 0), ?) WHERE digest = ?

-- name: key_remove
UPDATE api_keys SET removed_at = ? WHERE id = ? AND removed_at IS NULL RETURNING name

-- name: audit_page (the newest first, before a line)
SELECT id, at, who, what, subject, note FROM audit
WHERE id < ? AND at >= ? AND at < ? AND who LIKE ? ESCAPE '\' AND what LIKE ? ESCAPE '\' AND lower(subject) LIKE ? ESCAPE '\'
ORDER BY id DESC LIMIT ?

-- name: audit_words (of the newest so many lines: who, what)
SELECT DISTINCT who, what FROM (SELECT who, what FROM audit ORDER BY id DESC LIMIT ?) a

-- name: alerts_last (findings that were told, the latest first)
SELECT id, sentence, severity, alerted_at, closed_at FROM findings WHERE alerted_at IS NOT NULL ORDER BY alerted_at DESC LIMIT ?
