package journal

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Query selects executions. Empty fields select all; a Limit of 0 is the default, 20.
type Query struct {
	Status    schemas.Status
	SessionID string
	Workflow  string // a workflow's name, or name@version
	Limit     int
	Cursor    string
}

// List lists the caller's executions, newest first, without outputs.
func (r Reader) List(ctx context.Context, q Query) (schemas.ExecutionList, error) {
	caller := caller.From(ctx).Principal
	term := records.TermPrincipal(caller)
	byWorkflow := ""
	name, _, ofVersion := strings.Cut(q.Workflow, "@")
	if q.Workflow != "" {
		byWorkflow = TermWorkflow(caller, name)
	}
	switch {
	case len(byWorkflow) > store.MaxTerm:
		return schemas.ExecutionList{Executions: []schemas.Execution{}}, nil
	case byWorkflow != "":
		term = byWorkflow
	case len(session.Term(q.SessionID)) > store.MaxTerm:
		return schemas.ExecutionList{}, schemas.Errorf(schemas.CodeInvalidArgument, "session_id has %d bytes (limit %d)",
			len(q.SessionID), store.MaxTerm-len(session.Term(""))).WithField("session_id").WithHint("list_sessions shows the ids of sessions")
	case q.SessionID != "":
		r.journal.sessions.Touch(ctx, q.SessionID)
		term = session.Term(q.SessionID)
	case q.Status != "":
		term = TermStatus(q.Status)
	}
	l := records.Listing{
		Tool: "list_executions", Query: store.Query{Kind: KindExecution, Term: term, Reverse: true}, Limit: q.Limit, Cursor: q.Cursor,
	}
	page, next, err := records.List(ctx, r.journal.store, l, func(rec store.Record) (schemas.Execution, bool, error) {
		var h Head
		if err := json.Unmarshal(rec.Value, &h); err != nil {
			return h.Execution, false, err
		}
		h.Output = nil
		matches := h.Principal == caller && (byWorkflow == "" || slices.Contains(rec.Terms, byWorkflow)) &&
			(!ofVersion || h.Workflow == q.Workflow) && (q.Status == "" || h.Status == q.Status) &&
			(q.SessionID == "" || h.SessionID == q.SessionID)
		return h.Execution, matches, nil
	})
	return schemas.ExecutionList{Executions: page, NextCursor: next}, err
}
