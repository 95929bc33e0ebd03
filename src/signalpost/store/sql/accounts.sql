-- Users, sessions, links, API keys and the audit.

-- name: users_any
SELECT 1 FROM users WHERE removed_at IS NULL LIMIT 1

-- name: user_add
INSERT INTO users (email, name, role, password, made_at) VALUES (?, ?, ?, ?, ?) RETURNING id

-- name: user_by_email
SELECT id, name, email, role, password FROM users WHERE email = ? AND removed_at IS NULL

-- name: user_by_id
SELECT id, name, email, role, password FROM users WHERE id = ? AND removed_at IS NULL

-- name: session_add
INSERT INTO sessions (digest, account, made_at, until, agent) VALUES (?, ?, ?, ?, ?)

-- name: session_of
SELECT u.id, u.name, u.email, u.role
FROM sessions s JOIN users u ON u.id = s.account
WHERE s.digest = ? AND s.until > ? AND u.removed_at IS NULL

-- name: session_end
DELETE FROM sessions WHERE digest = ?

-- name: link_add
INSERT INTO links (digest, what, account, made_at, until) VALUES (?, ?, ?, ?, ?)

-- name: link_of
SELECT what, account FROM links WHERE digest = ? AND until > ? AND (used_at IS NULL OR what = 'enter')

-- name: link_use
UPDATE links SET used_at = ? WHERE digest = ? AND until > ? AND (used_at IS NULL OR what = 'enter')

-- name: links_drop
DELETE FROM links WHERE what = ?

-- name: key_of
SELECT id, name, role FROM api_keys WHERE digest = ? AND removed_at IS NULL AND (until IS NULL OR until > ?)
