package tools

import (
	"context"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
)

type createSession struct {
	AgentID     string         `json:"agent_id,omitempty" jsonschema:"maxLength=255"`
	UserContext schemas.Object `json:"user_context,omitempty" jsonschema:"description=about the user: returned as given"`
	TTLSeconds  int64          `json:"ttl_seconds,omitempty" jsonschema:"minimum=1,maximum=31536000,description=lifetime after the last call that names it (default 86400)"`
	Data        schemas.Object `json:"data,omitempty" jsonschema:"description=plans read it as ${session.…}"`
}

type sessionID struct {
	SessionID string `json:"session_id"`
}

type updateSession struct {
	sessionID
	Updates         schemas.SessionUpdates `json:"updates"`
	ExpectedVersion *int64                 `json:"expected_version,omitempty" jsonschema:"minimum=0"`
}

type listSessions struct {
	Status  schemas.SessionStatus `json:"status,omitempty"`
	AgentID string                `json:"agent_id,omitempty"`
	Limit   int                   `json:"limit,omitempty" jsonschema:"minimum=1,maximum=100,description=default 20"`
	Cursor  string                `json:"cursor,omitempty"`
}

// Session is the contract Session.
func Session() []Method {
	const contract = "Session"
	return []Method{
		method(contract, "create_session", "Open a session", Adds,
			`Opens a session, which keeps data between calls; executions belong to it when you pass its session_id.`,
			func(ctx context.Context, rt *runtime.Runtime, in createSession, _ Request) (schemas.Session, error) {
				u := schemas.SessionUpdates{AgentID: &in.AgentID, UserContext: in.UserContext, Data: in.Data}
				if in.TTLSeconds > 0 {
					u.TTLSeconds = &in.TTLSeconds
				}
				return brief(rt.Sessions.Create(ctx, u))
			}),
		method(contract, "get_session", "Read a session", Reads,
			`Reads a session: its data, version, status (active, idle, expired, closed) and when it expires. The call counts as use and renews `+
				`its expiry.`,
			func(ctx context.Context, rt *runtime.Runtime, in sessionID, _ Request) (schemas.Session, error) {
				return brief(rt.Sessions.Get(ctx, in.SessionID))
			}),
		method(contract, "update_session", "Change a session", Adds,
			`Changes a session and returns it. data and user_context are merged: {"data":{"a":1,"b":null}} sets a and removes b. With `+
				`expected_version, an update of another version is refused as conflict.`,
			func(ctx context.Context, rt *runtime.Runtime, in updateSession, _ Request) (schemas.Session, error) {
				return brief(rt.Sessions.Update(ctx, in.SessionID, in.Updates, in.ExpectedVersion))
			}),
		method(contract, "delete_session", "Close a session", Destroys,
			`Closes a session for good: its data and the states bound to it are deleted, its executions are cancelled unless the server is set `+
				`to continue them. It cannot be undone.`,
			func(ctx context.Context, rt *runtime.Runtime, in sessionID, _ Request) (schemas.Session, error) {
				return brief(rt.Sessions.Delete(ctx, in.SessionID))
			}),
		method(contract, "list_sessions", "List sessions", Reads,
			`Lists your sessions, newest first: to find a lost id, or which agents are at work.`,
			func(ctx context.Context, rt *runtime.Runtime, in listSessions, _ Request) (schemas.SessionList, error) {
				return rt.Sessions.List(ctx, session.Query{Status: in.Status, AgentID: in.AgentID, Limit: orBrief(in.Limit), Cursor: in.Cursor})
			}),
	}
}
