package schemas

import "time"

// SessionStatus is the status of a session.
type SessionStatus string

const (
	// SessionActive: a call has named it recently.
	SessionActive SessionStatus = "active"
	// SessionIdle: no call has named it for a while; the next one makes it active again.
	SessionIdle SessionStatus = "idle"
	// SessionExpired is final: no call has named it for its time to live.
	SessionExpired SessionStatus = "expired"
	// SessionClosed is final: a caller deleted it.
	SessionClosed SessionStatus = "closed"
)

// SessionStatuses lists every session status in the order of a session's life.
func SessionStatuses() []SessionStatus {
	return []SessionStatus{SessionActive, SessionIdle, SessionExpired, SessionClosed}
}

// Ended reports whether the status never changes again.
func (s SessionStatus) Ended() bool { return s == SessionExpired || s == SessionClosed }

// Session holds data that an agent keeps between its calls. Executions belong to it.
type Session struct {
	SessionID   string        `json:"session_id"`
	AgentID     string        `json:"agent_id,omitempty"`
	Status      SessionStatus `json:"status"`
	UserContext Object        `json:"user_context,omitempty"`
	Data        Object        `json:"data,omitempty" jsonschema:"description=plans read it as ${session.…}"`
	Version     int64         `json:"version" jsonschema:"description=counts the updates"`
	TTLSeconds  int64         `json:"ttl_seconds"`
	CreatedAt   time.Time     `json:"created_at"`
	LastSeenAt  time.Time     `json:"last_seen_at"`
	ExpiresAt   time.Time     `json:"expires_at" jsonschema:"description=unless a call names it earlier"`
	EndedAt     *time.Time    `json:"ended_at,omitempty"`

	More *Ref `json:"more,omitempty" jsonschema:"description=where all of it is read\\, if parts are left out"`
}

// SessionList is one page of sessions, newest first.
type SessionList struct {
	Sessions   []Session `json:"sessions"`
	NextCursor string    `json:"next_cursor,omitempty"`
}

// SessionUpdates is what update_session changes; absent fields stay as they are.
type SessionUpdates struct {
	Data        Object  `json:"data,omitempty" jsonschema:"description=JSON Merge Patch"`
	AgentID     *string `json:"agent_id,omitempty" jsonschema:"maxLength=255"`
	UserContext Object  `json:"user_context,omitempty" jsonschema:"description=merged like data"`
	TTLSeconds  *int64  `json:"ttl_seconds,omitempty" jsonschema:"minimum=1,maximum=31536000"`
}

// Agent is what is known about an agent from its open sessions.
type Agent struct {
	AgentID    string    `json:"agent_id"`
	Active     int       `json:"active" jsonschema:"description=sessions in use"`
	Idle       int       `json:"idle" jsonschema:"description=sessions that no call has named for a while"`
	LastSeenAt time.Time `json:"last_seen_at"`
}
