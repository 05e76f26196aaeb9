package session

import (
	"cmp"
	"context"
	"slices"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Query selects sessions. Empty fields select all; a Limit of 0 is the default, 20.
type Query struct {
	Status  schemas.SessionStatus
	AgentID string
	Limit   int
	Cursor  string
}

// List lists the caller's sessions, newest first. It renews the expiry of none.
func (s *Sessions) List(ctx context.Context, q Query) (schemas.SessionList, error) {
	now := s.store.Now()
	l := records.Listing{Tool: "list_sessions", Query: OfCaller(ctx), Limit: q.Limit, Cursor: q.Cursor}
	page, next, err := records.List(ctx, s.store, l, func(rec store.Record) (schemas.Session, bool, error) {
		r, err := s.decode(rec)
		if err != nil {
			return r.Session, false, err
		}
		v := r.view(now, s.rules)
		return v, (q.Status == "" || v.Status == q.Status) && (q.AgentID == "" || v.AgentID == q.AgentID), nil
	})
	return schemas.SessionList{Sessions: page, NextCursor: next}, err
}

// OfCaller returns the query of the caller's sessions, newest first.
func OfCaller(ctx context.Context) store.Query {
	return store.Query{Kind: Kind, Term: records.TermPrincipal(caller.From(ctx).Principal), Reverse: true}
}

// Agents returns the agents that have open sessions of the caller, the last seen first. Sessions without an agent_id are counted together,
// under an empty one.
func (s *Sessions) Agents(ctx context.Context) ([]schemas.Agent, error) {
	now := s.store.Now()
	byID := map[string]*schemas.Agent{}
	err := s.store.Each(ctx, OfCaller(ctx), func(rec store.Record) error {
		r, err := s.decode(rec)
		if err != nil {
			return err
		}
		v := r.view(now, s.rules)
		if v.Status.Ended() {
			return nil
		}
		a := byID[v.AgentID]
		if a == nil {
			a = &schemas.Agent{AgentID: v.AgentID}
			byID[v.AgentID] = a
		}
		if v.Status == schemas.SessionIdle {
			a.Idle++
		} else {
			a.Active++
		}
		if v.LastSeenAt.After(a.LastSeenAt) {
			a.LastSeenAt = v.LastSeenAt
		}
		return nil
	})
	agents := make([]schemas.Agent, 0, len(byID))
	for _, a := range byID {
		agents = append(agents, *a)
	}
	slices.SortFunc(agents, func(a, b schemas.Agent) int {
		return cmp.Or(b.LastSeenAt.Compare(a.LastSeenAt), cmp.Compare(a.AgentID, b.AgentID))
	})
	return agents, err
}
